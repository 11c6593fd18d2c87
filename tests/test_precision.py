"""Precision: further rounds for the cases that need them, and why each case has as many as it has."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from harness.declare.format import Measure
from harness.engine import folder as folders
from harness.engine.cells import fewest_rounds
from harness.engine.folder import read_run
from harness.engine.journal import Line
from harness.engine.precision import half_width, is_precise, why_ended
from harness.record import ROUNDS_ENDED, End, OkRecord, RoundsEnded
from tests.sweeps import make_plan, measure


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "run"


def lines(*estimates: float) -> list[Line]:
    own: dict[str, Any] = {"visit": 0, "key": "k", "id": "i", "probe": "latency", "status": "ok", "started": ""}
    own |= {"seconds": 0.0}
    return [
        Line.model_validate(own | {"round": index, "values": {"latency_ms": [time]}})
        for index, time in enumerate(estimates)
    ]


def test_half_the_interval_is_the_precision() -> None:
    assert half_width([1.0, 1.0, 1.0]) == 0
    assert half_width([1.0]) is None
    wide, narrow = half_width([1.0, 1.2, 0.9, 1.1, 1.0, 1.05]), half_width([1.0, 1.01, 0.99, 1.0, 1.01, 1.0])
    assert wide is not None
    assert narrow is not None
    assert wide > 0.05 > 0.02 > narrow


def test_only_rounds_before_the_look_decide() -> None:
    noisy_later = lines(1.0, 1.0, 1.0, 3.0, 0.2)
    assert is_precise(noisy_later, 3, 0.02)
    assert not is_precise(noisy_later, 5, 0.02)
    assert not is_precise(lines(1.0), 1, 0.02)


NOISY = [1.0, 1.3, 0.8, 1.2, 0.9, 1.1, 1.4, 0.7, 1.0]
STEADY = [1.0, 1.001, 0.999, 1.0, 1.001, 1.0]
ASKING = Measure(rounds=6, precision=0.02, max_rounds=9)


@pytest.mark.parametrize(
    ("estimates", "measure", "stopped", "expected"),
    [
        (STEADY, Measure(rounds=6), "ok", "fixed"),
        (STEADY[:4], Measure(rounds=6), "interrupted", "interrupted"),
        (STEADY[:4], Measure(rounds=6), "over_budget", "budget"),
        (STEADY, ASKING, "ok", "precise"),
        (STEADY, ASKING, "over_budget", "precise"),
        (NOISY, ASKING, "ok", "max_rounds"),
        (NOISY[:7], ASKING, "over_budget", "budget"),
        (NOISY[:7], ASKING, "no_device", "interrupted"),
        ([], ASKING, "ok", None),
    ],
)
def test_why_a_case_has_no_more_rounds(
    estimates: list[float], measure: Measure, stopped: End, expected: RoundsEnded | None
) -> None:
    assert why_ended(lines(*estimates), measure, stopped) == expected
    assert expected is None or expected in ROUNDS_ENDED


def test_stopping_by_precision_does_not_narrow_the_interval_below_what_it_holds() -> None:
    """Of 300 series of log-normal times that stop by the rule, 92 % or more hold the truth in their interval."""
    from harness.declare.rounds import looks
    from harness.judge.stats import median_interval

    draw, wanted = random.Random(0), Measure(rounds=6, precision=0.03, max_rounds=40)
    held = 0
    for _ in range(300):
        series = [draw.lognormvariate(0, 0.05) for _ in range(wanted.most_rounds)]
        made = next((n for n in looks(wanted) if (half_width(series[:n]) or 1) <= 0.03), wanted.most_rounds)
        interval = median_interval(series[:made])
        held += interval is not None and interval.holds(1.0)
    assert held / 300 >= 0.92


def rounds_of(folder: Path) -> dict[str, tuple[int, str | None]]:
    found: dict[str, tuple[int, str | None]] = {}
    for record in read_run(folder).records:
        assert isinstance(record, OkRecord)
        found[record.variant] = len(record.metrics["latency_ms"].rounds or []), record.rounds_ended
    return found


PRECISE: dict[str, Any] = {"rounds": 3, "precision": 0.02, "max_rounds": 6}


def test_only_cases_that_need_them_get_further_rounds(folder: Path) -> None:
    measure(folder, make_plan("steady", "noisy-much", **PRECISE))
    assert rounds_of(folder) == {"steady": (3, "precise"), "noisy-much": (6, "max_rounds")}
    made = read_run(folder).lines
    assert [line.visit for line in made] == list(range(len(made)))
    workers = {line.round: line.worker for line in made if line.round is not None}
    assert len(set(workers.values())) == 6, "every round has a fresh process"
    (noisy,) = [record for record in read_run(folder).records if record.variant == "noisy-much"]
    assert fewest_rounds(read_run(folder).records, 9) == 3
    assert fewest_rounds([noisy], 9) == 6
    assert fewest_rounds([], 9) == 9
    (folder / folders.RECORDS).unlink()
    assert rounds_of(folder) == {"steady": (3, "precise"), "noisy-much": (6, "max_rounds")}, "folded from the journal"


def test_without_a_precision_every_case_has_its_rounds(folder: Path) -> None:
    measure(folder, make_plan("steady", "noisy-much", rounds=3))
    assert set(rounds_of(folder).values()) == {(3, "fixed")}


def test_a_case_that_failed_gets_no_further_rounds(folder: Path) -> None:
    result = measure(folder, make_plan("raises", "steady", **PRECISE))
    assert (result.status, [record.status for record in result.records]) == ("complete", ["crashed", "ok"])


@pytest.mark.parametrize("kept", [4, 10])
def test_a_run_that_was_killed_makes_the_same_rounds(folder: Path, kept: int) -> None:
    chosen = make_plan("steady", "noisy-much", a_a=1, **PRECISE)
    measure(folder, chosen)
    whole = Counter(line.place for line in read_run(folder).lines)
    journal = folder / folders.JOURNAL
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:kept]))
    (folder / folders.RECORDS).unlink()
    document = json.loads((folder / folders.RUN).read_text())
    (folder / folders.RUN).write_text(json.dumps(document | {"status": "running"}))
    result = measure(folder, chosen, resume=True)
    assert (result.status, result.reused) == ("complete", kept)
    assert Counter(line.place for line in read_run(folder).lines) == whole
    assert rounds_of(folder)["noisy-much"] == (6, "max_rounds")
    assert measure(folder, chosen, resume=True).visited == 0
    assert [record.notes for record in read_run(folder).records] == [[], []]


def test_a_budget_says_so_in_the_record(folder: Path) -> None:
    measure(folder, make_plan("waits", "steady", rounds=2, precision=0.02, max_rounds=4), budget=1.5)
    ended = {record.variant: getattr(record, "rounds_ended", None) for record in read_run(folder).records}
    assert ended["waits"] is None, "it has no time at all"
    assert ended["steady"] in (None, "budget")
