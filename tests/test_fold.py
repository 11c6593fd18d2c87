from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.case import Case
from harness.declare.costs import cost
from harness.declare.planned import PlannedCase
from harness.devices.ceilings import Ceilings
from harness.engine.fold import Circumstances, fold, fold_all
from harness.engine.journal import Line
from harness.judge.stats import median_interval
from harness.probes.warm_up import NEVER_SETTLED
from harness.record import End, FailedRecord, FailedStatus, OkRecord, Value, reason_of
from tests import cases

WHERE = Circumstances(rounds=3)
CEILINGS = Ceilings("test", {"float32": 2e9}, 1e9, 1 << 30, "2026-01-01", "2.13.0")


def planned(case: Case, **changes: Any) -> PlannedCase:
    return replace(PlannedCase(case, cost(case), None, None, None, None), **changes)


def line(case: Case, probe: str, round: int | None = None, **changes: Any) -> Line:  # noqa: A002
    fields: dict[str, Any] = {"visit": 0, "key": case.key, "id": case.id, "probe": probe, "round": round}
    fields |= {"status": "ok", "started": "", "seconds": 0.0, "backend": "fused"}
    return Line.model_validate(fields | changes)


def rounds(case: Case, *samples: list[float], name: str = "latency_ms") -> list[Line]:
    return [line(case, "latency", index, values={name: list(s)}) for index, s in enumerate(samples)]


def ok(record: OkRecord | FailedRecord) -> dict[str, Value]:
    assert isinstance(record, OkRecord)
    return record.metrics


def test_closed_forms_stand_in_every_ok_record() -> None:
    case = cases.dense()
    metrics = ok(fold(planned(case), [line(case, "check")], WHERE))
    price = cost(case)
    assert {name: value.value for name, value in metrics.items()} == {
        "params": price.params,
        "params_active": price.params_active,
        "flops_model": price.flops_model,
        "flops_executed": price.flops_executed,
        "memory_predicted_bytes": price.memory_predicted,
    }


def test_latency_is_the_median_of_the_rounds_medians() -> None:
    case = cases.dense()
    latency = ok(fold(planned(case), rounds(case, [1.0, 9.0, 1.2], [2.0], [1.4, 1.6]), WHERE))["latency_ms"]
    assert latency.value == 1.5
    assert latency.rounds == [1.2, 2.0, 1.5]
    assert latency.n == 6
    interval = median_interval([1.2, 2.0, 1.5])
    assert interval is not None
    assert (latency.low, latency.high) == (interval.low, interval.high)


def test_rounds_stay_in_their_places() -> None:
    case = cases.dense()
    lines = rounds(case, [1.0], [2.0], [3.0])
    latency = ok(fold(planned(case), [lines[2], lines[0]], WHERE))["latency_ms"]
    assert latency.rounds == [1.0, None, 3.0]
    assert latency.value == 2.0


def test_one_round_has_no_interval() -> None:
    case = cases.dense()
    latency = ok(fold(planned(case), rounds(case, [1.0, 2.0]), Circumstances(rounds=1)))["latency_ms"]
    assert (latency.value, latency.low, latency.high, latency.n) == (1.5, None, None, 2)


def test_a_round_may_come_as_one_number() -> None:
    case = cases.dense()
    lines = [line(case, "latency", index, values={"latency_ms": float(index + 1)}) for index in range(3)]
    assert ok(fold(planned(case), lines, WHERE))["latency_ms"].rounds == [1.0, 2.0, 3.0]


def test_every_timed_metric_is_folded_alike() -> None:
    case = cases.dense()
    lines = [
        line(case, "latency", index, values={"latency_ms": [2.0 + index], "host_ms": [1.0], "latency_hot_ms": [0.5]})
        for index in range(3)
    ]
    metrics = ok(fold(planned(case), lines, WHERE))
    assert (metrics["host_ms"].value, metrics["latency_hot_ms"].value, metrics["latency_ms"].value) == (1.0, 0.5, 3.0)


def test_rates_swap_the_ends_of_the_interval() -> None:
    case = cases.dense()
    metrics = ok(fold(planned(case), rounds(case, [1.0], [2.0], [4.0]), WHERE))
    latency, rate = metrics["latency_ms"], metrics["tokens_per_s"]
    assert latency.low is not None
    assert latency.high is not None
    assert rate.value == pytest.approx(case.sequence_tokens / 2e-3)
    assert rate.low == pytest.approx(case.sequence_tokens / (latency.high * 1e-3))
    assert rate.high == pytest.approx(case.sequence_tokens / (latency.low * 1e-3))
    assert rate.rounds == pytest.approx([case.sequence_tokens / ms * 1e3 for ms in (1.0, 2.0, 4.0)])
    assert metrics["tflops"].value == pytest.approx(cost(case).flops_executed / 2e-3 / 1e12)
    assert "mfu" not in metrics


def test_ceilings_give_shares_of_the_roof() -> None:
    case = cases.token_choice(capacity_factor=2.0)
    price = cost(case)
    metrics = ok(fold(planned(case), rounds(case, [1.0], [1.0]), Circumstances(rounds=2, ceilings=CEILINGS)))
    assert metrics["mfu"].value == pytest.approx(price.flops_model / 1e-3 / 2e9)
    assert metrics["hfu"].value == pytest.approx(price.flops_executed / 1e-3 / 2e9)
    roofline = max(price.flops_executed / 2e9, price.bytes / 1e9)
    assert metrics["roofline_fraction"].value == pytest.approx(roofline / 1e-3)


def test_more_than_the_roof_is_noted() -> None:
    case = cases.dense()
    record = fold(planned(case), rounds(case, [1e-6], [1e-6]), Circumstances(rounds=2, ceilings=CEILINGS))
    assert any("hfu is above 1" in note for note in record.notes)


def test_a_dtype_without_a_ceiling_has_no_shares() -> None:
    case = cases.dense(dtype="bfloat16")
    metrics = ok(fold(planned(case), rounds(case, [1.0], [1.0]), Circumstances(rounds=2, ceilings=CEILINGS)))
    assert "tflops" in metrics
    assert "mfu" not in metrics


def test_probes_values_are_merged_with_what_they_stand_on() -> None:
    case = cases.dense()
    lines = [
        line(case, "determinism", values={"det_run": 1.0, "det_run_cause": "none"}, n={"det_run": 32}),
        line(case, "flops", values={"flops_counted": 12}),
    ]
    metrics = ok(fold(planned(case), lines, WHERE))
    assert (metrics["det_run"].value, metrics["det_run"].n) == (1.0, 32)
    assert metrics["det_run_cause"].value == "none"
    assert metrics["flops_counted"].value == 12


@pytest.mark.parametrize("status", ["oom", "timeout", "crashed", "unsupported", "incorrect"])
def test_the_first_failure_decides_and_takes_the_numbers(status: FailedStatus) -> None:
    case = cases.dense()
    lines = [
        *rounds(case, [1.0]),
        line(case, "latency", 1, status=status, reason="the first"),
        line(case, "latency", 2, status="crashed", reason="the second"),
    ]
    record = fold(planned(case), lines, WHERE)
    assert isinstance(record, FailedRecord)
    assert (record.status, record.reason, record.metrics) == (status, "the first", None)
    assert record.backend == "fused"


def test_a_failure_without_words_gets_some() -> None:
    case = cases.dense()
    record = fold(planned(case), [line(case, "memory", status="crashed")], WHERE)
    assert record.reason == "memory ended as crashed"


def test_cases_that_were_not_tried_say_why() -> None:
    case = cases.dense()
    unsupported = fold(planned(case, unsupported="no such backend"), [], WHERE)
    assert (unsupported.status, unsupported.reason) == ("unsupported", "no such backend")
    large = fold(planned(case, fits=False), [], Circumstances(rounds=1, memory_bytes=2048))
    assert large.status == "skipped"
    assert large.reason is not None
    assert large.reason.endswith("the device has 2.00 KiB")
    assert fold(planned(case), [], WHERE).reason == "the run was interrupted before it"


def test_a_case_cut_short_says_how_much_of_it_there_is() -> None:
    case = cases.dense()
    record = fold(planned(case), rounds(case, [1.0]), Circumstances(rounds=3, visits=4))
    assert record.notes == ["the run was interrupted: 1 of this case's 4 visits were made"]
    assert ok(record)["latency_ms"].rounds == [1.0, None, None]


def test_notes_are_kept_once_each() -> None:
    case = cases.dense()
    lines = [line(case, "latency", index, notes=["unsteady", f"round {index}"]) for index in range(2)]
    assert fold(planned(case), lines, WHERE).notes == ["unsteady", "round 0", "round 1"]


def test_rounds_that_the_machine_may_have_moved_are_counted_and_told() -> None:
    case = cases.dense()
    lines = [*rounds(case, [1.0]), line(case, "latency", 1, values={"latency_ms": [2.0]}, marks=["busy", "stolen"])]
    lines += [line(case, "latency", 2, values={"latency_ms": [2.0]}, marks=["busy"])]
    lines += [line(case, "memory", marks=["swapping"])]
    record = fold(planned(case), lines, WHERE)
    assert record.marks == {"busy": 2, "stolen": 1}
    assert record.notes == [
        "2 of 3 rounds were taken while other processes had the cores",
        "1 of 3 rounds were taken while the hypervisor gave the cores to other machines",
    ]
    assert ok(record)["latency_ms"].n == 3, "a marked sample is kept"


def test_a_visit_that_never_settled_is_told_once_and_counted() -> None:
    case = cases.dense()
    lines = rounds(case, [2.0], [1.0], [2.0])
    for index in (0, 2):
        lines[index] = lines[index].model_copy(update={"marks": ["unsettled"], "notes": [NEVER_SETTLED]})
    record = fold(planned(case), lines, WHERE)
    assert record.notes == [NEVER_SETTLED, "2 of 3 rounds were taken before the times of blocks had settled"]
    assert record.marks == {"unsettled": 2}


@pytest.mark.parametrize("end", ["clock_backwards", "clock_still"])
def test_a_clock_that_cannot_be_believed_leaves_no_numbers(end: End) -> None:
    case = cases.dense()
    reason = reason_of(end, what="a block of 1 call took -3 ms", where="in latency")
    bad = line(case, "latency", 1, status="crashed", end=end, reason=reason)
    record = fold(planned(case), [*rounds(case, [2.0]), bad], WHERE)
    assert isinstance(record, FailedRecord)
    assert (record.status, record.end, record.reason) == ("crashed", end, reason)


def test_all_cases_are_folded_in_the_plans_order() -> None:
    some = cases.families()
    lines = [line(case, "check") for case in reversed(some)]
    records = fold_all([planned(case) for case in some], lines, WHERE)
    assert [record.key for record in records] == [case.key for case in some]
    assert {record.status for record in records} == {"ok"}


@given(st.lists(st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=5), min_size=2, max_size=6))
def test_the_estimate_lies_in_its_interval_and_among_its_rounds(samples: list[list[float]]) -> None:
    case = cases.dense()
    metrics = ok(fold(planned(case), rounds(case, *samples), Circumstances(rounds=len(samples))))
    for name in ("latency_ms", "tokens_per_s"):
        value = metrics[name]
        assert value.low is not None
        assert value.high is not None
        assert value.low <= float(value.value) <= value.high
    assert metrics["latency_ms"].n == sum(map(len, samples))


def test_a_drift_over_the_rounds_is_a_note() -> None:
    case = cases.dense()
    lines = rounds(case, *[[1.0 + 0.02 * index, 1.001 + 0.02 * index] for index in range(8)])
    record = fold(planned(case), lines, Circumstances(rounds=8))
    assert "drifted over the run: the last rounds were 14 % slower than the first" in record.notes
    assert not fold(planned(case), rounds(case, *[[1.0, 1.001]] * 8), Circumstances(rounds=8)).notes
