"""A candidate's page against its baseline: what it says, on runs that differ in one known thing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.record import MARKS
from reports import ReportError, render
from reports.against import entries
from reports.data import render_data
from reports.figures.quantiles import band_words
from reports.page import render_page
from reports.read import read_run
from reports.review import Review, review
from reports.summary import render_summary
from reports.words import plain
from tests import fake_run
from tests.fake_run import Edit
from tests.test_gate_claims import run as claiming
from tests.test_page import HOSTILE, Page
from tests.test_versus import CASES, VICTIM, again, only, slow

LATER: dict[str, Any] = {"started": "2026-11-22T02:14:02+00:00", "command": "harness run quick --device cpu"}
ELSEWHERE = {"kind": "cpu", "name": "Another CPU (invented)", "cores": 2, "threads": 2, "memory_bytes": 8 << 30}


def write(tmp_path: Path, edit: Edit | None = None, cases: Any = None, **top: Any) -> tuple[Path, Path]:
    base = fake_run.write_run(tmp_path / "base", CASES, edit=again(1))
    return base, fake_run.write_run(tmp_path / "candidate", cases or CASES, edit=again(2, edit), **(LATER | top))


def against(tmp_path: Path, edit: Edit | None = None, **top: Any) -> Review:
    base, candidate = write(tmp_path, edit, **top)
    return review(read_run(candidate), read_run(base))


def shown(found: Review) -> str:
    return " ".join("".join(Page(render_page(found)).text).split())


def heavier(record: dict[str, Any]) -> dict[str, Any]:
    record["metrics"]["memory_peak_bytes"]["value"] += 65536
    return record


def of(found: Review, group: str) -> list[Any]:
    assert found.against is not None
    return [entry for each in found.against.regressions.groups if each.id == group for entry in each.entries]


def test_what_a_page_leaves_to_the_data_beside_it_stands_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entries, "LISTED", 2)
    found = against(tmp_path)
    (group,) = json.loads(render_data(found))["against"]["regressions"]["groups"]
    assert len(group["entries"]) == len(CASES)
    assert group["left_out"] == len(CASES) - 2
    assert f"{len(CASES) - 2} stand in the data beside this page alone" in shown(found)
    assert render_page(found).partition("id=regressions")[2].partition("<section")[0].count("class=row>") == 2


def test_a_page_of_one_run_says_nothing_of_a_baseline(tmp_path: Path) -> None:
    _, candidate = write(tmp_path)
    alone = review(read_run(candidate))
    assert alone.against is None
    assert {"comparability", "regressions"}.isdisjoint(section.id for section in alone.sections)
    assert "baseline" not in shown(alone).lower().replace("baselines", "")


def test_two_runs_of_one_code_have_no_regression(tmp_path: Path) -> None:
    found = against(tmp_path)
    assert found.against is not None
    answer = plain(found.answer)
    assert answer.startswith(
        f"Against the baseline base: no regression of times beyond noise in {len(CASES)} cases; "
        "memory, FLOPs and determinism are the same. "
    )
    assert [group.id for group in found.against.regressions.groups] == ["noise"]
    assert found.against.regressions.groups[0].title == f"{len(CASES)} times within noise"
    assert found.against.comparability.attention is None
    assert found.against.regressions.attention is None
    words = [card.word for card in found.against.cards]
    assert words[-1] == "same"
    assert "slower" not in words


def test_a_slower_case_stands_on_the_first_screen_and_first_in_its_table(tmp_path: Path) -> None:
    found = against(tmp_path, only(slow(1.3)))
    assert found.against is not None
    assert f"1 of {len(CASES)} cases is slower, at 1.298× [1.290, 1.306] the baseline’s time" in plain(found.answer)
    (entry,) = of(found, "slower")
    assert entry.subject.id == VICTIM
    assert entry.ratio.value == pytest.approx(1.3, abs=0.03)
    assert entry.noise < 0.03
    assert entry.factor > 5
    assert entry.command == f"harness run quick --select 'id == \"{VICTIM}\"' --device cpu"
    assert found.against.regressions.groups[0].id == "slower"
    assert found.against.regressions.attention == "✗ 1"
    assert any(card.word == "slower" and VICTIM in card.text for card in found.against.cards)
    text = shown(found)
    for words in (plain(found.against.answer).strip(), entry.command, "1 slower", "±"):
        assert words in text
    assert "| ✗ slower |" in render_summary(found)


def test_what_has_no_noise_says_from_what_to_what(tmp_path: Path) -> None:
    found = against(tmp_path, only(heavier))
    assert found.against is not None
    assert "memory is worse in 1 case" in plain(found.answer)
    (entry,) = of(found, "worse")
    assert (entry.verdict, [number.name for number in entry.numbers]) == ("worse", ["peak of memory"])
    assert entry.numbers[0].text.endswith("64.0 KiB more")
    assert found.against.cards[-1].word == "worse"
    assert found.against.cards[-1].big == f"1 of {len(CASES)}"


def test_failed_missing_and_new_cases_have_rows_of_their_own(tmp_path: Path) -> None:
    def broken(record: dict[str, Any]) -> dict[str, Any]:
        return fake_run.fail(record, "oom", "it needs 251 GiB")

    found = against(tmp_path, only(broken), cases=[*CASES[1:], CASES[0], fake_run.make_case("late", "dense")])
    (failed,) = of(found, "failed")
    assert (failed.verdict, failed.why) == ("failed", "oom: it needs 251 GiB")
    (new,) = of(found, "not-comparable")
    assert "the baseline has no such case" in str(new.why)
    gone = against(tmp_path / "other", cases=CASES[1:])
    (missing,) = of(gone, "failed")
    assert (missing.subject.id, missing.verdict) == (VICTIM, "missing")
    assert "1 missing case" in plain(gone.answer)
    assert VICTIM in shown(gone)


def test_a_case_that_fails_on_both_sides_is_told_as_such(tmp_path: Path) -> None:
    def broken(record: dict[str, Any]) -> dict[str, Any]:
        return fake_run.fail(record, "oom", "it needs 251 GiB")

    base = fake_run.write_run(tmp_path / "base", CASES, edit=again(1, only(broken)))
    candidate = fake_run.write_run(tmp_path / "candidate", CASES, edit=again(2, only(broken)), **LATER)
    found = review(read_run(candidate), read_run(base))
    (entry,) = of(found, "failed-before")
    assert (entry.subject.id, entry.why) == (VICTIM, "oom on both sides: it needs 251 GiB")
    assert of(found, "failed") == []
    assert "1 case failed on both sides" in shown(found)


def test_runs_of_different_cases_of_one_plan_have_nothing_to_compare(tmp_path: Path) -> None:
    """One run came to the first half of the plan, the other to the second, and to the last case neither did."""
    ids = [case.id for case in CASES]
    half = len(ids) // 2

    def reached(some: list[str]) -> Edit:
        return lambda case, record: record if record.get("id") in some else None

    base = fake_run.write_run(tmp_path / "base", CASES, edit=reached(ids[:half]))
    candidate = fake_run.write_run(tmp_path / "candidate", CASES, edit=reached(ids[half:-1]), **LATER)
    found = review(read_run(candidate), read_run(base))
    said = f"no case has numbers in both runs, and nothing could be compared; {half} missing cases"
    assert said in plain(found.answer)
    (entry,) = [one for one in of(found, "not-comparable") if one.subject.id == ids[-1]]
    assert (entry.verdict, entry.why) == ("not comparable", "neither run has measured it")
    assert not any(one.verdict == "same" for group in ("failed-before", "not-comparable") for one in of(found, group))


def test_another_device_has_no_ratio_and_the_page_says_so(tmp_path: Path) -> None:
    found = against(tmp_path, only(slow(1.3)), device=ELSEWHERE)
    assert found.against is not None
    assert "times are not comparable (another device); memory, FLOPs and determinism are the same" in plain(
        found.answer
    )
    assert found.against.regressions.curve is None
    assert all(entry.ratio is None for group in found.against.regressions.groups for entry in group.entries)
    assert [card.word for card in found.against.cards] == ["not comparable", "same"]
    fact = found.against.comparability.differing[0]
    assert fact.forbids
    assert fact.values == ("Test CPU (invented)", "Another CPU (invented)")
    assert plain(found.against.comparability.finding) == "Their times may not: another device."
    assert "no ratio of times" in shown(found)


def test_comparability_tells_what_differs_first_and_what_is_the_same(tmp_path: Path) -> None:
    harness = {"version": "0.1.0", "commit": "3f36fb5c", "dirty": True, "source": "b"}
    packages = {"packages": {"torch": "2.14.0"}, "python": "3.11.9", "os": "Linux 6.8", "hostname": "elsewhere"}
    found = against(tmp_path, harness=harness, environment=packages)
    assert found.against is not None
    section = found.against.comparability
    assert section.differing[0].name == "Commit"
    assert section.differing[0].values == ("9f3c1ab", "3f36fb5 with changes")
    told = {fact.name: (fact.values, fact.consequence, fact.forbids) for fact in section.differing}
    assert told["Packages, torch"] == (("2.13.0+cpu", "2.14.0"), "noted: its kernels may be others", False)
    assert told["Hostname"][2] is False
    assert dict(section.same)["Number format"] == "float32"
    assert plain(section.finding) == "Yes; 3 facts differ, and none forbids a ratio."
    alike = against(tmp_path / "alike", harness=harness)
    assert alike.against is not None
    assert plain(alike.against.comparability.finding) == "Yes: nothing differs but the code."


@pytest.mark.parametrize("name", ["comparability", "regressions"])
def test_a_captions_first_sentence_is_the_finding_with_its_numbers(tmp_path: Path, name: str) -> None:
    found = against(tmp_path, only(slow(1.3)))
    section = getattr(found.against, name)
    first = {"comparability": "Nothing of what the runs tell of themselves differs. ",
             "regressions": f"Of {sum(section.tally.values()) if name == 'regressions' else 0} numbers of "
                            f"{len(CASES)} cases: "}[name]  # fmt: skip
    assert plain(section.caption).startswith(first)
    if name == "regressions":
        assert "1 slower" in plain(section.caption).split(". ")[0]


def test_the_curve_holds_every_ratio_and_its_finding_counts_them(tmp_path: Path) -> None:
    found = against(tmp_path, only(slow(1.3)))
    assert found.against is not None
    curve = found.against.regressions.curve
    assert curve is not None
    assert (curve.cases, curve.slower, curve.faster) == (len(CASES), 1, 0)
    assert list(curve.ratios) == sorted(curve.ratios)
    assert curve.ratios[-1] == pytest.approx(1.3, abs=0.03)
    assert curve.shares[-1] == 1.0
    assert dict(curve.quantiles)[1.0] == curve.ratios[-1]
    above = sum(ratio > 1 for ratio in curve.ratios)
    assert plain(curve.finding).endswith(f"their baseline’s time, and {above} above 1×.")
    assert plain(curve.finding).startswith(f"Half of {len(CASES)} cases lie between 1.0")


def test_a_drift_is_told_and_explains_the_cases_that_follow_it(tmp_path: Path) -> None:
    found = against(tmp_path, lambda case, record: slow(1.1)(record))
    assert found.against is not None
    assert "this run is 10 % slower throughout" in found.against.regressions.drift
    kinds = {entry.hint.kind for entry in of(found, "slower") if entry.hint}
    assert kinds == {"whole run"}


def hinted(tmp_path: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    found = against(tmp_path, only(lambda record: change(slow(1.3)(record))))
    (entry,) = of(found, "slower")
    return entry.hint


def test_a_slower_case_names_the_phase_that_took_the_time(tmp_path: Path) -> None:
    def combine(record: dict[str, Any]) -> dict[str, Any]:
        metrics = record["metrics"]
        metrics["latency_ms"]["value"] *= 1.3
        for name in ("router", "dispatch", "experts", "combine", "other"):
            metrics[f"phase_{name}_share"]["value"] /= 1.3
        metrics["phase_combine_share"]["value"] += 0.3 / 1.3
        return record

    found = hinted(tmp_path, combine)
    assert (found.kind, found.text.split(" ")[0]) == ("phase", "combine")
    assert found.text.startswith("combine +")


def test_where_all_phases_grow_alike_none_is_the_cause(tmp_path: Path) -> None:
    def longer(record: dict[str, Any]) -> dict[str, Any]:
        record["metrics"]["latency_ms"]["value"] *= 1.3
        return record

    assert hinted(tmp_path, longer) is None


def test_a_disturbed_machine_is_named(tmp_path: Path) -> None:
    found = hinted(tmp_path, lambda record: record | {"marks": {next(iter(MARKS)): 4}})
    assert found.kind == "machine"
    assert found.text.startswith("50 % of the candidate’s rounds ")


def test_what_the_noise_floor_hides_is_said_with_the_verdict(tmp_path: Path) -> None:
    quiet = {"ratio": 1.0, "low": 0.9, "high": 1.1}
    floor = quiet | {"cells": 2, "pairs": 16, "rounds": 8, "smallest_change": 0.5, "differ": False}
    found = against(tmp_path, only(slow(1.3)), noise=floor)
    hidden = "no regression of times beyond noise in 14 cases (no change below the noise floor of 50 % can be told)"
    assert hidden in plain(found.answer)
    blind = against(tmp_path / "blind", only(slow(1.3)), noise=floor | {"differ": True})
    assert "no time is told slower or faster: a run’s own control fails" in plain(blind.answer)
    assert any("differ" in banner for banner in blind.banners)
    assert "nothing can be told" in shown(blind)


LET_PASS = "No change of a time below the gate’s threshold of 3 % is told"
HIDDEN = (
    "No time is called faster or slower by less than the noise floor of 5.0 %: the runs' A/A cells, layers against"
    " themselves, could not be told apart by less."
)


@pytest.mark.parametrize(
    ("floor", "limit", "told"),
    [
        (None, "the gate’s threshold of ±3.0 %", f"{LET_PASS}."),
        (0.024, "the gate’s threshold of ±3.0 %", f"{LET_PASS}; the runs’ noise floor is lower, 2.4 %."),
        (0.05, "the noise floor of ±5.0 %", HIDDEN),
    ],
    ids=["no A/A cells", "below the threshold", "above the threshold"],
)
def test_of_threshold_and_noise_floor_the_page_names_the_one_that_decides(
    tmp_path: Path, floor: float | None, limit: str, told: str
) -> None:
    cells = {"ratio": 1.0, "low": 0.9, "high": 1.1, "cells": 2, "pairs": 16, "rounds": 8, "differ": False}
    found = against(tmp_path, only(slow(1.3)), noise=cells | {"smallest_change": floor} if floor else None)
    assert found.against is not None
    section = found.against.regressions
    assert section.noise == told
    assert f"A time is called slower or faster beyond {limit}, its" in plain(section.caption)
    assert section.curve is not None
    assert limit.startswith(section.curve.limit)
    assert band_words(section.curve) == f"within {limit.split(' of ')[1]}, {section.curve.limit}"


def test_claims_that_came_out_otherwise_are_told(tmp_path: Path) -> None:
    base, candidate = claiming(tmp_path / "base", 0.0), claiming(tmp_path / "candidate", 1.0)
    found = review(read_run(candidate), read_run(base))
    assert found.against is not None
    (told,) = found.against.regressions.claims
    assert told.startswith("claim claim-0 was confirmed and is refuted")
    assert told in shown(found)


def test_a_slower_case_names_its_other_backend_or_its_greater_work_first(tmp_path: Path) -> None:
    found = hinted(tmp_path, lambda record: record | {"backend": "loop"})
    assert (found.kind, found.text.endswith("then loop")) == ("method", True)

    def busier(record: dict[str, Any]) -> dict[str, Any]:
        record["metrics"]["flops_executed"]["value"] *= 2
        return record

    found = hinted(tmp_path / "busier", busier)
    assert (found.kind, found.text) == ("work", "it runs 2.00× the FLOPs")


def test_where_nothing_tells_a_cause_there_is_no_hint(tmp_path: Path) -> None:
    assert hinted(tmp_path, lambda record: record) is None


def test_the_three_printers_say_the_same_and_the_page_is_the_same_each_time(tmp_path: Path) -> None:
    found = against(tmp_path, only(slow(1.3)))
    assert found.against is not None
    data = json.loads(render_data(found))
    (slower,) = [group for group in data["against"]["regressions"]["groups"] if group["id"] == "slower"]
    assert slower["entries"][0]["ratio"]["value"] == of(found, "slower")[0].ratio.value
    for section in (found.against.comparability, found.against.regressions):
        assert plain(section.finding) in shown(found)
    assert found.against.regressions.drift in shown(found)
    assert render_page(found) == render_page(found)


def test_hostile_names_are_text(tmp_path: Path) -> None:
    harness = {"version": HOSTILE, "commit": HOSTILE, "dirty": False, "source": None}
    found = against(tmp_path, harness=harness, environment={"branch": HOSTILE})
    page = render_page(found)
    assert HOSTILE not in page
    assert HOSTILE in shown(found)


@pytest.mark.parametrize(
    "edit",
    [
        lambda case, record: None,
        lambda case, record: fake_run.fail(record, "oom", "too large"),
        lambda case, record: fake_run.without(record, "latency", "memory", "det_"),
        lambda case, record: record | {"metrics": {}},
    ],
    ids=["no record", "all failed", "missing probes", "no metric"],
)
def test_whatever_is_missing_the_page_stands(tmp_path: Path, edit: Edit) -> None:
    found = against(tmp_path, edit)
    assert "Regressions" in shown(found)
    assert plain(found.answer).startswith("Against the baseline base: ")
    turned = review(read_run(tmp_path / "base"), read_run(tmp_path / "candidate"))
    assert "Regressions" in shown(turned)


def test_runs_with_nothing_to_compare_are_refused_in_one_sentence(tmp_path: Path) -> None:
    base, candidate = write(tmp_path)
    target = tmp_path / "page.html"

    def refused(run: Path, baseline: Path) -> str:
        with pytest.raises(ReportError) as error:
            render(run, html=target, baseline=baseline)
        assert not target.exists()
        return str(error.value)

    assert "its own baseline" in refused(candidate, candidate)
    twin = fake_run.write_run(tmp_path / "twin", CASES, edit=again(1))
    assert "are the same run" in refused(twin, base)
    other = fake_run.write_run(tmp_path / "other", [fake_run.make_case("late", "dense")], **LATER)
    assert "no case in common" in refused(other, base)
    file = json.loads((other / "run.json").read_text("utf-8"))
    file["suite"]["name"] = "gpu"
    (other / "run.json").write_text(json.dumps(file), "utf-8")
    assert "is of suite gpu, its baseline base of quick" in refused(other, base)
    assert "no run directory" in refused(candidate, tmp_path / "nowhere")
