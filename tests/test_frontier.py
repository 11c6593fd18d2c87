from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.case import Case
from harness.declare.costs import cost
from harness.declare.frontier import GROWING, Frontier, needs_no_less
from tests import cases

FAMILIES = cases.families(d_model=32, d_ff=64)


@given(case=st.sampled_from(FAMILIES), axis=st.sampled_from(GROWING), times=st.integers(1, 5), start=st.data())
def test_the_closed_form_of_the_memory_grows_along_every_axis(
    case: Case, axis: str, times: int, start: st.DataObject
) -> None:
    case = replace(case, pass_=start.draw(st.sampled_from(("forward", "forward_backward", "train"))))
    value = getattr(case, axis)
    if value is None:
        return
    changes: dict[str, Any] = {axis: "train" if axis == "pass_" else value * times}
    larger = replace(case, **changes)
    if axis == "top_k" and larger.top_k and larger.experts and larger.top_k > larger.experts:
        return
    assert needs_no_less(larger, case)
    assert cost(larger).memory_needed >= cost(case).memory_needed


def frontier(*full: Case) -> Frontier:
    made = Frontier()
    for case in full:
        made.add(case)
    return made


def test_a_case_beyond_one_that_ran_out_of_memory_is_known() -> None:
    full = cases.soft(batch=8, experts=16)
    known = frontier(full)
    assert known.before(cases.soft(batch=8, experts=32)) == full
    assert known.before(cases.soft(batch=64, experts=16, d_model=64, size="B")) == full
    assert known.before(cases.soft(batch=8, experts=16, pass_="train")) == full


@pytest.mark.parametrize(
    "changes",
    [
        {"batch": 4, "experts": 64},  # less of one, more of the other
        {"dtype": "bfloat16"},
        {"variant": "other"},
        {"backend": "reference"},
        {"gated": True},
        {"slots": None},
        {},  # the case itself has its own status
    ],
)
def test_what_is_not_known_to_need_more_is_tried(changes: dict[str, Any]) -> None:
    full = cases.soft(batch=8, experts=16)
    assert frontier(full).before(replace(full, **changes)) is None


def test_two_kinds_of_capacity_are_not_compared() -> None:
    dropless = cases.token_choice(batch=8)
    assert frontier(dropless).before(cases.token_choice(batch=64, capacity_factor=1.0)) is None


def test_none_ran_out_of_memory_and_nothing_is_left_out() -> None:
    assert Frontier().before(cases.soft()) is None
