"""Paired runs: two sides in turns, each with a run of its own, judged round by round."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from harness.declare.planned import Plan
from harness.declare.policy import USUAL
from harness.engine.folder import read_document, read_run
from harness.engine.journal import RunFolderError
from harness.engine.keeper import WorkerFailed
from harness.engine.manifest import ResumeMismatch
from harness.engine.paired import run_paired
from harness.engine.progress import Silent
from harness.engine.runner import run
from harness.engine.sides import Side, SideError, TooOld, check_root, describe
from harness.engine.sweep import RunResult
from reports import read
from reports.versus.gate import Gate, judge
from tests.checkouts import make_checkout, plant
from tests.sweeps import make_plan

ROUNDS = 6


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "run"


def sides(folder: Path, factors: dict[str, float] | None = None, **planted: Any) -> tuple[Side, Side]:
    """Return a base and a candidate of which alone the latter is slower, or fails."""
    base = make_checkout(folder.parent / "base-code")
    candidate = make_checkout(folder.parent / "candidate-code", factors, **planted)
    return Side("base", "base-code", base), Side("candidate", "candidate-code", candidate)


def measure(folder: Path, chosen: Plan, both: tuple[Side, Side], **options: Any) -> list[RunResult]:
    return run_paired(chosen, folder, both, device_kind="cpu", **options)


def judged(folder: Path) -> Gate:
    return judge(read.read_run(folder / "base"), read.read_run(folder / "candidate"), USUAL)


def in_order(folder: Path) -> list[tuple[str, str, int | None, str]]:
    """Return the visits of both sides by the time at which they began."""
    found = [
        (line.started, line.key, line.probe, line.round, side)
        for side in ("base", "candidate")
        for line in read_run(folder / side).lines
    ]
    return [(key, probe, round_, side) for _, key, probe, round_, side in sorted(found)]


def test_each_visit_is_made_on_both_sides_one_after_the_other_in_random_order(folder: Path) -> None:
    results = measure(folder, make_plan("a", "b", rounds=3, a_a=1), sides(folder))
    assert [result.end for result in results] == ["ok", "ok"]
    visits = in_order(folder)
    assert len(visits) == 2 * (2 + 3 * 3)
    first, second = visits[::2], visits[1::2]
    assert [visit[:3] for visit in first] == [visit[:3] for visit in second]
    assert all({a[3], b[3]} == {"base", "candidate"} for a, b in zip(first, second, strict=True))
    assert {visit[3] for visit in first} == {"base", "candidate"}  # either is first at times


def test_each_side_leaves_a_run_that_says_whose_it_is(folder: Path) -> None:
    both = sides(folder, {"a": 1.1})
    measure(folder, make_plan("a"), both)
    documents = [read_document(folder / side.name) for side in both]
    assert [document["status"] for document in documents] == ["complete", "complete"]
    base, candidate = documents
    assert base["harness"]["source"] != candidate["harness"]["source"]
    assert base["paired"]["id"] == candidate["paired"]["id"]
    assert (base["paired"]["side"], candidate["paired"]["side"]) == ("base", "candidate")
    assert len({line.worker for side in both for line in read_run(folder / side.name).lines}) == 2 * 3


def test_a_slow_down_of_one_layer_names_that_layer_and_no_other(folder: Path) -> None:
    measure(folder, make_plan("noisy-a", "noisy-b", "noisy-much", rounds=ROUNDS), sides(folder, {"noisy-much": 1.1}))
    found = judged(folder)
    assert found.versus.paired
    assert [row.id.startswith("noisy-much") for row in found.failures] == [True]
    (row,) = found.failures
    assert row.change is not None
    assert row.change.ratio.value == pytest.approx(1.1)  # its rounds differ by 20 %, and that is in both sides alike
    assert not found.versus.differences


def test_a_checkout_against_itself_passes(folder: Path) -> None:
    base, _ = sides(folder)
    measure(folder, make_plan("noisy-a", "noisy-b", rounds=ROUNDS), (base, Side("candidate", "same", base.root)))
    found = judged(folder)
    assert found.passes
    assert found.versus.count("same") == len(found.versus.rows)


def test_two_runs_that_are_no_pair_are_not_judged_as_one(folder: Path) -> None:
    both = sides(folder)
    for name in ("one", "two"):
        measure(folder.parent / name, make_plan("noisy-a", rounds=1), both)
    base, candidate = (read.read_run(folder.parent / name) for name in ("one/base", "two/candidate"))
    assert not judge(base, candidate, USUAL).versus.paired
    assert not judge(base, base, USUAL).versus.paired


def test_what_fails_on_one_side_is_measured_to_its_end_on_the_other(folder: Path) -> None:
    measure(folder, make_plan("a", "b"), sides(folder, failing=("a",)))
    statuses = {
        side: {record.variant: record.status for record in read_run(folder / side).records}
        for side in ("base", "candidate")
    }
    assert statuses == {"base": {"a": "ok", "b": "ok"}, "candidate": {"a": "crashed", "b": "ok"}}
    assert [row.verdict for row in judged(folder).failures] == ["failed"]


def test_a_worker_that_dies_takes_the_other_sides_with_it_no_more_than_its_own(folder: Path) -> None:
    results = measure(folder, make_plan("segfault", "b", rounds=3), sides(folder))
    for result in results:
        assert [record.status for record in result.records] == ["crashed", "ok"]
        assert result.records[1].notes == []


def test_further_rounds_are_made_on_both_sides_until_both_are_precise(folder: Path) -> None:
    measure(folder, make_plan("noisy-much", rounds=2, precision=0.001, max_rounds=4), sides(folder))
    visited = Counter(visit[3] for visit in in_order(folder) if visit[1] == "latency")
    assert visited == {"base": 4, "candidate": 4}


class StopAfter(Silent):
    """Asks for the end of the run after so many visits."""

    def __init__(self, visits: int) -> None:
        self.left = visits

    def visited(self, line: object) -> None:
        self.left -= 1

    def __call__(self) -> bool:
        return self.left <= 0


def test_an_interrupted_pair_goes_on_and_makes_no_visit_twice(folder: Path) -> None:
    chosen, both, stop = make_plan("a", "b", rounds=3), sides(folder), StopAfter(5)
    results = measure(folder, chosen, both, progress=stop, stopped=stop)
    assert {result.end for result in results} == {"interrupted"}
    assert sum(result.visited for result in results) == 5
    results = measure(folder, chosen, both, resume=True)
    assert {result.end for result in results} == {"ok"}
    assert sum(result.reused for result in results) == 5
    assert max(Counter(in_order(folder)).values()) == 1


def test_one_side_does_not_go_on_alone(folder: Path) -> None:
    chosen, stop = make_plan("a"), StopAfter(1)
    measure(folder, chosen, sides(folder), progress=stop, stopped=stop)
    with pytest.raises(ResumeMismatch, match="one side of a paired run"):
        run(chosen, folder / "base", device_kind="cpu", resume=True)
    with pytest.raises(RunFolderError, match="already holds a run"):
        measure(folder, chosen, (Side("base", "b", folder), Side("candidate", "c", folder)))


def test_a_worker_that_cannot_start_leaves_no_run(folder: Path) -> None:
    both = sides(folder)
    (both[1].root / "harness" / "engine" / "worker.py").write_text("raise SystemExit('planted')")
    with pytest.raises(WorkerFailed, match="planted"):
        measure(folder, make_plan("a"), both)
    assert not (folder / "candidate" / "run.json").exists()


def test_a_side_with_another_protocol_or_fewer_axes_is_too_old(folder: Path) -> None:
    side, _ = sides(folder)
    protocol = side.root / "harness" / "engine" / "protocol.py"
    text = protocol.read_text()
    protocol.write_text(text.replace("VERSION = 1", "VERSION = 0"))
    with pytest.raises(TooOld, match="the base base-code speaks version 0"):
        describe(side, make_plan("a"))
    protocol.write_text(text)
    case = side.root / "harness" / "case.py"
    case.write_text(case.read_text().replace("    d_ff:", "    d_other:"))
    with pytest.raises(TooOld, match="does not know 1 of the suite's 1 cases"):
        describe(side, make_plan("a"))


def test_a_side_whose_harness_lacks_a_room_is_too_old(folder: Path) -> None:
    side, _ = sides(folder)
    (side.root / "harness" / "engine" / "environment.py").unlink()
    with pytest.raises(TooOld, match="too old to be measured beside this harness"):
        describe(side, make_plan("a"))


def interpreter(folder: Path, text: str) -> str:
    """Return a program that stands for an interpreter."""
    path = folder.parent / "python"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("program", "words"),
    [
        (None, r"none/python cannot be started \(No such file or directory\); .*--base-python"),
        ("echo 'ModuleNotFoundError: No module named psutil' >&2; exit 1", r"No module named psutil.*--base-python"),
        (
            """echo '{"protocol": 1, "unknown": [], "environment": {}, "harness": {}}'""",
            "has no torch; name another by --base-python",
        ),
    ],
)
def test_an_interpreter_that_cannot_serve_is_told(folder: Path, program: str | None, words: str) -> None:
    side = Side("base", "here", Path.cwd(), "/none/python" if program is None else interpreter(folder, program))
    with pytest.raises(SideError, match=words):
        describe(side, make_plan("a"))


def test_a_folder_without_harness_is_no_side(tmp_path: Path) -> None:
    with pytest.raises(SideError, match="elsewhere holds no harness"):
        check_root(tmp_path, "elsewhere")


def test_planting_changes_a_checkout(folder: Path) -> None:
    both = sides(folder)
    plant(both[1].root, {"a": 2.0})
    measure(folder, make_plan("a"), both)
    (row,) = [row for row in judged(folder).versus.rows if row.metric == "latency_ms"]
    assert row.change is not None
    assert row.change.ratio.value == pytest.approx(2.0)
