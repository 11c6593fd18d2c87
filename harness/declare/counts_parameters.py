"""Parameters of an architecture by part, in closed form: all, or those that one token uses."""

from __future__ import annotations

from collections import Counter

from harness.declare.architecture import Architecture, Attention, Experts, FeedForward, LatentAttention, Patches, Stack

PARTS = (
    "input embedding", "positions", "attention", "attention scores", "dense FFN", "router", "dispatch", "experts",
    "shared experts", "combine", "norms", "head",
)  # fmt: skip
"""The parts of a model in the order in which data meets them; `attention` is its projections."""


def parameters(model: Architecture) -> dict[str, int]:
    """Return all parameters by part, in the order of PARTS."""
    return _parameters(model, active=False)


def active_parameters(model: Architecture) -> dict[str, int]:
    """Return the parameters that one token uses, by part.

    Token choice: K experts. Expert choice: as many as choose a token on average, the capacity factor. Soft MoE and
    dense MoE: all of them. Routers and shared experts are always used whole.
    """
    return _parameters(model, active=True)


def _parameters(model: Architecture, *, active: bool) -> dict[str, int]:
    D, found = model.d_model, Counter(dict.fromkeys(PARTS, 0))
    match model.embedding:
        case Patches() as patches:
            found["input embedding"] = (patches.patch**2 * patches.channels + 1) * D
            found["positions"] = patches.tokens * D
        case tokens if tokens is not None:
            found["input embedding"], found["positions"] = tokens.vocabulary * D, tokens.positions * D
    for stack in model.stacks:
        found.update(_stack_parameters(stack, D, 2 * D if model.norm == "layer" else D, active=active))
    if model.head and not model.head.tied:
        found["head"] = (D + model.head.bias) * model.head.outputs
    return dict(found)


def _stack_parameters(stack: Stack, D: int, norm: int, *, active: bool) -> dict[str, int]:
    sparse, attentions = len(stack.expert_blocks), 2 if stack.cross_attention else 1
    found = {
        "attention": stack.depth * attentions * _attention_parameters(stack.attention, D)
        + stack.attention.relative_buckets * stack.attention.heads,
        "norms": stack.depth * (attentions + 1) * norm + stack.final_norm * norm,
    }
    if stack.ffn:
        found["dense FFN"] = (stack.depth - sparse) * ffn_parameters(stack.ffn, D)
    if stack.experts:
        found |= {part: sparse * n for part, n in experts_parameters(stack.experts, D, active=active).items()}
    return found


def _attention_parameters(attention: Attention | LatentAttention, D: int) -> int:
    if isinstance(attention, LatentAttention):
        norms = (attention.query_rank or 0) + attention.kv_rank
        return projections(attention, D) + norms
    queries, keys = attention.heads * attention.head_dim, _kv_heads(attention) * attention.head_dim
    biases = {"none": 0, "qkv": queries + 2 * keys, "all": queries + 2 * keys + D}[attention.biases]
    norms = {"none": 0, "head": 2 * attention.head_dim, "width": queries + keys}[attention.qk_norm]
    return projections(attention, D) + biases + norms + attention.sinks * attention.heads


def ffn_parameters(ffn: FeedForward, D: int) -> int:
    """Return the parameters of one FFN at width `D`."""
    first = ffn.d_ff * (2 if ffn.gated else 1)
    return D * (first + ffn.d_ff) + (first + D if ffn.biases else 0)


def experts_parameters(layer: Experts, D: int, *, active: bool) -> dict[str, int]:
    """Return the parameters of one layer of experts by part: all, or those that a token uses."""
    router = D * layer.experts * (layer.slots or 1) + layer.router_bias * layer.experts + (layer.router == "soft")
    shared = (ffn_parameters(layer.shared, D) if layer.shared else 0) + layer.shared_gate * D
    used = experts_of_a_token(layer) if active else layer.experts
    return {"router": router, "experts": round(used * ffn_parameters(layer.ffn, D)), "shared experts": shared}


def experts_of_a_token(layer: Experts) -> float:
    """Return how many experts one token uses."""
    if layer.router == "token_choice":
        return layer.top_k or 1
    if layer.router == "expert_choice":
        return min(layer.capacity_factor or 1.0, layer.experts)
    return layer.experts


def projections(attention: Attention | LatentAttention, D: int) -> int:
    """Return the weights of the matrices around the scores."""
    if isinstance(attention, Attention):
        return 2 * D * (attention.heads + _kv_heads(attention)) * attention.head_dim
    a = attention
    width = a.heads * (a.plain_dim + a.rope_dim)
    queries = D * width if a.query_rank is None else a.query_rank * (D + width)
    keys = D * (a.kv_rank + a.rope_dim) + a.kv_rank * a.heads * (a.plain_dim + a.value_dim)
    return queries + keys + a.heads * a.value_dim * D


def _kv_heads(attention: Attention) -> int:
    return attention.heads if attention.kv_heads is None else attention.kv_heads
