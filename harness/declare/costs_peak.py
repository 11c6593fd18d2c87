"""Closed forms of the allocator's peak in one pass: the fullest of a few moments, from what lives at each.

They follow how the layers of `harness/layers` allocate and when autograd lets go. Tensors that are small beside the
rows and the weights' gradients are left out, so that a peak is near, not exact.
"""

from __future__ import annotations

from harness.case import Case
from harness.declare.assignments import is_assigned
from harness.declare.costs_saved import INDEX, entering, hidden_kept, saved, wide
from harness.declare.letters import AVERAGES, COMBINES, DISPATCHES, TILE_ROWS, Letters, filled
from harness.declare.loads import busiest

FEW_ROWS = 64
"""Rows an expert, on average, below which more calls cost more on a CPU than the cache saves (measured)."""


def peak(case: Case, n: Letters, backend: str, weights: int, device: str = "cpu") -> int:
    """Return the bytes that the allocator's peak rises above weights and input in one pass, gradients included."""
    return _forward(case, n, backend, device) if case.pass_ == "forward" else _backward(case, n, backend, weights)


def _forward(case: Case, n: Letters, backend: str, device: str) -> int:
    """Return the fullest of: the router, a dense FFN, the experts, and the sum of what they return."""
    item, rows = case.itemsize, n.R * n.D * case.itemsize
    if backend == "fixed_tile":
        return _tiled_forward(case, n)
    if case.layer == "dense":
        return n.T * _ffn(case, n, n.F, backend) * item
    y = n.T * n.D * item
    if case.layer == "dense_moe":
        return _mixture_forward(case, n, backend)
    live = _router(case, n, backend)
    experts = rows + _bank(case, n, backend, device) * item
    combine = rows + y
    if case.layer == "soft":
        return _soft_forward(case, n, backend)
    if backend == "loop":  # y, and one expert at a time
        most = busiest(case, n) if is_assigned(case) else n.R // n.E
        experts, combine = y + most * (n.D + _ffn(case, n, n.F, "reference")) * item, y
    if backend == "reference":  # buffers, outputs, and the sum before and after it grows
        combine += rows + y + (rows if case.layer == "expert_choice" else 2 * rows // n.E)
    if backend == "onehot":
        counting = 3 * n.K * n.T * n.E * INDEX
        combine += n.T * n.E * n.C * item + (rows if n.G > 1 else 0)
        live = max(live, counting - experts)
    if n.Fs:
        combine = max(combine, y + n.T * (_ffn(case, n, n.Fs, backend)) * item, 3 * y)
    return live + max(experts, combine)


def _tiled_forward(case: Case, n: Letters) -> int:
    """Return the fullest moment of `fixed_tile`: the rows, what each tile returns, and those put together."""
    if case.layer == "dense":
        return _tiles(case, n, n.R, n.F)
    taken = n.E * n.G * n.C if n.C else n.R
    shared = n.T * n.D * case.itemsize + _tiles(case, n, filled(n.T), n.Fs) if n.Fs else 0
    return _router(case, n, "fixed_tile") + max(_tiles(case, n, taken, n.F), shared)


def _tiles(case: Case, n: Letters, rows: int, F: int) -> int:
    return (max(3 * rows * n.D, 2 * rows * n.D + TILE_ROWS * _ffn(case, n, F, "reference"))) * case.itemsize


def _soft_forward(case: Case, n: Letters, backend: str) -> int:
    """Return the fullest of: the router, the experts with their slots, and what they return with the output."""
    item, rows, y = case.itemsize, n.R * n.D * case.itemsize, n.T * n.D * case.itemsize
    live = _router(case, n, backend)
    logits, phi = (n.T * n.S * item, n.D * n.S * item) if live else (0, 0)
    router = logits + (y + 2 * phi if backend == "reference" and live else max(phi, live))  # normalised copies
    slots = (n.B * n.D if case.mixing in AVERAGES else entering(case, n, backend)) * item
    turned = 0 if 1 in (n.B, n.S // n.E) or case.mixing == "identity" else rows
    if backend == "reference":  # one expert's at a time
        turned //= n.E
    return max(router, live + slots + turned + _bank(case, n, backend) * item, live + slots + rows + y)


def _mixture_forward(case: Case, n: Letters, backend: str) -> int:
    """Return the fullest moment of the dense mixture: the experts, all at once or one beside the outputs so far."""
    item, y = case.itemsize, n.T * n.D * case.itemsize
    router = n.T * n.E * (item + (wide(case) if item < wide(case) else 0) + item)
    if backend == "reference":
        expert = n.T * (max(3 * n.F, n.F + n.D) if case.gated else _ffn(case, n, n.F, backend)) * item
        return router + max((n.E - 1) * y + expert, 2 * n.E * y, 2 * n.E * y + y)
    return router + n.R * n.H * item + (y if case.gated else 2 * y)  # the output, and what the biases give it


def _learned(case: Case) -> int:
    """Return how many of Soft MoE's two mixings are learned."""
    return (case.mixing in DISPATCHES) + (case.mixing in COMBINES)


def _router(case: Case, n: Letters, backend: str) -> int:
    """Return what the router leaves behind for the rest of the pass: logits, scores, choices, gates, maps."""
    item = case.itemsize
    if case.layer == "soft":
        return _learned(case) * n.T * n.S * item
    if case.layer == "expert_choice":
        return n.T * n.E * item + n.R * (item + 2 * INDEX)
    live = n.T * n.E * (item + wide(case)) + n.K * n.T * (item + 2 * INDEX)
    if backend == "onehot":
        return live + n.T * n.E * n.C * item
    return live + (0 if backend in ("loop", "batched") else 2 * n.R * INDEX)


def _ffn(case: Case, n: Letters, F: int, backend: str) -> int:
    """Return the numbers that an FFN of width F holds for each row at its fullest, without gradients."""
    if backend == "reference":
        return max(4 * F, 3 * F + n.D) if case.gated else max(2 * F, F + n.D, 2 * n.D)
    return max(3 * F, F + n.D) if case.gated else F + n.D


def _bank(case: Case, n: Letters, backend: str, device: str = "cpu") -> int:
    """Return the numbers that a bank of experts holds at its fullest, besides the rows that come in."""
    if backend == "reference":  # one expert at a time; the outputs gather
        return n.R * n.D + n.R // n.E * _ffn(case, n, n.F, backend)
    dropless_on_cpu = backend == "grouped" and not n.C and device != "cuda"
    if dropless_on_cpu and one_by_one(case.gated, case.itemsize, n.R, n.E):
        return n.R * n.D + busiest(case, n) * (3 if case.gated else 1) * n.F
    if backend == "batched" and case.layer == "token_choice":  # a copy of the weights for each row
        return n.R * (n.D * (n.H + n.F) + n.H + n.F)
    if backend == "grouped" and not n.C and not case.gated:  # biases are looked up for each row
        return n.R * max(2 * n.F, n.F + 2 * n.D)
    return n.R * _ffn(case, n, n.F, backend)


def _backward(case: Case, n: Letters, backend: str, weights: int) -> int:
    """Return the fullest of: the backwards of the last product, the activation, the first product, and the end."""
    item = case.itemsize
    y, rows, width = n.T * n.D * item, n.R * n.D * item, n.R * n.F * item
    second = max(1, n.E) * n.F * n.D * item  # gradient of W_2
    first = max(1, n.E) * n.H * n.D * item  # gradient of W_1
    mixing = n.T * n.S * item  # gradient of Soft MoE's combine weights
    live = y + saved(case, n, backend) + mixing
    at_end = weights * item + 2 * y
    if backend == "batched" and case.layer == "token_choice":  # gradients of the copies, then of the weights
        copies = n.R * n.D * item
        return live + max(n.H, n.F) * copies + max(0, second - copies * n.H)
    router = 0  # what Soft MoE's norms and softmaxes hold at the end
    if case.layer == "soft" and case.mixing in DISPATCHES | COMBINES:
        router = 5 * y + 4 * n.T * n.S * item if backend == "reference" else 2 * y + n.T * n.S * item
    if backend in ("reference", "loop") and n.E:  # one expert at a time, and their gradients are stacked at the end
        return max(live + rows + (first + second) // n.E, at_end + max(first, second), at_end + router)
    if case.layer == "dense_moe":  # the gates take their gradient from the hidden values; then as a dense FFN
        left = live - (hidden_kept(case) + 1) * width
        return max(live + second + 2 * width, left + second + first + n.R * n.H * item + y, at_end)
    moved = 0 if case.layer == "dense" else rows  # what combine kept, in whose place its gradient stands
    hidden = hidden_kept(case) * width
    around = width if hidden_kept(case) == 2 else 2 * width  # what the activation adds
    at_second = live + second + width
    at_gate = live - moved + second + around
    at_first = live - moved - hidden + second + first + n.R * n.H * item + rows
    return max(at_second, at_gate, at_first, at_end + router)


def one_by_one(gated: bool, itemsize: int, rows: int, experts: int) -> bool:
    """Return whether `grouped` runs a dropless forward pass on a CPU expert by expert: where that is faster.

    It spares the lookup of biases, and a float32 expert's hidden rows stay in the cache between its two products. With
    few rows, or in bfloat16, whose products are done in no time, the more calls cost more than that.
    """
    return not gated or (itemsize >= 4 and rows >= FEW_ROWS * experts)
