"""The shipped policies: they are read, and do what their comments say."""

from __future__ import annotations

import pytest

from harness.case import Case
from harness.declare.policy import Policy, Rule, load_policy
from harness.declare.shipped import shipped_policies, shipped_suites
from harness.metrics import METRICS
from reports.versus.versus import EXACT, TIMED
from tests.fake_run import make_case

CASE = make_case("soft", "soft", experts=4)
TOKEN = make_case("soft", "soft", experts=4, batch=1, tokens=1)


def policy(name: str) -> Policy:
    return load_policy(shipped_policies()[name])


def rule(name: str, metric: str, case: Case = CASE) -> Rule | None:
    return policy(name).rule(metric, case)


def test_they_are_there_and_are_no_suites() -> None:
    assert set(shipped_policies()) == {"exact", "nightly"}
    assert not set(shipped_policies()) & set(shipped_suites())


@pytest.mark.parametrize("name", ["exact", "nightly"])
def test_what_has_no_noise_fails_at_once(name: str) -> None:
    for metric in ("params", "flops_executed", "memory_peak_bytes", "drop_rate", "det_batch_size"):
        found = rule(name, metric)
        assert found is not None
        assert (found.threshold, found.alert) == (0, "fail")
        assert metric in EXACT


def test_a_night_gates_times_by_what_they_can_be_held_to() -> None:
    thresholds = {metric: found.threshold for metric in TIMED if (found := rule("nightly", metric))}
    assert thresholds == {
        "latency_ms": 0.03, "latency_hot_ms": 0.03, "latency_graph_ms": 0.03, "host_ms": 0.1,
        "energy_j_per_mtoken": 0.05,
    }  # fmt: skip
    alone = rule("nightly", "latency_ms", TOKEN)
    assert alone is not None
    assert alone.threshold == 0.05
    told = [metric for metric in TIMED if getattr(rule("nightly", metric), "alert", None) == "warn"]
    assert told == ["host_ms", "energy_j_per_mtoken"]


def test_a_claim_fails_where_times_can_be_believed() -> None:
    assert (policy("nightly").refuted, policy("exact").refuted) == ("fail", "warn")


def test_exact_gates_no_time() -> None:
    assert not [metric for metric in TIMED if rule("exact", metric) is not None]
    assert not {metric for metric in METRICS if rule("exact", metric) is not None and METRICS[metric].unit == "ms"}
