"""Closed forms of every family, side by side: parameters, FLOPs and compulsory bytes; no torch, microseconds a case.

Conventions. A multiply-add is 2 FLOPs, and only matrix products count: softmax, top-k, norms, activations, biases
and gathers are left out, as they are by torch's counter, with which `flops_executed` agrees to the last digit.
The input needs a gradient, so a product costs twice its forward again in the backward pass; the one exception is
the one-hot dispatch, whose mask has no gradient. `train` has the FLOPs of `forward_backward`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from harness.case import Case
from harness.declare import adapters, assignments, parallel, token_choice
from harness.declare.costs_around import Inner, around, used_around
from harness.declare.costs_around import peak as peak_around
from harness.declare.costs_around import saved as saved_around
from harness.declare.costs_peak import peak
from harness.declare.costs_phases import phase_bytes, read_by_experts
from harness.declare.costs_saved import saved
from harness.declare.costs_traffic import standing, traffic
from harness.declare.letters import COMBINES, DISPATCHES, Letters, capacity, letters
from harness.declare.loads import touched
from harness.declare.scopes import layers_of, unfit

__all__ = ["BACKENDS", "BEST", "Cost", "capacity", "cost", "resolve_backend", "row_flops", "unsupported"]

BACKENDS: dict[str, tuple[str, ...]] = {
    "dense": ("reference", "fused", "fixed_tile"),
    "dense_moe": ("reference", "fused"),
    "token_choice": ("reference", "loop", "onehot", "batched", "grouped", "fixed_tile"),
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

PHASES = ("router", "dispatch", "experts", "combine")


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
    """Executed FLOPs of one forward pass by phase: router, dispatch, experts, combine; in a block or a model, other."""
    phase_bytes: dict[str, int]
    """Compulsory traffic of one forward pass by phase, each as if it stood alone: see `costs_phases.py`."""
    bytes: int
    """Compulsory traffic of the pass: see `costs_traffic.py`."""
    weight_bytes: int
    memory_saved: int | None
    """Bytes kept for the backward pass, weights and input left out; None where there is none."""
    memory_predicted: int
    """Bytes that the allocator's peak rises above weights and input in one pass, gradients included. For an adapter it
    is that of our backend which multiplies the same rows: an estimate, that no record holds."""
    memory_needed: int
    """Bytes that must fit: weights, input, optimizer state, and the predicted peak with the gradients in it."""


def cost(case: Case, device: str = "cpu") -> Cost:
    """Return the closed-form cost of `case`'s pass on a `device` (cpu, cuda); FLOPs, bytes and parameters."""
    if case.scope != "layer":
        return _scope_cost(case, device)
    return _layer_cost(case, device) if case.expert_parallel == 1 else _spread_cost(case, device)


def _spread_cost(case: Case, device: str) -> Cost:
    """Return the cost of a layer spread over ranks: theirs together, but for the memory of a pass, which is one rank's.

    The peak is an estimate: that of the layer on one device over the sequences of one rank, whose experts it all has.
    What must fit is on a CPU the memory of all ranks, who share it, and on CUDA that of one.
    """
    n, whole = case.expert_parallel, _layer_cost(parallel.on_one_device(case), device)
    one = _layer_cost(parallel.of_rank(parallel.on_one_device(case)), device)
    experts = (case.experts or 0) * _ffn_params(case, case.d_model, case.d_ff)
    copies = (n - 1) * (whole.params - experts)
    kept = experts * (n - 1) // n * case.itemsize  # what one rank does not hold of weights, gradients, moments
    needed = one.memory_needed - kept * (1 + case.trains + 2 * (case.pass_ == "train"))
    return replace(
        whole,
        bytes=whole.bytes + copies * case.itemsize * (3 if case.trains else 1),
        weight_bytes=whole.weight_bytes + copies * case.itemsize,
        memory_saved=one.memory_saved,
        memory_predicted=one.memory_predicted - kept * case.trains,
        memory_needed=needed * (n if device == "cpu" else 1),
    )


def _scope_cost(case: Case, device: str) -> Cost:
    """Return the cost of a block or a model: that of its layers and of what stands around them."""
    each = {own: _layer_cost(own, device) for own in set(layers_of(case))}
    inside = [each[own] for own in layers_of(case)]
    layers = [Inner(layer.weight_bytes, layer.memory_saved or 0, layer.memory_predicted) for layer in inside]
    outside, passes, item = around(case), 3 if case.trains else 1, case.itemsize
    params = outside.params + sum(layer.params for layer in inside)
    predicted = peak_around(case, layers)
    used = used_around(case) + sum(_used(own, letters(own), each[own].params) for own in layers_of(case))
    return Cost(
        params=params,
        params_active=outside.params + sum(layer.params_active for layer in inside),
        flops_model=passes * outside.flops + sum(layer.flops_model for layer in inside),
        flops_executed=passes * outside.flops
        + (outside.again if case.trains else 0)
        + sum(layer.flops_executed for layer in inside),
        phases={phase: sum(layer.phases[phase] for layer in inside) for phase in PHASES} | {"other": outside.flops},
        phase_bytes={phase: sum(layer.phase_bytes[phase] for layer in inside) for phase in PHASES},
        bytes=traffic(case, used, params),
        weight_bytes=params * item,
        memory_saved=saved_around(case, layers) if case.trains else None,
        memory_predicted=predicted,
        memory_needed=params * item + standing(case, params) + predicted,
    )


def _layer_cost(case: Case, device: str) -> Cost:
    n, backend = letters(case), priced_as(resolve_backend(case, device))
    router, dispatch, experts, combine = _forward_flops(case, n, backend)
    model = _model_flops(case, n)
    executed = router + dispatch + experts + combine
    if case.trains:
        model *= 3
        executed = 3 * executed - (dispatch if backend == "onehot" else 0)
    weights, item = _params(case, n), case.itemsize
    kept = saved(case, n, backend) if case.trains else None
    predicted = peak(case, n, backend, weights, device)
    beyond = adapters.gathered_bytes(case, case.backend)
    return Cost(
        params=weights,
        params_active=_params_active(case, n),
        flops_model=model,
        flops_executed=executed,
        phases=dict(zip(PHASES, (router, dispatch, experts, combine), strict=True)),
        phase_bytes=phase_bytes(case, n, read_by_experts(case, n)),
        bytes=traffic(case, _used(case, n, weights), weights),
        weight_bytes=weights * item,
        memory_saved=kept,
        memory_predicted=predicted,
        memory_needed=weights * item + standing(case, weights) + predicted + beyond,
    )


def resolve_backend(case: Case, device: str = "cpu") -> str:
    """Return the backend that `case` runs on: its own, or what `best` means for its kind and shape on `device`."""
    if case.backend != "best":
        return case.backend
    if case.expert_parallel > 1 and case.layer in parallel.BACKENDS:
        return parallel.BACKENDS[case.layer]
    return token_choice.best(case, device) if case.layer == "token_choice" else BEST[case.layer]


def priced_as(backend: str) -> str:
    """Return `backend`, or for an adapter the one of ours that multiplies the same rows."""
    return adapters.ADAPTERS[backend].like if backend in adapters.ADAPTERS else backend


def unsupported(case: Case, device: str = "cpu") -> str | None:
    """Return why `case` cannot run on `device` (cpu, cuda), in words, or None."""
    if case.layer not in BACKENDS:
        return f"there is no layer of kind {case.layer!r}; there are {', '.join(BACKENDS)}"
    if reason := unfit(case):
        return reason
    if reason := parallel.unsupported(case):
        return reason
    if reason := assignments.unsupported(case):
        return reason
    if case.mixing == "identity" and case.total_slots < case.tokens:
        return (
            f"identity gives each token a slot of its own, and {case.total_slots} slots a sequence (experts * slots) "
            f"are fewer than {case.tokens} tokens"
        )
    backend = resolve_backend(case, device)
    if backend in adapters.ADAPTERS:
        return adapters.unsupported(case, backend, device)
    if backend not in BACKENDS[case.layer]:
        return f"{case.layer} has no backend {backend!r}; it has {', '.join(BACKENDS[case.layer])}"
    return _backend_cannot(case, backend)


def _backend_cannot(case: Case, backend: str) -> str | None:
    if backend == "fixed_tile" and (case.trains or case.compile):
        return 'fixed_tile is a control of determinism: it has pass = "forward" alone, and is not compiled'
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


def row_flops(n: Letters, F: int) -> int:
    """Return the forward FLOPs of one row through an FFN of hidden width F: 4 D F, or 6 D F where it is gated."""
    return 2 * n.D * (F // n.F * n.H) + 2 * n.D * F


def _forward_flops(case: Case, n: Letters, backend: str) -> tuple[int, int, int, int]:
    """Return the executed FLOPs of one forward pass: router, dispatch, experts, combine."""
    experts = n.R * row_flops(n, n.F)
    if case.layer == "dense":
        return 0, 0, experts, 0
    if case.layer == "soft":
        mix = 2 * n.T * n.S * n.D
        dispatch, combine = (mix if case.mixing in learned else 0 for learned in (DISPATCHES, COMBINES))
        return max(dispatch, combine), dispatch, experts, combine
    router = token_choice.router_flops(case, n, token_choice.rows(case, n))
    if case.layer == "dense_moe":  # fused: the gates' product with the second biases
        return router, 0, experts, 2 * n.T * n.E * n.D if backend == "fused" and not case.gated else 0
    if n.Fs:
        experts += token_choice.rows(case, n) * row_flops(n, n.Fs)
    mix = 2 * n.T * n.E * n.C * n.D if backend == "onehot" else 0
    return router, mix, experts, mix


def _model_flops(case: Case, n: Letters) -> int:
    """Return the forward FLOPs of the mathematics: token choice asks for K rows a token, whatever the capacity."""
    if case.layer == "dense":
        return n.T * row_flops(n, n.F)
    if case.layer != "token_choice":
        return sum(_forward_flops(case, n, "reference"))
    shared = n.T * row_flops(n, n.Fs) if n.Fs else 0
    return token_choice.router_flops(case, n, n.T) + n.K * n.T * row_flops(n, n.F) + shared


def _used(case: Case, n: Letters, weights: int) -> int:
    """Return the weights that a pass reads: dropless, not those of experts that no token reaches on average."""
    if case.layer == "token_choice" and case.capacity_factor is None:
        return weights - (n.E - touched(case, n)) * _ffn_params(case, n.D, n.F)
    return weights
