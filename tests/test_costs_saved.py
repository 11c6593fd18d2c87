"""Saved bytes: the closed form against what autograd's hooks see."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any, get_args

import pytest

from harness.case import Case
from harness.declare.costs import BACKENDS, cost, unsupported
from harness.declare.point import BalanceName, MixingName, NoiseName
from harness.layers import build
from harness.layers.gates import GATES
from harness.probes.memory import saved_bytes
from harness.probes.subject import make_subject
from tests.cases import dense, dense_moe, expert_choice, families, soft, token_choice


def memory_cases() -> list[Case]:
    """Every backend, activation and group, where it keeps tensors of its own."""
    shape: dict[str, Any] = {"d_model": 48, "d_ff": 192, "batch": 4, "tokens": 40, "pass_": "forward_backward"}
    acts = [("gelu", False), ("relu", False), ("silu", True)]
    cases = []
    for (act, gated), group in itertools.product(acts, ("batch", "sequence")):
        own = {**shape, "activation": act, "gated": gated}
        for backend in BACKENDS["token_choice"]:
            for factor, top_k in itertools.product((None, 1.25), (1, 2)):
                cases.append(token_choice(backend=backend, capacity_factor=factor, top_k=top_k, group=group, **own))
        cases += [expert_choice(backend=b, capacity_factor=2.0, group=group, **own) for b in BACKENDS["expert_choice"]]
        cases += [soft(backend=b, slots=8, **own) for b in BACKENDS["soft"]]
        cases += [dense_moe(backend=b, **own) for b in BACKENDS["dense_moe"]]
        cases += [dense(backend=b, **own) for b in BACKENDS["dense"]]
    return [case for case in dict.fromkeys(cases) if unsupported(case) is None]


@pytest.mark.parametrize("case", memory_cases(), ids=lambda case: case.id)
def test_saved_bytes_are_exact(case: Case) -> None:
    measured, predicted = saved_bytes(make_subject(case, build(case))), cost(case).memory_saved
    assert predicted is not None
    if case.backend == "reference" and case.capacity_factor and case.layer == "token_choice":
        assert 0.9 * predicted < measured <= predicted  # how many are dropped decides
    else:
        assert measured == predicted


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("case", families(pass_="forward_backward"), ids=lambda case: str(case.variant))
def test_saved_bytes_follow_the_dtype(case: Case, dtype: str) -> None:
    case = replace(case, dtype=dtype)
    assert saved_bytes(make_subject(case, build(case))) == cost(case).memory_saved


def router_cases() -> list[Case]:
    """Every gate with every noise and balance loss, and every backend after each gate."""
    shape: dict[str, Any] = {"d_model": 16, "d_ff": 32, "batch": 4, "tokens": 10, "experts": 5, "pass_": "train"}
    pairs = itertools.product(get_args(NoiseName), get_args(BalanceName))
    routers = [{"noise": noise, "balance": balance} for noise, balance in pairs]
    rooms: list[dict[str, Any]] = [{}, {"capacity_factor": 1.25}, {"capacity_factor": 1.25, "drop": "priority"}]
    ways = [{"backend": backend} | room for backend in BACKENDS["token_choice"] for room in rooms]
    cases = [
        token_choice(**{"gate": gate, "top_k": k} | own | shape)
        for gate, k in itertools.product(GATES, (1, 2))
        for own in (*routers, *ways)
    ]
    return [case for case in dict.fromkeys(cases) if unsupported(case) is None]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_saved_bytes_follow_the_router(dtype: str) -> None:
    cases = [replace(case, dtype=dtype) for case in router_cases()]
    assert len(cases) > 150
    for case in cases:
        measured, predicted = saved_bytes(make_subject(case, build(case))), cost(case).memory_saved
        assert predicted is not None
        if case.backend == "reference" and case.capacity_factor:
            assert 0.9 * predicted < measured <= predicted, case.id
        else:
            assert measured == predicted, case.id


@pytest.mark.parametrize("backend", BACKENDS["soft"])
@pytest.mark.parametrize("mixing", get_args(MixingName))
@pytest.mark.parametrize(("batch", "slots"), [(1, 4), (3, 10), (3, 11), (3, 1)])
def test_saved_bytes_of_every_mixing_are_exact(mixing: str, backend: str, batch: int, slots: int) -> None:
    """One slot an expert and one sequence are views where more are copies; 40 tokens fill 4 times 10 slots exactly."""
    shape: dict[str, Any] = {"d_model": 48, "d_ff": 192, "tokens": 40, "pass_": "forward_backward", "batch": batch}
    experts = 40 if slots == 1 else 4
    for dtype in ("float32", "bfloat16"):
        case = soft(backend=backend, mixing=mixing, experts=experts, slots=slots, dtype=dtype, **shape)
        if unsupported(case) is None:
            assert saved_bytes(make_subject(case, build(case))) == cost(case).memory_saved, case.id


FACTS: dict[str, Any] = {"d_model": 384, "d_ff": 1536, "batch": 8, "tokens": 196, "pass_": "forward_backward"}


def test_saved_bytes_are_the_formulas_of_the_literature() -> None:
    """What eager layers are known to keep, in numbers with the input counted; exact but for indices and norms.

    Soft MoE keeps less than an eager transcription does, B (2 m D + ...): the normalised tokens are made again.
    """
    B, m, D, F, E, K = 8, 196, 384, 1536, 8, 2
    T, S = B * m, 192
    for case, numbers, off in (
        (dense(**FACTS), T * (D + 2 * F), 0.0),
        (dense(activation="silu", gated=True, **FACTS), T * (D + 4 * F), 0.0),
        (token_choice(experts=E, top_k=K, **FACTS), T * D + K * T * (2 * D + 2 * F) + T * E, 0.05),
        (token_choice(experts=E, top_k=1, **FACTS), T * D + T * (2 * D + 2 * F) + T * E, 0.05),
        (soft(experts=E, slots=24, **FACTS), B * (m * D + 2 * m * S + 2 * S * D + 2 * S * F) + T + S, 0.0),
    ):
        kept = cost(case).memory_saved
        assert kept is not None
        assert kept / 4 + T * D == pytest.approx(numbers, rel=off, abs=0.5), case.id
