"""Baseline against candidate: on runs that differ in one known thing."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, get_args

import pytest

from harness.case import Case
from harness.judge.compare import Change, Word
from reports.read import read_run
from reports.versus import Row, Versus, compare, text, words
from reports.versus.versus import BY_FLOOR
from tests import fake_run
from tests.fake_run import Edit

CASES = fake_run.sweep_cases()
VICTIM = CASES[0].id


def versus(tmp_path: Path, edit: Edit | None = None, cases: list[Case] | None = None, **top: Any) -> Versus:
    base = fake_run.write_run(tmp_path / "base", CASES, edit=again(1))
    candidate = fake_run.write_run(tmp_path / "candidate", cases or CASES, edit=again(2, edit), **top)
    return compare(read_run(base), read_run(candidate))


def again(seed: int, edit: Edit | None = None) -> Edit:
    """Return what draws every round anew around the record's time, as a second run would, then calls `edit`."""

    def drawn(case: Case, record: dict[str, Any]) -> dict[str, Any] | None:
        draw = random.Random(f"{seed}{case.id}")
        data = json.loads(json.dumps(record, default=asdict))
        time = data["metrics"]["latency_ms"]
        time["rounds"] = [time["value"] * draw.lognormvariate(0, 0.005) for _ in range(8)]
        return edit(case, data) if edit is not None else data

    return drawn


def only(change: Callable[[dict[str, Any]], dict[str, Any] | None]) -> Edit:
    """Return an edit of the victim's record alone."""
    return lambda case, record: change(record) if case.id == VICTIM else record


def slow(factor: float) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def slower(record: dict[str, Any]) -> dict[str, Any]:
        time = record["metrics"]["latency_ms"]
        time["rounds"] = [value * factor for value in time["rounds"]]
        return record

    return slower


def of_victim(found: Versus, metric: str | None) -> Row:
    (row,) = [row for row in found.rows if row.id == VICTIM and row.metric == metric]
    return row


def test_two_runs_of_one_code_have_nothing_to_report(tmp_path: Path) -> None:
    found = versus(tmp_path)
    assert found.comparable
    assert found.count("slower", "faster", "worse", "better", "failed", "missing", "changed", "not comparable") == 0
    assert found.comparisons == len(CASES)
    assert any("Compared with their noise" in line for line in text.lines(found))


@pytest.mark.parametrize(("factor", "word"), [(1.1, "slower"), (0.9, "faster"), (1.0, "same")])
def test_a_planted_change_is_found_and_comes_first(tmp_path: Path, factor: float, word: str) -> None:
    found = versus(tmp_path, only(slow(factor)))
    row = of_victim(found, "latency_ms")
    assert row.verdict == word
    assert row.change is not None
    assert row.change.ratio.value == pytest.approx(factor, abs=0.02)
    if word == "slower":
        assert found.rows[0] is row
        assert row.change.factor > 3
        assert any(
            f"{VICTIM}: latency_ms slower, 1.0" in line or f"{VICTIM}: latency_ms slower, 1.1" in line
            for line in text.lines(found)
        )
    assert found.count("slower", "faster") == (word != "same")


def test_a_byte_more_memory_is_worse_and_a_byte_less_better(tmp_path: Path) -> None:
    def heavier(record: dict[str, Any]) -> dict[str, Any]:
        record["metrics"]["memory_peak_bytes"]["value"] += 1
        record["metrics"]["memory_weights_bytes"]["value"] -= 1
        return record

    found = versus(tmp_path, only(heavier))
    assert of_victim(found, "memory_peak_bytes").verdict == "worse"
    assert of_victim(found, "memory_weights_bytes").verdict == "better"
    assert text.line(of_victim(found, "memory_peak_bytes")).endswith(": 1 B more)")
    assert found.count("worse", "better") == 2


def test_a_cause_that_changes_is_told(tmp_path: Path) -> None:
    def other(record: dict[str, Any]) -> dict[str, Any]:
        record["metrics"]["det_batch_size_cause"]["value"] = "drop"
        return record

    assert of_victim(versus(tmp_path, only(other)), "det_batch_size_cause").verdict == "changed"


def test_failures_and_what_is_missing(tmp_path: Path) -> None:
    found = versus(tmp_path, only(lambda record: fake_run.fail(record, "oom", "out of memory")))
    assert of_victim(found, None).verdict == "failed"
    assert of_victim(found, None).why == "oom: out of memory"
    found = versus(tmp_path / "b", only(lambda record: None))
    assert of_victim(found, None).verdict == "missing"
    found = versus(tmp_path / "c", cases=CASES[1:])
    row = of_victim(found, None)
    assert (row.verdict, row.why) == ("missing", "the candidate has no such case")
    found = versus(tmp_path / "d", only(lambda record: fake_run.without(record, "latency_ms")))
    assert of_victim(found, "latency_ms").verdict == "missing"


def test_a_new_case_is_not_comparable_and_no_fault(tmp_path: Path) -> None:
    new = fake_run.make_case("new", "dense", d_ff=64)
    found = versus(tmp_path, cases=[*CASES, new])
    (row,) = [row for row in found.rows if row.id == new.id]
    assert row.verdict == "not comparable"
    assert "new" in (row.why or "")
    assert found.comparable


def test_a_changed_case_is_seen_by_its_key(tmp_path: Path) -> None:
    changed = [replace(case, d_ff=case.d_ff * 2) if case.id == VICTIM else case for case in CASES]
    candidate = fake_run.write_run(tmp_path / "candidate", changed)
    file = json.loads((candidate / "run.json").read_text())
    file["cases"][0]["id"] = VICTIM
    (candidate / "run.json").write_text(json.dumps(file))
    found = compare(read_run(fake_run.write_run(tmp_path / "base", CASES)), read_run(candidate))
    row = of_victim(found, None)
    assert row.verdict == "not comparable"
    assert f"d_ff was {CASES[0].d_ff} and is {CASES[0].d_ff * 2}" in (row.why or "")


@pytest.mark.parametrize(("fact", "value"), [("name", "Another CPU"), ("threads", 64)])
def test_another_machine_forbids_ratios_but_not_counts(tmp_path: Path, fact: str, value: Any) -> None:
    device = fake_run.run_file(CASES)["device"] | {fact: value}
    found = versus(tmp_path, only(slow(2.0)), device=device)
    assert found.forbidden
    assert of_victim(found, "latency_ms").verdict == "not comparable"
    assert of_victim(found, "params").verdict == "same"
    assert text.summary(found).startswith("Times are not comparable: ")
    assert found.headlines == ()


def test_other_software_is_told_and_forbids_nothing(tmp_path: Path) -> None:
    environment = fake_run.run_file(CASES)["environment"] | {"torch": "9.9"}
    found = versus(tmp_path, environment=environment)
    assert [one.words for one in found.differences if "9.9" in one.words]
    assert not found.forbidden


def test_a_drift_of_the_whole_run_is_one_sentence(tmp_path: Path) -> None:
    found = versus(tmp_path, lambda case, record: slow(1.05)(record))
    assert found.drift == pytest.approx(1.05, abs=0.01)
    assert "5" in (words.drift_sentence(found) or "")
    assert "slower throughout" in (words.drift_sentence(found) or "")
    hidden = replace(found, headlines=tuple(replace(one, verdict="cannot tell") for one in found.headlines))
    assert "which the noise of the two runs would explain" in (words.drift_sentence(hidden) or "")


def test_a_median_that_half_of_the_times_make_is_not_called_throughout(tmp_path: Path) -> None:
    found = versus(tmp_path, lambda case, record: slow(1.2 if case.layer != "soft" else 0.9)(record))
    times = [row.change.ratio.value for row in found.rows if row.metric == "latency_ms" and row.change]
    above = sum(ratio > 1 for ratio in times)
    told = words.drift_sentence(replace(found, headlines=())) or ""
    assert 0 < above < len(times)
    assert f"slower in the median, with {above} of {len(times)} times above 1×; ratios" in told
    assert "throughout" not in told


def test_a_small_drift_is_a_number_and_no_verdict(tmp_path: Path) -> None:
    found = versus(tmp_path, lambda case, record: slow(1.012)(record))
    assert (words.drift_sentence(found) or "").startswith("The median of all ratios is 1.01×; ratios")


def test_runs_without_a_common_case_are_not_comparable(tmp_path: Path) -> None:
    found = versus(tmp_path, cases=[fake_run.make_case("alone", "dense", d_ff=64)])
    assert not found.comparable


def test_the_document_and_the_markdown_say_the_same(tmp_path: Path) -> None:
    found = versus(tmp_path, only(slow(1.2)))
    document = json.loads(json.dumps(text.document(found)))
    assert document["schema"] == 1
    assert document["tally"]["slower"] == 1
    first = document["rows"][0]
    assert first["verdict"] == "slower"
    assert first["change"]["factor"] > 1
    assert "**Worse: 1**" in text.markdown(found)


# the whole: headlines, noise, words


def swapped(tmp_path: Path, edit: Edit) -> tuple[Versus, Versus]:
    base = read_run(fake_run.write_run(tmp_path / "base", CASES, edit=again(1)))
    candidate = read_run(fake_run.write_run(tmp_path / "candidate", CASES, edit=again(2, edit)))
    return compare(base, candidate), compare(candidate, base)


def test_swapping_the_runs_inverts_the_ratios_and_swaps_the_words(tmp_path: Path) -> None:
    def changed(record: dict[str, Any]) -> dict[str, Any]:
        record["metrics"]["memory_peak_bytes"]["value"] += 1
        return slow(1.1)(record)

    there, back = swapped(tmp_path, only(changed))
    other = {"slower": "faster", "faster": "slower", "worse": "better", "better": "worse"}
    rows = {(row.id, row.metric): row for row in back.rows}
    assert {row.verdict for row in there.rows} >= {"slower", "worse", "same"}
    for row in there.rows:
        twin = rows[row.id, row.metric]
        assert twin.verdict == other.get(row.verdict, row.verdict)
        if row.change is not None:
            assert twin.change is not None
            _inverted(row.change, twin.change)
    for one, two in zip(there.headlines, back.headlines, strict=True):
        _inverted(one.change, two.change)


def _inverted(there: Change, back: Change) -> None:
    ratio, inverse = there.ratio, back.ratio
    ends = (ratio.value * inverse.value, ratio.low * inverse.high, ratio.high * inverse.low)
    assert ends == pytest.approx((1, 1, 1), rel=1e-12)
    assert there.p == pytest.approx(back.p, rel=1e-9)


def test_shuffled_rounds_change_no_word(tmp_path: Path) -> None:
    def shuffled(case: Case, record: dict[str, Any]) -> dict[str, Any]:
        random.Random(case.id).shuffle(record["metrics"]["latency_ms"]["rounds"])
        return record

    plain = versus(tmp_path, only(slow(1.1)))
    moved = versus(tmp_path / "b", lambda case, record: shuffled(case, only(slow(1.1))(case, record) or {}))
    words = [sorted((row.id, row.metric or "", row.verdict) for row in found.rows) for found in (plain, moved)]
    assert words[0] == words[1]


def test_headlines_are_means_over_cases_and_a_drift_cancels_in_ratios(tmp_path: Path) -> None:
    suite = fake_run.run_file(CASES)["suite"] | {"headline": ["soft / dense", "top-2 / dense", "memory"]}

    def changed(case: Case, record: dict[str, Any]) -> dict[str, Any]:
        return slow(1.05 * (1.2 if case.variant == "soft" else 1.0))(record)

    found = versus(tmp_path, changed, suite=suite)
    by_name = {one.name: one for one in found.headlines}
    assert set(by_name) == {"all cases", "soft / dense", "top-2 / dense"}
    assert by_name["all cases"].cases == len(CASES)
    assert by_name["soft / dense"].change.ratio.value == pytest.approx(1.2, abs=0.01)
    assert by_name["top-2 / dense"].change.ratio.value == pytest.approx(1.0, abs=0.01)
    assert [one.verdict for one in by_name.values()] == ["slower", "slower", "same"]
    told = list(text.lines(found))
    assert "Headlines: 3 comparisons of times, and that any word is wrong has a chance of 5 % (Holm)" in told
    assert any(line.startswith("  ✗ soft / dense (9 cases): slower, 1.200× [") for line in told)
    memory = [row for row in found.rows if (row.metric or "").startswith("memory_")]
    assert f"  = memory: {len(memory)} same" in told
    assert "**Headlines: 3 comparisons" in text.markdown(found)


def noise(smallest: float | None, *, differ: bool = False) -> dict[str, Any]:
    ratio = {"ratio": 1.0, "low": 0.99, "high": 1.01, "cells": 2, "pairs": 12, "rounds": 6}
    return {"noise": ratio | {"smallest_change": smallest, "differ": differ}}


@pytest.mark.parametrize(("smallest", "word"), [(None, "slower"), (0.01, "slower"), (0.2, "cannot tell")])
def test_nothing_below_a_runs_own_noise_is_called_slower(tmp_path: Path, smallest: float | None, word: str) -> None:
    found = versus(tmp_path, only(slow(1.1)), **noise(smallest))
    assert of_victim(found, "latency_ms").verdict == word
    told = words.noise_sentence(found)
    assert ("less than the noise floor of 20 %" in (told or "")) == (smallest == 0.2)


def test_energy_is_not_held_to_the_noise_of_times() -> None:
    assert BY_FLOOR == ("latency_ms", "latency_hot_ms", "latency_graph_ms", "host_ms")


def test_of_a_run_whose_cells_differ_no_time_is_told(tmp_path: Path) -> None:
    found = versus(tmp_path, lambda case, record: slow(2.0)(record), **noise(0.01, differ=True))
    assert found.count("slower") == 0
    assert {one.verdict for one in found.headlines} == {"cannot tell"}
    assert "the A/A cells of candidate" in (words.noise_sentence(found) or "")
    json.dumps(text.document(found), allow_nan=False)


def test_every_word_has_a_sign(tmp_path: Path) -> None:
    assert set(text.SYMBOLS) == set(get_args(Word))
    found = versus(tmp_path, only(slow(1.1)))
    assert text.line(found.rows[0]).startswith(f"✗ {VICTIM}: latency_ms slower, ")


def test_the_machines_differences_stand_first(tmp_path: Path) -> None:
    found = versus(tmp_path, environment=fake_run.run_file(CASES)["environment"] | {"python": "3.12"})
    first, second, third, *_ = text.lines(found)
    assert first.startswith("candidate against base")
    assert second == "  differs: python: 3.11.9, then 3.12"
    assert "Compared with their noise: 14 estimates" in third
