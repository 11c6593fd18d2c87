"""Forward FLOPs of an architecture by part, in closed form.

A multiply-add is 2 FLOPs, and only matrix products count, as in `costs.py`, whose forms of one layer these agree with.
A query meets every key of its sequence: masks and windows save nothing here, as in torch's counter.
"""

from __future__ import annotations

from collections import Counter

from harness.declare.architecture import Architecture, Attention, Experts, FeedForward, LatentAttention, Patches, Stack
from harness.declare.counts_parameters import PARTS, projections
from harness.declare.letters import room


def forward_flops(model: Architecture, tokens: int | None = None) -> dict[str, int]:
    """Return the forward FLOPs of one sequence of `tokens` by part, in the order of PARTS.

    An image has its own number of tokens. An encoder-decoder reads `tokens` and writes as many.
    """
    m = tokens or own_tokens(model)
    D, spent = model.d_model, Counter(dict.fromkeys(PARTS, 0))
    if isinstance(model.embedding, Patches):
        spent["input embedding"] = 2 * m * D * model.embedding.patch**2 * model.embedding.channels
    for stack in model.stacks:
        spent.update(_stack_flops(stack, D, m))
    if model.head:
        spent["head"] = 2 * D * model.head.outputs * (1 if isinstance(model.embedding, Patches) else m)
    return dict(spent)


def own_tokens(model: Architecture) -> int:
    """Return the tokens of one image; raise ValueError for a model of texts."""
    if isinstance(model.embedding, Patches):
        return model.embedding.tokens
    raise ValueError(f"{model.name} reads texts of any length: say how many tokens")


def _stack_flops(stack: Stack, D: int, m: int) -> dict[str, int]:
    sparse, attentions = len(stack.expert_blocks), stack.depth * (2 if stack.cross_attention else 1)
    found = {
        "attention": attentions * 2 * m * projections(stack.attention, D),
        "attention scores": attentions * 2 * m * m * _score_width(stack.attention),
    }
    if stack.ffn:
        found["dense FFN"] = (stack.depth - sparse) * m * _row_flops(stack.ffn, D)
    if stack.experts:
        found |= {part: sparse * n for part, n in experts_flops(stack.experts, D, m).items()}
    return found


def _score_width(attention: Attention | LatentAttention) -> int:
    """Return the numbers that one query and one key take part in: their product, and the value's weighing."""
    if isinstance(attention, LatentAttention):
        return attention.heads * (attention.plain_dim + attention.rope_dim + attention.value_dim)
    return 2 * attention.heads * attention.head_dim


def _row_flops(ffn: FeedForward, D: int) -> int:
    return (6 if ffn.gated else 4) * D * ffn.d_ff


def experts_flops(layer: Experts, D: int, m: int) -> dict[str, int]:
    """Return the forward FLOPs of one sequence of `m` tokens in one layer of experts, by part."""
    S = layer.experts * (layer.slots or 1)
    rows = _rows(layer, m)
    mixing = {"soft": S, "dense_moe": 0}.get(layer.router, rows * layer.group if layer.onehot else 0)
    return {
        "router": 2 * m * D * (S if layer.router == "soft" else layer.experts),
        "dispatch": round(2 * m * mixing * D),
        "experts": round(rows * _row_flops(layer.ffn, D)),
        "shared experts": (m * _row_flops(layer.shared, D) if layer.shared else 0) + layer.shared_gate * 2 * m * D,
        "combine": round(2 * m * mixing * D),
    }


def _rows(layer: Experts, m: int) -> float:
    """Return the rows of one sequence that go through the experts; empty places of a capacity are among them."""
    if layer.router == "soft":
        return layer.experts * (layer.slots or 1)
    if layer.router == "dense_moe":
        return m * layer.experts
    top_k = layer.top_k or 1
    if layer.router == "token_choice" and layer.capacity_factor is None:
        return m * top_k
    return layer.experts * room(m * layer.group, top_k, layer.experts, layer.capacity_factor or 1.0) / layer.group
