"""Published models built whole on the meta device: parameters and FLOPs against their tables and the closed forms."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from harness.case import Case
from harness.declare.costs import cost
from harness.declare.costs_around import architecture_of
from harness.declare.counts import forward_flops, parameters
from harness.declare.published import published
from harness.declare.scopes import input_shape, reads
from harness.layers import build
from harness.probes.flop_formulas import count_flops
from tests.cases import dense, soft, token_choice

CLASSES = 29_593
"""Of JFT-4B, as the Soft MoE paper counts heads."""
SIZES = {"s": (384, 1536, 6, 12), "b": (768, 3072, 12, 12), "h": (1280, 5120, 16, 32)}


def vision(size: str, patch: int, experts: int | None = None) -> Case:
    """The paper's model: /16 has 196 patches of an image of 224 x 224, /14 has 256; one slot an expert."""
    d_model, d_ff, heads, depth = SIZES[size]
    own: dict[str, Any] = {"d_model": d_model, "d_ff": d_ff, "heads": heads, "depth": depth, "patch": patch}
    own |= {"tokens": (224 // patch) ** 2, "batch": 1, "scope": "model", "causal": False, "vocabulary": CLASSES}
    return soft(experts=experts, moe_layers="last_half", **own) if experts else dense(**own)


PUBLISHED = [
    ("vit-s16", vision("s", 16), 33e6, 9.2),
    ("vit-b16", vision("b", 16), 108e6, 35.1),
    ("vit-h14", vision("h", 14), 669e6, 334.2),
    ("soft-moe-s16-128e", vision("s", 16, 128), 933e6, 8.6),
    ("soft-moe-b16-128e", vision("b", 16, 128), 3.7e9, 32.0),
    ("soft-moe-h14-128e", vision("h", 14, 128), 27.3e9, 284.6),
    ("soft-moe-h14-256e", vision("h", 14, 256), 54.1e9, 342.4),
]
"""Puigcerver et al. 2023, tables 1 and 8: parameters, GFLOP an image."""


def _built(case: Case) -> tuple[int, int]:
    """Return the parameters and forward FLOPs of `case` built on meta, counted by torch."""
    layer = build(case, device="meta")
    dtype = torch.int64 if reads(case) == "ids" else torch.float32
    x = torch.empty(input_shape(case), device="meta", dtype=dtype)
    with torch.no_grad():
        flops = count_flops(lambda: layer(x))
    return sum(weight.numel() for weight in layer.parameters()), flops


@pytest.mark.parametrize(("name", "case", "params", "giga"), PUBLISHED, ids=[name for name, *_ in PUBLISHED])
def test_a_vision_model_is_the_published_one(name: str, case: Case, params: float, giga: float) -> None:
    weights, flops = _built(case)
    assert weights == pytest.approx(params, rel=0.006)
    assert 0.99 * giga < flops / 1e9 < giga  # elementwise work is not counted, so always less
    assert (weights, flops) == (cost(case).params, cost(case).flops_executed)
    known = published(name)
    assert weights == sum(parameters(known).values())
    assert flops == sum(forward_flops(known).values())
    assert architecture_of(case).stacks == known.stacks


MIXTRAL = token_choice(
    experts=8, top_k=2, d_model=4096, d_ff=14336, heads=32, depth=32, vocabulary=32_000, batch=1, tokens=64,
    activation="silu", gated=True, scope="model", causal=True, moe_layers="all", dtype="bfloat16",
)  # fmt: skip


@pytest.mark.parametrize(
    ("case", "params", "active"),
    [
        (MIXTRAL, 46_702_792_704, 12_879_925_248),
        (
            replace(
                MIXTRAL, layer="dense", experts=None, top_k=None, moe_layers=None, group=None, routing=None, gate=None,
                noise=None, balance=None, shared_experts=None,
            ),
            7_241_732_096,
            7_241_732_096,
        ),
    ],
    ids=["mixtral-8x7b", "mistral-7b"],
)  # fmt: skip
def test_a_decoder_is_the_published_one_with_all_its_key_heads(case: Case, params: int, active: int) -> None:
    """Exact but for grouped queries: 24 more heads of 128 numbers have keys and values, in 32 blocks."""
    more = 32 * 2 * 4096 * 24 * 128
    weights, flops = _built(case)
    assert (weights, flops) == (cost(case).params, cost(case).flops_executed)
    assert weights - more == params
    assert cost(case).params_active - more == active
