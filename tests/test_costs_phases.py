"""Compulsory bytes by phase: counted once by hand, and held to the parameters and the traffic of the whole."""

from __future__ import annotations

from typing import Any

import pytest

from harness.case import Case
from harness.declare.costs import cost
from harness.declare.costs_phases import floor_bytes
from tests.cases import dense, dense_moe, expert_choice, families, soft, stack, token_choice

D, F, T, E, K = 8, 16, 4, 2, 1
TINY: dict[str, Any] = {"d_model": D, "d_ff": F, "batch": 1, "tokens": T}
FFN = 2 * D * F + F + D
ROWS = T * D
"""Numbers in the tokens, and in as many rows."""


@pytest.mark.parametrize(
    ("case", "router", "dispatch", "experts", "combine"),
    [
        (dense(**TINY), 0, 0, 2 * ROWS + FFN, 0),
        # a gate is 1 number, an id 2 of float32
        (token_choice(experts=E, top_k=K, **TINY), ROWS + D * E + 3 * T, 2 * ROWS + 2 * T, 2 * ROWS, 2 * ROWS + T),
        (soft(experts=E, slots=1, **TINY), ROWS + D * E + 1 + 2 * T * E, ROWS + T * E + E * D, 2 * E * D + E * FFN,
         ROWS + T * E + E * D),
        (soft(experts=E, slots=1, mixing="uniform", **TINY), 0, ROWS + D, D + E * D + E * FFN, E * D + ROWS),
        (soft(experts=E, slots=2, mixing="identity", **TINY), 0, 0, 2 * ROWS + E * FFN, 0),
        (expert_choice(experts=E, capacity_factor=1.0, **TINY), ROWS + D * E + 3 * T, 2 * ROWS + 2 * T,
         2 * ROWS + E * FFN, 2 * ROWS + T),
        (dense_moe(experts=E, **TINY), ROWS + D * E + T * E, 0, 2 * ROWS + E * FFN + T * E, 0),
    ],
    ids=["dense", "top-1", "soft", "uniform", "identity", "ec", "mixture"],
)  # fmt: skip
def test_once_by_hand_in_numbers_of_float32(case: Case, router: int, dispatch: int, experts: int, combine: int) -> None:
    found = cost(case).phase_bytes
    reached = 2 * FFN if case.layer == "token_choice" else 0  # 4 tokens reach both experts, but for 1 time in 8
    wanted = {"router": router, "dispatch": dispatch, "experts": experts + reached, "combine": combine}
    assert found == {phase: 4 * numbers for phase, numbers in wanted.items()}


@pytest.mark.parametrize("case", [*families(), *families(dtype="bfloat16"), token_choice(shared_experts=2)])
def test_phases_together_move_no_less_than_the_pass_must(case: Case) -> None:
    forms = cost(case)
    assert sum(forms.phase_bytes.values()) >= forms.bytes
    assert all(forms.phase_bytes[phase] for phase, flops in forms.phases.items() if flops and phase != "combine")


def test_capacity_moves_padding_through_the_experts_and_not_back() -> None:
    lean, padded = (cost(token_choice(capacity_factor=factor)).phase_bytes for factor in (1.0, 2.0))
    rows = 64 * 32 * 4  # 32 tokens to 2 experts each
    assert padded["experts"] == lean["experts"] + 2 * rows
    assert padded["dispatch"] == lean["dispatch"] + rows
    assert padded["combine"] == lean["combine"]


def test_a_model_adds_its_layers_up() -> None:
    case = stack(token_choice(), moe_layers="all")
    assert cost(case).phase_bytes == {phase: 3 * num for phase, num in cost(token_choice()).phase_bytes.items()}


def test_the_floor_is_the_weights_of_the_experts_that_are_reached() -> None:
    decode = token_choice(experts=8, top_k=2, batch=1, tokens=1)
    one = (2 * 32 * 64 + 64 + 32) * 4
    assert floor_bytes(decode) == 2 * one
    assert floor_bytes(decode, distinct=3) == 3 * one
    assert floor_bytes(token_choice(experts=8, top_k=2, batch=1, tokens=1, shared_experts=1)) == 3 * one
    assert floor_bytes(soft()) == 4 * one
    assert floor_bytes(dense()) == 0
