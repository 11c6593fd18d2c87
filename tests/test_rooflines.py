"""Rooflines in the record: known times against known ceilings, and a point above its roof."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.case import Case
from harness.declare.costs import cost
from harness.devices import cpu
from harness.engine.fold import Circumstances, fold
from harness.engine.journal import Line
from harness.engine.rooflines import PHASES
from harness.metrics import NOISY_SERIES
from harness.record import OkRecord
from tests.cases import block, dense, soft, stack, token_choice
from tests.test_fold import CEILINGS, WHERE, line, planned, rounds

ROOFED = replace(WHERE, ceilings=CEILINGS)  # 2 GFLOP/s in float32, 1 GB/s
SHARES = {"router": 0.1, "dispatch": 0.2, "experts": 0.5, "combine": 0.1, "other": 0.1}


def visits(case: Case, ms: float, **beside: Any) -> list[Line]:
    """Return three rounds of exactly `ms`, and a visit of phases."""
    values = {f"phase_{phase}_share": share for phase, share in SHARES.items()} | beside
    return [line(case, "phases", values=values), *rounds(case, [ms], [ms], [ms])]


def record(case: Case, ms: float, where: Circumstances = ROOFED, **beside: Any) -> OkRecord:
    made = fold(planned(case), visits(case, ms, **beside), where)
    assert isinstance(made, OkRecord)
    return made


def roof_ms(case: Case, phase: str) -> float:
    forms = cost(case)
    return max(forms.phases[phase] / 2e9, forms.phase_bytes[phase] / 1e9) * 1e3


@pytest.mark.parametrize("phase", PHASES)
def test_each_phase_is_held_against_its_roof(phase: str) -> None:
    case = soft()
    value = record(case, 4.0).metrics[f"phase_{phase}_roofline"]
    assert value.value == pytest.approx(roof_ms(case, phase) / (SHARES[phase] * 4.0))
    assert value.low is not None
    assert value.high is not None
    assert value.low == pytest.approx(roof_ms(case, phase) / ((SHARES[phase] + 0.02) * 4.0))
    assert value.high == pytest.approx(roof_ms(case, phase) / ((SHARES[phase] - 0.02) * 4.0))


def test_what_was_taken_from_the_closed_forms_stands_beside() -> None:
    series = record(soft(), 4.0).series
    assert series["phase_flops"] == [cost(soft()).phases[phase] for phase in PHASES]
    assert series["phase_bytes"] == [cost(soft()).phase_bytes[phase] for phase in PHASES]
    assert not any("roof" in note for note in record(soft(), 4.0).notes)


def test_of_the_series_what_a_clock_moves_is_not_called_exact() -> None:
    slow, fast = record(soft(), 4.0).series, record(soft(), 2.0).series
    assert {name for name in slow if slow[name] != fast[name]} == {"phase_roofline_beyond_cache"} < NOISY_SERIES


def test_a_training_pass_is_held_by_its_forward_part() -> None:
    case = soft(pass_="train")
    whole = record(case, 4.0, pass_forward_share=0.25).metrics["phase_experts_roofline"]
    assert whole.value == pytest.approx(roof_ms(case, "experts") / (0.5 * 0.25 * 4.0))


def test_a_time_below_what_the_flops_need_is_a_measurement_error() -> None:
    """Planted: a latency ten times too short. No cache explains FLOPs."""
    case = dense(batch=64)
    fast = record(case, roof_ms(case, "experts") / 5, cached(1 << 30))
    assert fast.series["phase_roofline_beyond_cache"][2] == pytest.approx(10)
    (note,) = (note for note in fast.notes if "roof" in note)
    assert note.startswith("experts is 10 times as fast as its roof allows, whatever the cache holds: a measurement")


def test_bytes_that_a_cache_can_hold_are_no_error_and_others_are() -> None:
    """Dispatch has no FLOPs, and 10 KB that would take 10 us from memory."""
    case = token_choice()
    roof = roof_ms(case, "dispatch")
    for cache, told in ((0, True), (None, True), (1 << 20, False)):
        made = record(case, roof / SHARES["dispatch"] / 3, cached(cache))
        assert made.metrics["phase_dispatch_roofline"].value == pytest.approx(3)
        assert any(note.startswith("dispatch is 3 times") for note in made.notes) == told


def cached(size: int | None) -> Circumstances:
    return replace(ROOFED, cache_bytes=size)


def test_within_the_error_of_its_share_a_phase_is_no_error() -> None:
    case = token_choice()
    made = record(case, roof_ms(case, "dispatch") / SHARES["dispatch"] / 1.05)
    value = made.metrics["phase_dispatch_roofline"]
    assert value.value == pytest.approx(1.05)
    assert value.low is not None
    assert value.low < 1
    assert not any(note.startswith("dispatch") for note in made.notes)


def test_a_share_that_is_all_error_has_no_interval() -> None:
    tiny = record(token_choice(), 1e-4, phase_router_share=0.01)
    assert tiny.metrics["phase_router_roofline"].low is None
    assert not any(note.startswith("router") for note in tiny.notes)


@pytest.mark.parametrize(
    ("case", "where"), [(soft(compile=True), ROOFED), (soft(), WHERE), (soft(dtype="float16"), ROOFED)]
)
def test_without_a_roof_there_is_no_fraction(case: Case, where: Circumstances) -> None:
    made = record(case, 4.0, where)
    assert not any(name.endswith("_roofline") for name in made.metrics)
    assert made.series == {}


def test_the_floor_is_the_weights_of_the_experts_over_the_bandwidth() -> None:
    decode = token_choice(experts=8, top_k=2, batch=1, tokens=1)
    one = (2 * 32 * 64 + 64 + 32) * 4 / 1e9 * 1e3
    assert record(decode, 1.0).metrics["experts_floor_ms"].value == pytest.approx(2 * one)
    assert record(decode, 1.0, distinct_experts=4).metrics["experts_floor_ms"].value == pytest.approx(4 * one)
    assert record(stack(soft(), moe_layers="all"), 1.0).metrics["experts_floor_ms"].value == pytest.approx(12 * one)
    assert "experts_floor_ms" not in record(dense(), 1.0).metrics
    assert "phase_experts_roofline" in record(block(dense()), 1.0).metrics


def test_caches_of_the_cores_are_added_each_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two cores share one last cache of 32 MiB, and a third has another; what is nearer does not count."""
    monkeypatch.setattr(cpu, "affinity", lambda: [0, 1, 2])
    for core, shared in ((0, "0-1"), (1, "0-1"), (2, "2-3")):
        for level, size in ((1, 32), (2, 512), (3, 32 << 10)):
            folder = tmp_path / f"cpu{core}" / "cache" / f"index{level}"
            folder.mkdir(parents=True)
            (folder / "level").write_text(f"{level}\n")
            (folder / "size").write_text(f"{size}K\n")
            (folder / "shared_cpu_list").write_text(f"{shared if level == 3 else core}\n")
    assert cpu.cache_bytes(tmp_path) == 64 << 20
    assert cpu.cache_bytes(tmp_path / "nowhere") is None
