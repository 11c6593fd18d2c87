"""Scopes: what a block and a model are made of, what goes in and what comes out.

layer    one FFN or MoE layer alone                                            [B, m, D] -> [B, m, D]
block    attention and that layer, each after a norm and beside a residual     [B, m, D] -> [B, m, D]
model    `depth` blocks; with a vocabulary V between an embedding and a head:
         a vision encoder (patches of P x P pixels, V classes)                 [B, m, 3 P^2] -> [B, V]
         a causal decoder (V tokens)                                           [B, m] ids -> [B, m, V]
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Literal

from harness.case import Case
from harness.declare.architecture import expert_blocks

CHANNELS = 3
"""Colours of a pixel."""


DEEPEST = 1000
"""Blocks of a model; the deepest published language models have about 130."""

HEAD_MULTIPLE = 8
"""Numbers of a head that fused kernels take together: 16 bytes in half precision."""

Input = Literal["hidden", "patches", "ids"]


def reads(case: Case) -> Input:
    """Return what goes in: hidden states [B, m, D], patches of images [B, m, 3 P^2], or token ids [B, m]."""
    if not case.vocabulary:
        return "hidden"
    return "ids" if case.causal else "patches"


def input_shape(case: Case) -> tuple[int, ...]:
    """Return the shape of one batch that goes in."""
    rows = case.batch, case.tokens
    match reads(case):
        case "ids":
            return rows
        case "patches":
            return *rows, patch_width(case)
        case "hidden":
            return *rows, case.d_model


def output_shape(case: Case) -> tuple[int, ...]:
    """Return the shape of what comes out of one batch: hidden states, logits of tokens, or logits of images."""
    if not case.vocabulary:
        return case.batch, case.tokens, case.d_model
    return (case.batch, case.tokens, case.vocabulary) if case.causal else (case.batch, case.vocabulary)


def patch_width(case: Case) -> int:
    """Return the numbers of one patch, 3 P^2."""
    return CHANNELS * (case.patch or 0) ** 2


@lru_cache(maxsize=1 << 12)
def layers_of(case: Case) -> tuple[Case, ...]:
    """Return the FFN or MoE layers inside `case` in order, each as a case of scope layer.

    `every:2` is every second block beginning with the second (GShard, Switch); `last_half` of an odd depth leaves the
    middle block dense (Soft MoE: the last 6 of 12).
    """
    alone = replace(
        case, scope="layer", heads=None, causal=None, depth=None, moe_layers=None, vocabulary=None, patch=None
    )
    if case.scope != "model":
        return (alone,)
    depth, dense = case.depth or 1, _dense(alone)
    with_experts = set(expert_blocks(case.moe_layers or "all", depth))
    return tuple(alone if index in with_experts else dense for index in range(depth))


def leaks(case: Case) -> bool:
    """Return whether a token's output depends on later tokens of its sequence, whatever attention looks at.

    Expert choice and Soft MoE compare all tokens; where capacity is short, a later token's first choice comes before
    an earlier one's second, and with priority any may come before any.
    """
    if case.layer in ("expert_choice", "soft"):
        return True
    return case.capacity_factor is not None and ((case.top_k or 1) > 1 or case.drop == "priority")


def unfit(case: Case) -> str | None:
    """Return why `case` cannot be the block or model that it says, in words, or None."""
    if case.scope == "layer":
        return None
    if not case.heads:
        return f'scope = "{case.scope}" has attention, and needs heads'
    if case.d_model % case.heads:
        return f"heads = {case.heads} does not divide d_model = {case.d_model}"
    if case.causal and head_width(case) % 2:
        return f"rotary positions need heads of an even width, and d_model / heads = {head_width(case)} is odd"
    if (case.depth or 1) > DEEPEST:
        return f"depth = {case.depth:,} is above {DEEPEST:,}"
    if case.moe_layers and not expert_blocks(case.moe_layers, case.depth or 1):
        return f"moe_layers = {case.moe_layers} leaves none of {case.depth} blocks with experts"
    return None


def fused_attention(case: Case) -> bool:
    """Return whether attention runs as one fused kernel, which computes its scores again in the backward pass.

    Not in float64, which the kernels of CUDA do not take, nor at head widths that they would pad.
    """
    plain = case.backend == "reference" or case.dtype == "float64"
    return not plain and head_width(case) % HEAD_MULTIPLE == 0


def head_width(case: Case) -> int:
    """Return the width of one attention head, D / heads."""
    return case.d_model // (case.heads or 1)


def has_positions(case: Case) -> bool:
    """Return whether the weights or tables of `case` depend on its tokens: learned positions, or rotary ones."""
    return bool(case.causal) or reads(case) == "patches"


def _dense(case: Case) -> Case:
    """Return the dense FFN that stands in the blocks without experts: of the same d_ff."""
    return Case(
        variant=case.variant,
        layer="dense",
        d_model=case.d_model,
        d_ff=case.d_ff,
        batch=case.batch,
        tokens=case.tokens,
        dtype=case.dtype,
        pass_=case.pass_,
        backend="reference" if case.backend == "reference" else "best",
        activation=case.activation,
        gated=case.gated,
        size=case.size,
        compile=case.compile,
    )
