"""A/A cells in whole runs: journalled, kept out of the records, stated in run.json; and what may befall them."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from harness.declare.rounds import A_A
from harness.engine import folder as folders
from harness.engine.cells import noise_document
from harness.engine.folder import read_run
from harness.engine.journal import Line
from harness.record import OkRecord
from tests.sweeps import answered, make_plan, measure

BOTH = ("latency", A_A)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "run"


def noise(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = read_run(folder).document["noise"]
    return found


def ok(folder: Path) -> list[OkRecord]:
    return [record for record in read_run(folder).records if isinstance(record, OkRecord)]


def test_a_cell_is_journalled_and_no_part_of_its_cases_record(folder: Path) -> None:
    measure(folder, make_plan("noisy", rounds=3, a_a=1))
    run = read_run(folder)
    assert Counter(line.probe for line in run.lines) == {"check": 1, "latency": 3, A_A: 3}
    assert answered(folder) == {"noisy check": 1, "noisy latency": 3, "noisy/a_a latency": 3}
    (record,) = ok(folder)
    assert record.metrics["latency_ms"].n == 9
    own = [line.values["latency_ms"] for line in run.lines if line.probe == "latency"]
    assert [[estimate] for estimate in record.metrics["latency_ms"].rounds or []] == [sorted(own_)[1:2] for own_ in own]  # type: ignore[arg-type]
    twice = [line for line in run.lines if line.probe == A_A]
    assert {line.round for line in twice} == {0, 1, 2}
    assert {line.key for line in twice} == {record.key}
    assert (record.notes, record.rounds_ended) == ([], "fixed")


def test_both_labels_of_a_round_share_its_process(folder: Path) -> None:
    measure(folder, make_plan("noisy", rounds=3, a_a=1))
    pids = {(line.round, line.worker) for line in read_run(folder).lines if line.round is not None}
    assert len(pids) == 3


def test_a_sound_run_states_its_noise(folder: Path) -> None:
    measure(folder, make_plan("noisy", *"bcdefgh", rounds=6, a_a=2))
    found = noise(folder)
    assert (found["cells"], found["pairs"], found["rounds"], found["differ"]) == (2, 12, 6, False)
    assert found["low"] <= 1 <= found["high"]
    assert len(found["by_cell"]) == 2
    assert found["broken"] == []
    assert 0 <= found["smallest_change"] < 0.05


@pytest.mark.parametrize(("planted", "what"), [("label", "label"), ("tires", "order")])
def test_cells_that_differ_are_told(folder: Path, planted: str, what: str) -> None:
    measure(folder, make_plan(planted, rounds=6, a_a=1))
    found = noise(folder)
    assert found["differ"]
    assert ("label" if found["low"] > 1.1 else "order") == what
    assert (found["later_over_earlier"]["low"] > 1.1) == (what == "order")


def test_what_befalls_a_second_label_is_not_its_cases_doing(folder: Path) -> None:
    measure(folder, make_plan("twin-fails", rounds=3, a_a=1))
    assert [(record.variant, record.status) for record in read_run(folder).records] == [("twin-fails", "ok")]
    assert read_run(folder).document["noise"] is None
    assert answered(folder).get("twin-fails/a_a latency", 0) <= 2, "one visit, and once more in a new worker"
    (folder / folders.RECORDS).unlink()
    assert [record.status for record in read_run(folder).records] == ["ok"], "a run that was killed says the same"


def test_the_other_cells_carry_on_where_one_breaks() -> None:
    lines = [
        line(probe, round_, 1.0, key=key, id=key) for key in "ab" for round_ in (0, 1) for probe in ("latency", A_A)
    ]
    lines[-1] = line(A_A, 1, 1.0, key="b", id="b", status="oom", reason="out of memory", values={})
    found = noise_document(lines, 2)
    assert found is not None
    assert [(cell["id"], cell["pairs"]) for cell in found["by_cell"]] == [("a", 2)]
    assert found["pairs"] == 3
    assert found["broken"] == [{"id": "b", "reason": "out of memory"}]


def test_a_case_that_failed_has_no_second_label(folder: Path) -> None:
    measure(folder, make_plan("raises", rounds=4, a_a=1))
    assert answered(folder)["raises latency"] == 1
    assert answered(folder)["raises/a_a latency"] <= 1
    assert read_run(folder).document["noise"] is None


def test_a_device_that_is_lost_under_a_second_label_costs_the_visit_alone(folder: Path) -> None:
    chosen = make_plan("twin-lost", rounds=2, a_a=1)
    assert measure(folder, chosen).end == "no_device"
    (folder.parent / "device-is-back").touch()
    assert measure(folder, chosen, resume=True).end == "ok"
    assert [record.status for record in read_run(folder).records] == ["ok"]
    assert noise(folder)["pairs"] == 2


@pytest.mark.parametrize("lines", [3, 8])
def test_a_killed_run_goes_on_with_its_cells(folder: Path, lines: int) -> None:
    chosen = make_plan("noisy", "b", rounds=4, a_a=1)
    measure(folder, chosen)
    whole, stated = read_run(folder).lines, noise(folder)
    journal = folder / folders.JOURNAL
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:lines]))
    (folder / folders.RECORDS).unlink()
    document = json.loads((folder / folders.RUN).read_text())
    (folder / folders.RUN).write_text(json.dumps(document | {"status": "running", "noise": None}))
    folders.settle(folder)
    assert (read_run(folder).document["noise"] or {"pairs": 0})["pairs"] == {3: 0, 8: 2}[lines], "told of what there is"
    result = measure(folder, chosen, resume=True)
    assert (result.reused, result.visited) == (lines, len(whole) - lines)
    assert [line.place for line in read_run(folder).lines] == [line.place for line in whole]
    assert noise(folder)["pairs"] == stated["pairs"] == 4
    assert measure(folder, chosen, resume=True).visited == 0
    assert noise(folder) == stated


def test_a_budget_ends_a_run_with_the_noise_of_what_there_is(folder: Path) -> None:
    chosen = make_plan("noisy", "waits", rounds=4, a_a=1)
    assert measure(folder, chosen, budget=1.5).end == "over_budget"
    (folder.parent / "go").touch()
    assert measure(folder, chosen, resume=True).end == "ok"
    assert noise(folder)["pairs"] == 4


def line(probe: str, round_: int, time: float, **changes: Any) -> Line:
    fields = {"visit": 0, "key": "k", "id": "i", "probe": probe, "round": round_, "status": "ok", "started": ""}
    return Line.model_validate(fields | {"seconds": 0.0, "values": {"latency_ms": [time]}} | changes)


def test_pairs_are_of_one_round_and_the_journal_says_who_came_first() -> None:
    lines = [line("latency", 0, 1.0), line(A_A, 0, 1.1), line(A_A, 1, 2.0), line("latency", 1, 2.2), line(A_A, 2, 9.0)]
    found = noise_document(lines, 6)
    assert found is not None
    assert (found["cells"], found["pairs"], found["rounds"]) == (1, 2, 6)
    assert found["ratio"] == pytest.approx((1.1 / 1.0 * 2.0 / 2.2) ** 0.5)
    assert found["later_over_earlier"]["ratio"] == pytest.approx(1.1)
    assert noise_document([line("latency", 0, 1.0)], 6) is None
