"""Predicted peak: the closed form against the allocator's own events."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import pytest

from harness.case import Case
from harness.declare.costs import cost
from harness.declare.point import MixingName
from harness.devices.cpu import CpuDevice
from harness.layers import build
from harness.probes.subject import Subject, make_subject
from tests.cases import dense, dense_moe, expert_choice, soft, token_choice
from tests.test_costs_saved import memory_cases


@pytest.mark.parametrize("case", memory_cases()[::3], ids=lambda case: case.id)
def test_the_peak_is_near_the_allocators(case: Case) -> None:
    for pass_ in ("forward", "forward_backward", "train"):
        subject = _warm(replace(case, pass_=pass_))
        measured = CpuDevice().peak(subject.run).peak_bytes
        assert cost(subject.case).memory_predicted == pytest.approx(measured, rel=0.25)


def _warm(case: Case) -> Subject:
    """A subject that has run once: AdamW makes its state in the first step."""
    subject = make_subject(case, build(case))
    subject.run()
    subject.drop_gradients()
    return subject


SIZE_S: dict[str, Any] = {"d_model": 384, "d_ff": 1536, "batch": 2, "tokens": 196}


@pytest.mark.parametrize(
    "case",
    [
        dense(**SIZE_S),
        token_choice(experts=8, **SIZE_S),
        token_choice(experts=8, capacity_factor=1.25, **SIZE_S),
        expert_choice(experts=8, **SIZE_S),
        soft(experts=8, slots=24, **SIZE_S),
        *(soft(experts=4, slots=49, mixing=mixing, **SIZE_S) for mixing in get_args(MixingName)[1:]),
        dense_moe(experts=4, **SIZE_S),
        dense_moe(experts=4, gated=True, activation="silu", **SIZE_S),
    ],
    ids=["dense", "dropless", "capacity", "ec", "soft", *get_args(MixingName)[1:], "mixture", "gated mixture"],
)
@pytest.mark.parametrize("pass_", ["forward", "forward_backward"])
def test_the_peak_of_a_fast_backend_at_size_s_is_within_two_percent(case: Case, pass_: str) -> None:
    subject = _warm(replace(case, pass_=pass_))
    measured = CpuDevice().peak(subject.run).peak_bytes
    assert cost(subject.case).memory_predicted == pytest.approx(measured, rel=0.02)
