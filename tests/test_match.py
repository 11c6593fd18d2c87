"""Match: the solved width costs what was asked for, and no case comes twice."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.case import Case
from harness.declare.costs import Cost, cost
from harness.declare.match import MULTIPLE, MatchError, matched, widths
from harness.declare.plan import PlannedCase, plan
from harness.declare.suite import parse_suite
from tests import cases

SUITE = """
title = "Matched"
[base]
size = "Ti"
[sweep]
batch = [1, 8]
[[variant]]
name = "top-2"
layer = "token_choice"
sweep.experts = [8, 64]
sweep.capacity_factor = [1.25, "dropless"]
[[variant]]
name = "dense"
layer = "dense"
match = { to = "top-2", on = "flops" }
[[variant]]
name = "soft"
layer = "soft"
experts = 8
slots = 16
match = { to = "dense", on = "params" }
"""


def planned_of(source: str, variant: str) -> list[PlannedCase]:
    return [planned for planned in plan(parse_suite(source)).cases if planned.case.variant == variant]


def test_one_dense_case_for_each_distinct_width() -> None:
    top, dense = planned_of(SUITE, "top-2"), planned_of(SUITE, "dense")
    assert len(top) == 8
    assert [(planned.case.batch, planned.case.d_ff) for planned in dense] == [
        (1, 1544),
        (1, 1568),
        (8, 1544),
        (8, 1568),
    ]
    for planned in dense:
        assert planned.match is not None
        assert (planned.match.to, planned.match.on) == ("top-2", "flops")
        goals = {cost(other.case).flops_model for other in top if other.case.batch == planned.case.batch}
        assert min(abs(cost(planned.case).flops_model / goal - planned.match.ratio) for goal in goals) < 1e-12
        assert planned.match.ratio == pytest.approx(1, abs=0.005)


def test_a_match_may_be_to_a_matched_variant() -> None:
    soft = planned_of(SUITE, "soft")
    assert [planned.case.d_ff for planned in soft] == [184, 184]  # both dense widths, at either batch
    for planned in soft:
        assert planned.match is not None
        assert (planned.match.to, planned.match.on) == ("dense", "params")
        assert planned.match.ratio == pytest.approx(1, abs=0.03)
        assert planned.case.d_ff % MULTIPLE == 0


def test_a_match_looks_at_the_other_variants_cases_before_select_narrows() -> None:
    suite = parse_suite(SUITE)
    everything = [c for c in plan(suite).cases if c.case.variant == "dense"]
    assert plan(suite, select="variant == 'dense'").cases == everything


def test_a_match_follows_what_select_excludes_of_the_other_variant() -> None:
    source = SUITE + '[select]\nexclude = ["experts == 64"]\n'
    assert {planned.case.d_ff for planned in planned_of(source, "dense")} == {1544}


def test_equal_widths_keep_the_ratio_farthest_from_one() -> None:
    point = cases.dense()
    targets = [cases.token_choice(experts=experts) for experts in (8, 9, 10)]
    ((case, match),) = matched(point, targets, "flops").items()
    ratios = [cost(case).flops_model / cost(target).flops_model for target in targets]
    assert match.ratio == max(ratios, key=lambda ratio: abs(ratio - 1))


def test_what_cannot_be_reached_is_said() -> None:
    with pytest.raises(MatchError, match=r"it would take d_ff = [\d,]+ \(params\)"):
        widths(cases.dense(d_model=8), [10**15], "params")
    with pytest.raises(MatchError, match=r"even with d_ff = 8 it costs [\d.e+]+ times as much \(params\)"):
        widths(cases.soft(experts=64), [1000], "params")


def _of(cost: Cost, on: str) -> int:
    return cost.flops_model if on == "flops" else cost.params


@given(
    case=st.builds(
        lambda make, **changes: make(**changes),
        st.sampled_from([cases.dense, cases.token_choice, cases.expert_choice, cases.soft]),
        batch=st.integers(1, 16),
        tokens=st.integers(1, 300),
        gated=st.booleans(),
        pass_=st.sampled_from(["forward", "forward_backward"]),
    ),
    on=st.sampled_from(["flops", "params"]),
    width=st.integers(8, 20_000),
)
def test_a_solved_width_is_the_nearest_multiple(case: Case, on: str, width: int) -> None:
    goal = _of(cost(replace(case, d_ff=width)), on)
    (solved,) = widths(case, [goal], on)
    assert solved % MULTIPLE == 0
    assert abs(solved - width) <= MULTIPLE / 2
