"""Each layer's mathematics transcribed once more, in float64 and with Python loops, sharing no code with the layers."""

from __future__ import annotations

from collections import Counter

import torch
from torch import Tensor

from harness.layers.dense_moe import DenseMoe
from harness.layers.expert_choice import ExpertChoice
from harness.layers.experts import Ffn
from harness.layers.noise import standard_normal
from harness.layers.soft import Soft
from harness.layers.token_choice import TokenChoice


def activation(name: str, v: Tensor) -> Tensor:
    """The definitions: v Phi(v), max(v, 0), v sigma(v)."""
    if name == "gelu":
        return v * 0.5 * (1 + torch.erf(v / 2**0.5))
    return torch.where(v > 0, v, 0.0) if name == "relu" else v / (1 + torch.exp(-v))


def ffn(bank: Ffn, v: Tensor, expert: int | None = None) -> Tensor:
    """One row `v` [D] through one FFN."""
    w1, w2 = (w.double() if expert is None else w[expert].double() for w in (bank.w1, bank.w2))
    if bank.b1 is None or bank.b2 is None:
        width = w2.shape[0]
        return (activation(bank.activation, v @ w1[:, :width]) * (v @ w1[:, width:])) @ w2
    b1, b2 = (b.double() if expert is None else b[expert].double() for b in (bank.b1, bank.b2))
    return activation(bank.activation, v @ w1 + b1) @ w2 + b2


def logits(layer: TokenChoice, tokens: Tensor) -> Tensor:
    """H(x)_e = (x W_g)_e + n softplus((x W_noise)_e), or x W_g + n / E; no n in eval mode."""
    h = tokens @ layer.router.double()
    n = standard_normal(h).double() if layer.training else torch.zeros_like(h)
    if layer.noise_weight is not None:
        return h + n * torch.log(1 + torch.exp(tokens @ layer.noise_weight.double()))
    return h + n / layer.experts if layer.case.noise == "vmoe" else h


def gates(name: str, h: Tensor, bias: Tensor, top_k: int) -> dict[int, float | Tensor]:
    """The experts of one token with logits `h` [E], best first, and the gate of each."""
    p = torch.exp(h) / torch.exp(h).sum()
    s = 1 / (1 + torch.exp(-h))
    ranked = (s if name == "sigmoid" else h if name == "topk_softmax" else p) + bias
    best = sorted(range(len(h)), key=lambda e: -float(ranked[e]))[:top_k]
    if name == "softmax":
        return {e: p[e] for e in best}
    weight = s if name == "sigmoid" else torch.exp(h)
    return {e: weight[e] / sum(float(weight[other]) for other in best) for e in best}


def priority(name: str, h: Tensor) -> float:
    """How probable the best expert is."""
    shares = 1 / (1 + torch.exp(-h)) if name == "sigmoid" else torch.exp(h)
    return float(shares.max() / shares.sum())


def dense_moe(layer: DenseMoe, x: Tensor) -> Tensor:
    """Token by token and expert by expert, each with its own weights."""
    return torch.stack([torch.stack([_mixture(layer, v) for v in sequence]) for sequence in x.double()])


def _mixture(layer: DenseMoe, v: Tensor) -> Tensor:
    E, F, gated = layer.experts, layer.case.d_ff, layer.case.gated
    p = torch.exp(v @ layer.router.double())
    y = torch.zeros_like(v)
    for e in range(E):
        own, behind = slice(e * F, (e + 1) * F), slice((E + e) * F, (E + e + 1) * F)
        hidden = v @ layer.w1.double()[:, own] + (0 if layer.b1 is None else layer.b1.double()[own])
        hidden = activation(layer.case.activation, hidden) * (v @ layer.w1.double()[:, behind] if gated else 1)
        y = y + p[e] / p.sum() * (hidden @ layer.w2[e].double() + (0 if layer.b2 is None else layer.b2[e].double()))
    return y


def token_choice(layer: TokenChoice, x: Tensor, room: int | None, by_sequence: bool) -> Tensor:
    """Token by token: its best experts, its gates, and its place in their queues."""
    x = x.double()
    y = torch.zeros_like(x)
    h = logits(layer, x.flatten(0, 1)).view(*x.shape[:2], -1)
    name, bias = str(layer.case.gate), torch.zeros(layer.experts) if layer.bias is None else layer.bias
    taken: Counter[tuple[int, int]] = Counter()
    tokens = [(b, t) for b in range(x.shape[0]) for t in range(x.shape[1])]
    if layer.case.drop == "priority":
        tokens.sort(key=lambda at: -priority(name, h[at]))
    for k in range(layer.top_k):  # all first choices before all second ones
        for b, t in tokens:
            expert, gate = list(gates(name, h[b, t], bias, layer.top_k).items())[k]
            queue = (b if by_sequence else 0, expert)
            taken[queue] += 1
            if room is None or taken[queue] <= room:
                y[b, t] += gate * ffn(layer.ffn, x[b, t], expert)
    if layer.shared is not None:
        y += torch.stack([torch.stack([ffn(layer.shared, v) for v in sequence]) for sequence in x])
    return y


def expert_choice(layer: ExpertChoice, x: Tensor, room: int, by_sequence: bool) -> Tensor:
    """Expert by expert: the tokens of the group that score it highest."""
    x = x.double()
    y = torch.zeros_like(x)
    everywhere = [(b, t) for b in range(x.shape[0]) for t in range(x.shape[1])]
    groups = [[(b, t) for b, t in everywhere if b == g] for g in range(x.shape[0])] if by_sequence else [everywhere]
    for group in groups:
        scores = {at: torch.softmax(x[at] @ layer.router.double(), 0) for at in group}
        for expert in range(layer.experts):
            for at in sorted(group, key=lambda at: -float(scores[at][expert].detach()))[:room]:
                y[at] += scores[at][expert] * ffn(layer.ffn, x[at], expert)
    return y


def soft(layer: Soft, x: Tensor) -> Tensor:
    """Algorithms 1 and 2 of Puigcerver et al. 2023, einsum by einsum, one sequence at a time, and its ablations."""
    y = []
    for tokens in x.double():  # [m, d]
        dispatch, combine = soft_weights(layer, tokens)
        slots = torch.einsum("md,mnp->npd", tokens, dispatch)
        outs = torch.stack([torch.stack([ffn(layer.ffn, v, n) for v in own]) for n, own in enumerate(slots)])
        y.append(torch.einsum("npd,mnp->md", outs, combine))
    return torch.stack(y)


def soft_weights(layer: Soft, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Dispatch and combine weights [m, n, p] of one sequence."""
    m, n, p = len(tokens), layer.experts, layer.slots
    dispatch, combine = tokens.new_full((m, n, p), 1 / m), tokens.new_full((m, n, p), 1 / (n * p))
    if layer.mixing == "identity":
        dispatch = torch.zeros_like(dispatch)
        for i in range(m):
            dispatch[i, i % n, i // n] = 1
        return dispatch, dispatch
    if layer.phi is None or layer.scale is None:
        return dispatch, combine
    phi = layer.phi.double().unflatten(1, (n, p))  # type: ignore[no-untyped-call]  # [d, n, p]
    phi = layer.scale.double() * phi / (phi.square().sum(0).sqrt() + 1e-6)
    unit = tokens / (tokens.square().sum(1, keepdim=True).sqrt() + 1e-6)
    weights = torch.exp(torch.einsum("md,dnp->mnp", unit, phi))
    if layer.mixing != "soft_combine":
        dispatch = weights / weights.sum(0)
    if layer.mixing != "soft_dispatch":
        combine = weights / weights.sum((1, 2), keepdim=True)
    return dispatch, combine
