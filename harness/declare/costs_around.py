"""Closed forms of what stands around the layers of a block or a model: attention, norms, embedding, head.

Parameters and FLOPs are those of the case's `Architecture`, whose layers are left out here: `costs.py` has them. Saved
bytes are exact on a CPU for the fused attention; peaks are near, as those of the layers are.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from math import prod
from typing import NamedTuple

from harness.case import Case
from harness.declare.architecture import (
    Architecture,
    Attention,
    Experts,
    FeedForward,
    Head,
    Patches,
    Stack,
    Tokens,
    expert_blocks,
)  # fmt: skip
from harness.declare.costs_traffic import touched
from harness.declare.counts import forward_flops, parameters
from harness.declare.scopes import fused_attention, head_width, output_shape, reads

ATTENTION_ROWS = 8
"""Widths D of each token that attention holds at its fullest: its input, Q K V, Q and K with their positions or norms,
what the heads return, and the output; as many in the backward pass."""


class Inner(NamedTuple):
    """What the form of a whole must know of one layer inside; bytes."""

    weights: int
    saved: int
    peak: int


class Around(NamedTuple):
    """What everything but the layers costs."""

    params: int
    flops: int
    """Of one forward pass."""
    again: int
    """FLOPs of the backward pass beyond twice the forward: fused attention computes its scores again."""
    table: int
    """Parameters among `params` of which a pass reads only some rows: a decoder's embedding."""


@lru_cache(maxsize=1 << 12)
def around(case: Case) -> Around:
    """Return the parameters and FLOPs of what stands around the layers of `case`."""
    model = architecture_of(case)
    held, spent = parameters(model), forward_flops(model, case.tokens)
    params = sum(held[part] for part in ("input embedding", "positions", "attention", "norms", "head"))
    scores = case.batch * spent["attention scores"]
    flops = case.batch * sum(spent[part] for part in ("input embedding", "attention", "head")) + scores
    table = held["input embedding"] if reads(case) == "ids" else 0
    return Around(params, flops, scores // 2 if fused_attention(case) else 0, table)


def used_around(case: Case) -> int:
    """Return the weights around the layers that a pass reads: of an embedding, the rows of its tokens on average."""
    outside = around(case)
    if not outside.table:
        return outside.params
    vocabulary = case.vocabulary or 1
    idle = vocabulary - touched(vocabulary, 1 / vocabulary, case.sequence_tokens)
    return outside.params - idle * case.d_model


def architecture_of(case: Case) -> Architecture:
    """Return the architecture of a block or a model, as `harness/layers` builds it."""
    depth = case.depth or 1
    sparse = () if case.layer == "dense" else expert_blocks(case.moe_layers or "all", depth)
    ffn = FeedForward(d_ff=case.d_ff, gated=case.gated, biases=not case.gated)
    stack = Stack(
        depth=depth,
        attention=_attention(case),
        ffn=ffn,
        experts=_experts(case, ffn) if sparse else None,
        expert_blocks=sparse,
        final_norm=bool(case.vocabulary),
    )
    embeddings = {
        "hidden": None,
        "ids": Tokens(vocabulary=case.vocabulary or 0),
        "patches": Patches(image=0, patch=case.patch or 0, count=case.tokens),
    }
    return Architecture(
        name=case.id,
        d_model=case.d_model,
        form="decoder" if case.causal else "encoder",
        stacks=(stack,),
        embedding=embeddings[reads(case)],
        head=Head(outputs=case.vocabulary, bias=not case.causal) if case.vocabulary else None,
        norm="rms" if case.causal else "layer",
    )


def _attention(case: Case) -> Attention:
    return Attention(
        heads=case.heads or 1,
        head_dim=head_width(case),
        biases="none" if case.causal else "all",
        qk_norm="none" if case.causal else "head",
    )


def _experts(case: Case, ffn: FeedForward) -> Experts:
    shared = case.shared_experts or 0
    return Experts(
        experts=case.experts or 1,
        ffn=ffn,
        router=case.layer,  # type: ignore[arg-type]  # dense has none
        top_k=case.top_k,
        slots=case.slots,
        capacity_factor=case.capacity_factor,
        group=1 if case.group == "sequence" else case.batch,
        onehot=case.backend == "onehot",
        shared=FeedForward(d_ff=shared * case.d_ff, gated=case.gated, biases=ffn.biases) if shared else None,
    )


def saved(case: Case, layers: Sequence[Inner]) -> int:
    """Return the bytes that autograd keeps between forward and backward, weights and input left out."""
    return sum(_block_saved(case, index, layer) for index, layer in enumerate(layers)) + _head_saved(case)


def _block_saved(case: Case, index: int, layer: Inner) -> int:
    """Return what one block keeps: what its two norms read and return, attention, the layer; not the case's input."""
    row, reread = _row(case), _norm_input(case)
    given = index == 0 and reads(case) == "hidden"
    return 2 * (row + _norm_saved(case)) + (1 if given else 2) * reread + _attention_saved(case) + layer.saved


def _attention_saved(case: Case) -> int:
    """Return what attention keeps besides its input: Q K V as they come and as they meet, and what comes of them."""
    row, T, h, item = _row(case), case.sequence_tokens, case.heads or 1, case.itemsize
    kept = row + (0 if case.causal else 4 * T * h * item)  # what the heads return; queries' and keys' norms
    if fused_attention(case):
        return kept + 5 * row + T * h * _WIDE
    split = case.batch > 1 and h > 1  # then each head's Q, K and V are copies
    pieces = 3 if split and case.causal else 6 if split else 5
    scores = T * h * case.tokens * (max(_WIDE, item) + (item if item < _WIDE else 0))
    return kept + pieces * row + scores + (case.tokens**2 if case.causal else 0)


def _norm_input(case: Case) -> int:
    """Return what a norm keeps of its input: RMSNorm of a shorter dtype than float32 keeps its copy alone."""
    return 0 if case.causal and case.itemsize < _WIDE else _row(case)


def _norm_saved(case: Case) -> int:
    """Return what a norm keeps besides its input and output: mean and scale, or the scaled input in float32."""
    if not case.causal:
        return 2 * case.sequence_tokens * case.itemsize
    wide = max(_WIDE, case.itemsize)
    copies = 1 if wide == case.itemsize else 2
    return case.sequence_tokens * wide * (copies * case.d_model + 1)


def _head_saved(case: Case) -> int:
    if not case.vocabulary:
        return 0
    rows = case.sequence_tokens if case.causal else case.batch
    return _norm_input(case) + _norm_saved(case) + rows * case.d_model * case.itemsize


def peak(case: Case, layers: Sequence[Inner]) -> int:
    """Return the bytes that the allocator's peak rises above weights and input in one pass, gradients included."""
    return _backward(case, layers) if case.trains else _forward(case, layers)


def _forward(case: Case, layers: Sequence[Inner]) -> int:
    """Return the fullest of: attention, the fullest layer beside what it is added to, the head."""
    row = _row(case)
    held = 0 if case.scope == "block" or (case.depth == 1 and not case.vocabulary) else row
    fullest = held + max(_attention_peak(case), 2 * row + max(layer.peak for layer in layers))
    return max(fullest, 2 * row + _output(case)) if case.vocabulary else fullest


def _attention_peak(case: Case) -> int:
    row, item = _row(case), case.itemsize
    scores = case.sequence_tokens * (case.heads or 1) * case.tokens
    if fused_attention(case):
        return ATTENTION_ROWS * row
    return ATTENTION_ROWS * row + scores * (item + max(_WIDE, item))


def _backward(case: Case, layers: Sequence[Inner]) -> int:
    """Return the fullest of: the head, and each block's layer and attention with the gradients of all blocks after it.

    The blocks before it still hold what they kept.
    """
    row, around_one = _row(case), _around_weights(case)
    ends = (around(case).params * case.itemsize - len(layers) * around_one) if case.vocabulary else 0
    own = [_block_saved(case, index, layer) for index, layer in enumerate(layers)]
    before = [0, *accumulate(own)]
    gradients = ends - around(case).table * case.itemsize
    out = _output(case)
    fullest = before[-1] + _head_saved(case) + out + gradients + row
    for index in reversed(range(len(layers))):
        layer = layers[index]
        kept = before[index] + own[index] - layer.saved + gradients + (out if case.vocabulary else 0)
        at_attention = kept + layer.weights + around_one + ATTENTION_ROWS * row
        fullest = max(fullest, kept + layer.peak, at_attention)
        gradients += layer.weights + around_one
    return max(fullest, gradients + around(case).table * case.itemsize + row + out)


def _around_weights(case: Case) -> int:
    """Return the bytes of one block's attention and norms."""
    held = parameters(architecture_of(case))
    norms = (2 if case.causal else 4) * case.d_model
    return (held["attention"] // (case.depth or 1) + norms) * case.itemsize


def _row(case: Case) -> int:
    """Return the bytes of one number D for each token."""
    return case.sequence_tokens * case.d_model * case.itemsize


def _output(case: Case) -> int:
    return prod(output_shape(case)) * case.itemsize


_WIDE = 4
"""Bytes of a number where sums are taken: float32 at least."""
