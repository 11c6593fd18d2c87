"""What a history says of many runs, on runs in which every change was planted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.case import Case
from reports.history import History, history
from reports.history.stops import in_order
from reports.history.words import told
from reports.read import ReportError, read_run
from reports.words import plain
from tests import fake_history, fake_run
from tests.fake_history import Plant, Top

RUNS = 16


def of(folders: list[Path]) -> History:
    return history(in_order([(folder, read_run(folder)) for folder in folders]))


def made(root: Path, plant: Plant | None = None, top: Top | None = None, number: int = RUNS) -> History:
    return of(fake_history.write(root, number, plant=plant, top=top))


def slow(run: int, case: Case, record: dict[str, Any]) -> float:
    """top-2 with 32 experts becomes 12 % slower with run 9."""
    return 1.12 if case.variant == "top-2" and case.experts == 32 and run >= 9 else 1.0


def peak(run: int, case: Case, record: dict[str, Any]) -> float:
    """soft needs one byte more from run 7 on."""
    record["metrics"]["memory_peak_bytes"]["value"] += case.variant == "soft" and run >= 7
    return 1.0


def keep(folder: Path, wanted: Callable[[str], bool]) -> None:
    """Leave a run only the records of the variants that are wanted."""
    records = folder / "records.jsonl"
    lines = records.read_text("utf-8").splitlines(keepends=True)
    records.write_text("".join(line for line in lines if wanted(json.loads(line)["variant"])), "utf-8")


def torch_changes(run: int) -> dict[str, Any]:
    return {"environment": {"packages": {"torch": "2.13.0" if run >= 9 else "2.11.0"}, "hostname": f"host-{run}"}}


def said(found: History) -> list[str]:
    return [plain(told(group, found.runs.stops)) for group in found.changes.groups]


def test_a_slow_down_is_told_with_its_run_commit_and_day(tmp_path: Path) -> None:
    found = made(tmp_path, slow)
    (words,) = said(found)
    assert words.startswith("latency of top-2 with 32 experts (size S, batch 8, forward) rose by 1")
    assert words.endswith("since run quick-20260910 (commit 09f3c1a, 2026-09-10)")
    answer = plain(found.answer)
    assert answer.startswith(
        "1 of 5 cases changed over 16 runs since 2026-09-01: 1 slower. Most of all, latency of top-2"
    )
    ((shift,),) = [group.shifts for group in found.changes.groups]
    assert (shift.run, shift.how, shift.word) == (9, "step", "slower")
    assert shift.change is not None
    assert shift.change.ratio.holds(1.12)
    assert shift.change.factor > 1


def test_nothing_planted_is_nothing_told(tmp_path: Path) -> None:
    found = made(tmp_path)
    assert found.changes.groups == ()
    assert plain(found.answer) == (
        "None of 5 cases changed over 16 runs since 2026-09-01: no number changed by more than its noise."
    )
    assert found.changes.missing == "There is no change to list."
    assert plain(found.changes.caption).startswith(plain(found.changes.finding))
    assert {line.subject.variant for line in found.trends.lines[: found.trends.drawn]} == {"top-2", "soft", "dense"}


def test_few_runs_tell_no_time_and_say_so(tmp_path: Path) -> None:
    """A change needs two levels and the noise between runs: of two runs that differ threefold none can be told."""
    found = made(tmp_path, lambda run, case, record: 3.0 if run else 1.0, number=2)
    assert plain(found.answer) == (
        "Too few runs to tell a change over 2 runs since 2026-09-01: no number without noise changed; to tell it of a"
        " time takes 5 runs in one environment, and --beside compares fewer."
    )
    assert found.judged == 0
    assert plain(found.trends.finding) == "Too few runs to tell whether a series keeps its level."
    assert plain(found.runs.finding) == "All runs can be compared."
    assert "takes 5 runs in one environment" in plain(found.changes.caption)


def test_a_change_of_what_has_no_noise_hides_no_times_that_cannot_be_told(tmp_path: Path) -> None:
    answer = plain(made(tmp_path, lambda run, case, record: peak(7 * run, case, record), number=2).answer)
    assert answer.startswith("2 of 5 cases changed over 2 runs")
    assert answer.endswith(
        " noisy series have fewer than the 5 runs in one environment that it takes to tell a change."
    )


def test_a_case_that_came_late_is_told_to_have_too_few_runs(tmp_path: Path) -> None:
    folders = fake_history.write(tmp_path, RUNS)
    for folder in folders[:12]:
        keep(folder, lambda variant: variant != "dense")
    found = of(folders)
    assert "no number changed by more than its noise; " in plain(found.answer)
    assert plain(found.trends.finding).startswith("Every series of which it can be told keeps its level; ")


def test_runs_that_share_no_number_tell_nothing(tmp_path: Path) -> None:
    folders = fake_history.write(tmp_path, 2)
    keep(folders[0], lambda variant: variant == "soft")
    keep(folders[1], lambda variant: variant != "soft")
    found = of(folders)
    assert plain(found.answer) == (
        "No change can be told over 2 runs since 2026-09-01: no case has numbers in two runs."
    )
    assert plain(found.changes.finding) == plain(found.runs.finding) == "No case has numbers in two runs."
    assert found.trends.missing == "No number was taken in two runs."


def test_what_has_no_noise_changes_with_a_single_byte(tmp_path: Path) -> None:
    found = made(tmp_path, peak)
    (group,) = found.changes.groups
    assert (len(group.shifts), group.of, group.run, group.metric, group.word) == (2, 2, 7, "memory_peak_bytes", "worse")
    assert "in all its 2 cases" in said(found)[0]
    assert float(group.first.after or 0) == float(group.first.before or 0) + 1


def test_a_byte_stands_behind_a_slow_down_and_a_mebibyte_before_it(tmp_path: Path) -> None:
    def both(run: int, case: Case, record: dict[str, Any]) -> float:
        return slow(run, case, record) * peak(run, case, record)

    def much(run: int, case: Case, record: dict[str, Any]) -> float:
        record["metrics"]["memory_peak_bytes"]["value"] += (run >= 7) << 24
        return slow(run, case, record)

    first, second = made(tmp_path / "a", both).changes.groups
    assert (first.metric, second.metric) == ("latency_ms", "memory_peak_bytes")
    assert made(tmp_path / "b", much).changes.groups[0].metric == "memory_peak_bytes"


def test_a_number_without_noise_that_has_some_is_told_once(tmp_path: Path) -> None:
    def flapping(run: int, case: Case, record: dict[str, Any]) -> float:
        if case.variant == "dense":
            record["metrics"]["det_run"]["value"] = 1.0 if run % 2 else 0.5
        return 1.0

    (words,) = said(made(tmp_path, flapping))
    assert "is unsteady: 2 values in 16 runs" in words


def test_a_cause_that_becomes_another_is_a_change(tmp_path: Path) -> None:
    def cause(run: int, case: Case, record: dict[str, Any]) -> float:
        if case.variant == "dense" and run >= 4:
            record["metrics"]["det_run_cause"]["value"] = "rounding"
        return 1.0

    (words,) = said(made(tmp_path, cause))
    case = "invariance from run to run, cause of dense (size S, batch 8, forward)"
    assert words.startswith(f"{case} is rounding, was none since run")


def test_no_change_is_claimed_across_another_torch(tmp_path: Path) -> None:
    found = made(tmp_path, slow, torch_changes)
    assert found.changes.groups == ()
    assert [(era.first, era.last, era.changed) for era in found.runs.eras] == [
        (0, 8, ()),
        (9, 15, ("torch: 2.11.0, then 2.13.0",)),
    ]
    assert plain(found.runs.finding) == "1 change of environment."
    assert "Environment changed: torch: 2.11.0, then 2.13.0, since run quick-20260910" in plain(found.runs.caption)


def test_another_device_begins_an_era_too_and_another_host_does_not(tmp_path: Path) -> None:
    def moved(run: int) -> dict[str, Any]:
        return {"device": {"kind": "cpu", "name": "A" if run < 5 else "B"}, "environment": {"hostname": f"host-{run}"}}

    assert [era.changed for era in made(tmp_path, None, moved).runs.eras] == [(), ("name: A, then B (another device)",)]


def test_a_change_within_an_era_is_found_beside_another(tmp_path: Path) -> None:
    def later(run: int, case: Case, record: dict[str, Any]) -> float:
        return 1.3 if case.variant == "soft" and run >= 20 else 1.0

    found = made(tmp_path, later, torch_changes, 26)
    assert [(group.run, len(group.shifts)) for group in found.changes.groups] == [(20, 2)]


def test_a_bad_night_is_the_run_s_and_no_change(tmp_path: Path) -> None:
    found = made(tmp_path, lambda run, case, record: 1.4 if run == 6 else 1.0)
    assert found.changes.groups == ()
    (night,) = found.runs.nights
    assert (night.run, night.cases, night.of, night.whole, night.last) == (6, 5, 5, True, False)
    assert night.ratio == pytest.approx(1.4, rel=0.03)
    assert "run quick-20260907 (commit 06f3c1a, 2026-09-07) stands alone: 5 of 5 latencies" in \
        plain(found.runs.caption).replace("Run", "run")  # fmt: skip


def test_the_last_run_may_be_the_first_of_a_new_level_and_is_told(tmp_path: Path) -> None:
    found = made(tmp_path, lambda run, case, record: 1.4 if run == RUNS - 1 else 1.0)
    assert found.changes.groups == ()
    assert [night.last for night in found.runs.nights] == [True]
    assert "no run came after it yet" in plain(found.runs.caption)


def test_what_hits_all_alike_may_be_the_machine(tmp_path: Path) -> None:
    found = made(tmp_path, lambda run, case, record: 1.2 if run >= 8 else 1.0)
    (each,) = found.changes.together
    assert (each.run, each.cases, each.of) == (8, 5, 5)
    assert "may be the machine, not the code" in plain(found.changes.caption)


def test_a_drift_is_told_from_run_to_run(tmp_path: Path) -> None:
    found = made(tmp_path, lambda run, case, record: 1 + 0.01 * run if case.variant == "dense" else 1.0, number=24)
    (words,) = said(found)
    assert "latency of dense" in words
    assert "drifted up by" in words
    assert "from run quick-20260901" in words


def test_cases_that_come_go_and_fail_are_told(tmp_path: Path) -> None:
    cases = fake_history.cases()

    def broken(run: int, case: Case, record: dict[str, Any]) -> float:
        if case.variant == "top-2" and case.experts == 8 and run >= 3:
            kept = fake_run.fail(record, "oom", "needs 9 GiB")
            record.clear()
            record.update(kept)
        return 1.0

    old = fake_history.write(tmp_path / "old", 5, plant=broken, of=cases[:-1])
    new = fake_history.write(tmp_path / "new", 9, plant=broken, of=cases[1:])[5:]
    found = of([*new, *old])
    whole = [group for group in found.changes.groups if group.metric is None]  # invented numbers follow the cases
    assert {(group.word, group.run, group.first.why) for group in whole} == {
        ("failed", 3, "oom: needs 9 GiB"),
        ("missing", 5, "the suite no longer has it"),
        ("changed", 5, "it is new"),
    }
    assert found.cases == 5
    assert [stop.planned for stop in found.runs.stops] == [4] * 9
    assert "1 failed" in found.runs.stops[3].told


def test_a_case_that_an_interrupted_run_did_not_reach_is_a_gap(tmp_path: Path) -> None:
    folders = fake_history.write(tmp_path, RUNS)
    records = folders[8] / "records.jsonl"
    records.write_text("".join(records.read_text("utf-8").splitlines(keepends=True)[:2]), "utf-8")
    document = json.loads((folders[8] / "run.json").read_text("utf-8"))
    (folders[8] / "run.json").write_text(json.dumps(document | {"status": "interrupted"}), "utf-8")
    found = of(folders)
    assert found.changes.groups == ()
    assert "it was not finished" in found.runs.stops[8].told
    lengths = {len(line.points) for line in found.trends.lines if line.metric == "latency_ms"}
    assert lengths == {RUNS, RUNS - 1}


def test_runs_are_put_in_the_order_of_time(tmp_path: Path) -> None:
    folders = fake_history.write(tmp_path, 4)
    assert of(folders[::-1]) == of(folders)


def test_runs_of_two_suites_have_no_history(tmp_path: Path) -> None:
    folders = fake_history.write(tmp_path, 2)
    document = json.loads((folders[1] / "run.json").read_text("utf-8"))
    document["suite"]["name"] = "experts"
    (folders[1] / "run.json").write_text(json.dumps(document), "utf-8")
    with pytest.raises(ReportError, match=r"is of suite experts, .*20260901 of quick: a history is of one suite"):
        of(folders)


def test_a_run_counts_once(tmp_path: Path) -> None:
    folders = fake_history.write(tmp_path, 2)
    with pytest.raises(ReportError, match="is named twice"):
        of([*folders, folders[0]])
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in folders[0].iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    with pytest.raises(ReportError, match="are the same run"):
        of([*folders, copy])


def test_a_run_without_a_moment_cannot_be_placed(tmp_path: Path) -> None:
    folders = fake_history.write(tmp_path, 2, top=lambda run: {"started": "yesterday"} if run else {})
    with pytest.raises(ReportError, match="'yesterday' is no ISO time"):
        of(folders)
