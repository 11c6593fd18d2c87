from __future__ import annotations

from collections import Counter

import pytest

from harness.declare.cut import Share, cut
from harness.declare.plan import plan
from harness.declare.planned import Plan
from harness.declare.suite import load_suite, parse_suite
from harness.declare.visits import equal_work, visits

BODY = """
title = "A suite to cut"
[base]
d_model = 16
d_ff = 32
tokens = 4
[sweep]
batch = [1, 8]
pass = ["forward", "forward_backward"]
[[variant]]
name = "dense"
layer = "dense"
[[variant]]
name = "soft"
layer = "soft"
sweep.experts = [2, 4, 8, 16]
[measure]
probes = ["flops", "latency"]
rounds = 3
"""


def planned(more: str = "") -> Plan:
    return plan(parse_suite(BODY + more, "cut.toml"))


def settings(shares: list[Share]) -> list[set[tuple[int, str]]]:
    return [{(case.case.batch, case.case.pass_) for case in share.plan.cases} for share in shares]


def claim(**said: str) -> str:
    return "\n".join(["[[claim]]", 'id = "c"', 'text = "c"', *(f"{key} = {value}" for key, value in said.items())])


def test_cases_at_equal_work_stay_together_and_no_others() -> None:
    shares = cut(planned())
    assert len(shares) == 4
    for share in shares:
        assert len({tuple(equal_work(planned.case).values()) for planned in share.plan.cases}) == 1
        assert len(share.plan.cases) == 5


def test_every_visit_of_the_plan_is_in_one_share_and_has_its_own_index() -> None:
    whole, shares = planned(), cut(planned())
    made = [visit for share in shares for visit in share.visits]
    assert sorted(visit.index for visit in made) == list(range(len(made)))

    def places(found: list) -> Counter:  # type: ignore[type-arg]
        return Counter((visit.key, visit.probe, visit.round) for visit in found if visit.probe != "a_a")

    assert places(made) == places(visits(whole))


def test_every_share_has_a_a_cells_of_its_own() -> None:
    assert all(share.cells and share.cells <= set(share.keys) for share in cut(planned()))


def test_the_longest_comes_first() -> None:
    shares = cut(planned())
    assert [share.seconds for share in shares] == sorted((share.seconds for share in shares), reverse=True)
    assert {(case.case.batch, case.case.pass_) for case in shares[0].plan.cases} == {(8, "forward_backward")}


def test_a_claim_about_times_keeps_what_it_compares_together() -> None:
    shares = cut(planned(claim(metric="'latency_ms'", along="'batch'", expect="'rises'", where="\"layer == 'soft'\"")))
    assert sorted(map(sorted, settings(shares))) == [
        [(1, "forward"), (8, "forward")],
        [(1, "forward_backward"), (8, "forward_backward")],
    ]


def test_a_claim_whose_other_side_moves_along_an_axis_does_so_too() -> None:
    said = {"where": "\"layer == 'soft' and pass == 'forward'\"", "against": "\"pass == 'forward_backward'\""}
    shares = cut(planned(claim(metric="'latency_ms'", moving="['pass']", expect="'faster_than'", **said)))
    assert sorted(map(sorted, settings(shares))) == [
        [(1, "forward"), (1, "forward_backward")],
        [(8, "forward"), (8, "forward_backward")],
    ]


def test_ranks_over_cases_are_of_one_device() -> None:
    shares = cut(planned(claim(metric="'latency_ms'", to="'flops_model'", expect="'correlates'", value="0.5")))
    assert len(shares) == 1


@pytest.mark.parametrize("metric", ["'params'", "'flops_model'"])
def test_a_claim_about_what_has_no_noise_keeps_nothing_together(metric: str) -> None:
    assert len(cut(planned(claim(metric=metric, along="'batch'", expect="'flat'")))) == 4


def test_the_shares_of_the_shipped_suite_can_be_pulled_by_many() -> None:
    shares = cut(plan(load_suite("quick")))
    assert len(shares) >= 4
    assert sum(len(share.plan.cases) for share in shares) == sum(case.runs for case in plan(load_suite("quick")).cases)
