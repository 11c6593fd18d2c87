"""Closed forms of every family, side by side: parameters, FLOPs and compulsory bytes; no torch, microseconds a case.

Conventions. A multiply-add is 2 FLOPs, and only matrix products count: softmax, top-k, norms, activations, biases
and gathers are left out, as they are by torch's counter, with which `flops_executed` agrees to the last digit.
The input needs a gradient, so a product costs twice its forward again in the backward pass; the one exception is
the one-hot dispatch, whose mask has no gradient. `train` has the FLOPs of `forward_backward`.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.case import Case
from harness.declare import token_choice
from harness.declare.costs_peak import peak
from harness.declare.costs_saved import saved
from harness.declare.letters import COMBINES, DISPATCHES, Letters, capacity, letters

__all__ = ["BACKENDS", "BEST", "Cost", "capacity", "cost", "resolve_backend", "unsupported"]

BACKENDS: dict[str, tuple[str, ...]] = {
    "dense": ("reference", "fused"),
    "dense_moe": ("reference", "fused"),
    "token_choice": ("reference", "loop", "onehot", "batched", "grouped"),
    "expert_choice": ("reference", "batched"),
    "soft": ("reference", "batched"),
}
"""The backends that each kind of layer has."""

BEST: dict[str, str] = {
    "dense": "fused",
    "dense_moe": "fused",
    "expert_choice": "batched",
    "soft": "batched",
}
"""What `backend = "best"` means; token choice picks by device and shape."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one case costs, before anything runs."""

    params: int
    params_active: int
    """Parameters that one token uses: the router, its experts, the shared ones; see `_params_active`."""
    flops_model: int
    """The layer's mathematics in the case's pass: the rows that the router asks for, no padding."""
    flops_executed: int
    """The matmul rows that are run: empty capacity slots and one-hot products included."""
    phases: dict[str, int]
    """Executed FLOPs of one forward pass by phase: router, dispatch, experts, combine."""
    bytes: int
    """Compulsory traffic of the pass: see `_traffic`."""
    weight_bytes: int
    memory_saved: int | None
    """Bytes kept for the backward pass, weights and input left out; None where there is none."""
    memory_predicted: int
    """Bytes that the allocator's peak rises above weights and input in one pass, gradients included."""
    memory_needed: int
    """Bytes that must fit: weights, input, optimizer state, and the predicted peak with the gradients in it."""


def cost(case: Case, device: str = "cpu") -> Cost:
    """Return the closed-form cost of `case`'s pass on a `device` (cpu, cuda); FLOPs, bytes and parameters."""
    n, backend = letters(case), resolve_backend(case, device)
    router, dispatch, experts, combine = _forward_flops(case, n, backend)
    model = _model_flops(case, n)
    executed = router + dispatch + experts + combine
    if case.trains:
        model *= 3
        executed = 3 * executed - (dispatch if backend == "onehot" else 0)
    weights, item = _params(case, n), case.itemsize
    kept = saved(case, n, backend) if case.trains else None
    predicted = peak(case, n, backend, weights, device)
    state = 2 * weights * item if case.pass_ == "train" else 0
    upstream = n.T * n.D * item if case.trains else 0
    return Cost(
        params=weights,
        params_active=_params_active(case, n),
        flops_model=model,
        flops_executed=executed,
        phases={"router": router, "dispatch": dispatch, "experts": experts, "combine": combine},
        bytes=_traffic(case, n, weights) * item,
        weight_bytes=weights * item,
        memory_saved=kept,
        memory_predicted=predicted,
        memory_needed=weights * item + n.T * n.D * item + upstream + state + predicted,
    )


def resolve_backend(case: Case, device: str = "cpu") -> str:
    """Return the backend that `case` runs on: its own, or what `best` means for its kind and shape on `device`."""
    if case.backend != "best":
        return case.backend
    return token_choice.best(case, device) if case.layer == "token_choice" else BEST[case.layer]


def unsupported(case: Case, device: str = "cpu") -> str | None:
    """Return why `case` cannot run on `device` (cpu, cuda), in words, or None."""
    if case.layer not in BACKENDS:
        return f"there is no layer of kind {case.layer!r}; there are {', '.join(BACKENDS)}"
    if case.scope != "layer":
        return f'scope = "{case.scope}" is not implemented yet; use scope = "layer"'
    if case.routing not in (None, "learned"):
        return f'routing = "{case.routing}" is not implemented yet; use routing = "learned"'
    if case.mixing == "identity" and case.total_slots < case.tokens:
        return (
            f"identity gives each token a slot of its own, and {case.total_slots} slots a sequence (experts * slots) "
            f"are fewer than {case.tokens} tokens"
        )
    backend = resolve_backend(case, device)
    if backend not in BACKENDS[case.layer]:
        return f"{case.layer} has no backend {backend!r}; it has {', '.join(BACKENDS[case.layer])}"
    if case.experts is not None and (case.top_k or 0) > case.experts:
        return f"top_k = {case.top_k} is above experts = {case.experts}"
    return token_choice.unsupported(case, backend) if case.layer == "token_choice" else None


def _ffn_params(case: Case, D: int, F: int) -> int:
    """Return the parameters of one FFN: two matrices and two biases, or three matrices where it is gated."""
    return 3 * D * F if case.gated else 2 * D * F + F + D


def _params(case: Case, n: Letters) -> int:
    ffn = _ffn_params(case, n.D, n.F)
    if case.layer == "dense":
        return ffn
    if case.layer == "token_choice":
        return token_choice.router_params(case, n) + n.E * ffn + _shared_params(case, n)
    if case.layer in ("expert_choice", "dense_moe"):
        return n.D * n.E + n.E * ffn
    router = n.D * n.S + 1 if case.mixing in DISPATCHES | COMBINES else 0  # soft: Phi and the router's scale
    return router + n.E * ffn


def _shared_params(case: Case, n: Letters) -> int:
    return _ffn_params(case, n.D, n.Fs) if n.Fs else 0


def _params_active(case: Case, n: Letters) -> int:
    """Return the parameters that one token uses.

    Token choice: router, K experts, shared experts. Expert choice: router, and as many experts as choose a token on
    average, which is the capacity factor. Soft MoE: all, since every token takes part in every slot. Dense mixture:
    all, since every expert sees every token. Dense: all.
    """
    ffn = _ffn_params(case, n.D, n.F)
    if case.layer == "token_choice":
        return token_choice.router_params(case, n) + n.K * ffn + _shared_params(case, n)
    if case.layer == "expert_choice":
        return n.D * n.E + round(min(case.capacity_factor or 1.0, n.E) * ffn)
    return _params(case, n)


def _row_flops(n: Letters, F: int) -> int:
    """Return the forward FLOPs of one row through an FFN of hidden width F: 4 D F, or 6 D F where it is gated."""
    return 2 * n.D * (F // n.F * n.H) + 2 * n.D * F


def _forward_flops(case: Case, n: Letters, backend: str) -> tuple[int, int, int, int]:
    """Return the executed FLOPs of one forward pass: router, dispatch, experts, combine."""
    experts = n.R * _row_flops(n, n.F)
    if case.layer == "dense":
        return 0, 0, experts, 0
    if case.layer == "soft":
        mix = 2 * n.T * n.S * n.D
        dispatch, combine = (mix if case.mixing in learned else 0 for learned in (DISPATCHES, COMBINES))
        return max(dispatch, combine), dispatch, experts, combine
    router = token_choice.router_flops(case, n)
    if case.layer == "dense_moe":  # fused: the gates' product with the second biases
        return router, 0, experts, 2 * n.T * n.E * n.D if backend == "fused" and not case.gated else 0
    if n.Fs:
        experts += n.T * _row_flops(n, n.Fs)
    mix = 2 * n.T * n.E * n.C * n.D if backend == "onehot" else 0
    return router, mix, experts, mix


def _model_flops(case: Case, n: Letters) -> int:
    """Return the forward FLOPs of the mathematics: token choice asks for K rows a token, whatever the capacity."""
    if case.layer != "token_choice":
        return sum(_forward_flops(case, n, "reference"))
    shared = n.T * _row_flops(n, n.Fs) if n.Fs else 0
    return token_choice.router_flops(case, n) + n.K * n.T * _row_flops(n, n.F) + shared


def _traffic(case: Case, n: Letters, weights: int) -> int:
    """Return the numbers that must move between memory and chip, each once; intermediates stay on the chip.

    forward: the weights that are used, x and y. forward_backward: those weights twice and their gradients once; x, y
    and the gradients of both. train: AdamW besides reads and writes every weight and its two moments, and reads its
    gradient.
    """
    used = weights
    if case.layer == "token_choice" and case.capacity_factor is None:
        used -= (n.E - _touched(n)) * _ffn_params(case, n.D, n.F)
    if case.pass_ == "forward":
        return used + 2 * n.T * n.D
    return 3 * used + 4 * n.T * n.D + (7 * weights if case.pass_ == "train" else 0)


def _touched(n: Letters) -> int:
    """Return the distinct experts that T independent tokens reach on average, `E (1 - (1 - K/E)^T)`, rounded."""
    return round(n.E * (1 - (1 - n.K / n.E) ** n.T))
