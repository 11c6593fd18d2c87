"""Scopes: what blocks and models are made of, what goes in and out, and which of them cannot be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.case import Case
from harness.declare.costs import unsupported
from harness.declare.plan import plan
from harness.declare.scopes import (
    fused_attention,
    has_positions,
    input_shape,
    layers_of,
    leaks,
    output_shape,
    reads,
    unfit,
)
from harness.declare.suite import parse_suite
from harness.declare.visits import build_key
from tests.cases import block, decoder, dense, encoder, expert_choice, families, soft, stack, token_choice


@pytest.mark.parametrize(
    ("case", "kind", "enters", "leaves"),
    [
        (dense(), "hidden", (2, 16, 32), (2, 16, 32)),
        (block(dense()), "hidden", (2, 16, 32), (2, 16, 32)),
        (stack(soft()), "hidden", (2, 16, 32), (2, 16, 32)),
        (encoder(soft()), "patches", (2, 16, 48), (2, 11)),
        (decoder(token_choice()), "ids", (2, 16), (2, 16, 24)),
    ],
    ids=["layer", "block", "stack", "encoder", "decoder"],
)
def test_what_goes_in_and_out(case: Case, kind: str, enters: tuple[int, ...], leaves: tuple[int, ...]) -> None:
    assert (reads(case), input_shape(case), output_shape(case)) == (kind, enters, leaves)


@pytest.mark.parametrize(
    ("where", "depth", "kinds"),
    [
        ("all", 2, "ss"),
        ("every:2", 4, "dsds"),
        ("every:3", 4, "ddsd"),
        ("last_half", 4, "ddss"),
        ("last_half", 5, "dddss"),
    ],
)
def test_which_blocks_have_experts(where: str, depth: int, kinds: str) -> None:
    layers = layers_of(stack(soft(), moe_layers=where, depth=depth))
    assert "".join(layer.layer[0] for layer in layers) == kinds
    assert {layer.d_ff for layer in layers} == {64}


@pytest.mark.parametrize("case", families(), ids=lambda case: str(case.variant))
def test_the_layer_inside_is_the_layer_alone(case: Case) -> None:
    assert layers_of(case) == layers_of(block(case)) == (case,)
    assert set(layers_of(decoder(case))) == {case, replace(dense(), variant=case.variant)}


def test_the_dense_ffn_of_a_reference_is_one_too() -> None:
    assert {layer.backend for layer in layers_of(stack(soft(backend="reference")))} == {"reference"}
    assert [layer.backend for layer in layers_of(stack(token_choice(backend="grouped")))] == ["best", "grouped", "best"]


@pytest.mark.parametrize(
    ("case", "does"),
    [
        (dense(), False),
        (token_choice(), False),
        (token_choice(top_k=1, capacity_factor=1.0), False),
        (token_choice(top_k=1, capacity_factor=1.0, drop="priority"), True),
        (token_choice(capacity_factor=1.0), True),
        (expert_choice(), True),
        (soft(), True),
    ],
)
def test_who_leaks_the_future(case: Case, does: bool) -> None:
    assert leaks(case) is does


@pytest.mark.parametrize(
    ("case", "words"),
    [
        (block(dense(), heads=None), 'scope = "block" has attention, and needs heads'),
        (block(dense(), heads=3), "heads = 3 does not divide d_model = 32"),
        (block(dense(), heads=32, causal=True), "heads of an even width, and d_model / heads = 1 is odd"),
        (stack(dense(), depth=2000), "depth = 2,000 is above 1,000"),
        (stack(soft(), depth=1, moe_layers="last_half"), "leaves none of 1 blocks with experts"),
        (block(soft(backend="grouped")), "soft has no backend 'grouped'"),
        (block(dense(), heads=32), None),
        (dense(), None),
    ],
)
def test_what_cannot_be_built_says_why(case: Case, words: str | None) -> None:
    reason = unsupported(case)
    assert reason is None if words is None else words in (reason or "")
    assert unfit(case) is None or unfit(case) == reason


def test_fused_attention_is_for_the_kernels_that_have_it() -> None:
    case = block(dense())
    assert fused_attention(case)
    assert not fused_attention(replace(case, backend="reference"))
    assert not fused_attention(replace(case, dtype="float64"))
    assert not fused_attention(replace(case, heads=8))  # heads of 4 numbers


def test_layers_with_positions_are_shared_between_batches_alone() -> None:
    for case, positions in ((block(dense()), False), (block(dense(), causal=True), True), (encoder(soft()), True)):
        assert has_positions(case) is positions
        assert build_key(case) == build_key(replace(case, batch=7, pass_="train"))
        assert (build_key(case) == build_key(replace(case, tokens=4))) is not positions


SUITE = """
title = "Scopes"
[base]
size = "Ti"
tokens = 16
[[variant]]
name = "top-2"
layer = "token_choice"
experts = 4
moe_layers = "every:2"
sweep.scope = ["layer", "block", "model"]
"""


def test_a_plan_of_the_three_scopes() -> None:
    layer, around, model = plan(parse_suite(SUITE)).cases
    costs: list[Any] = [case.cost for case in (layer, around, model)]
    D = 192
    attention = 4 * D * D + 4 * D + 2 * (D // 3) + 4 * D
    dense_ffn = 2 * D * 4 * D + 5 * D
    assert costs[1].params - costs[0].params == attention
    assert costs[2].params == 12 * attention + 6 * dense_ffn + 6 * costs[0].params
    assert costs[1].bytes - costs[0].bytes == 4 * attention
    assert not any(case.unsupported for case in (layer, around, model))
