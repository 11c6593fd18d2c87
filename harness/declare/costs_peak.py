"""Closed forms of the allocator's peak in one pass: the fullest of a few moments, from what lives at each.

They follow how the layers of `harness/layers` allocate and when autograd lets go. Tensors that are small beside the
rows and the weights' gradients are left out, so that a peak is near, not exact.
"""

from __future__ import annotations

from harness.case import Case
from harness.declare.costs_saved import INDEX, hidden_kept, saved, wide
from harness.declare.letters import Letters


def peak(case: Case, n: Letters, backend: str, weights: int) -> int:
    """Return the bytes that the allocator's peak rises above weights and input in one pass, gradients included."""
    return _forward(case, n, backend) if case.pass_ == "forward" else _backward(case, n, backend, weights)


def _forward(case: Case, n: Letters, backend: str) -> int:
    """Return the fullest of: the router, a dense FFN, the experts, and the sum of what they return."""
    item, rows = case.itemsize, n.R * n.D * case.itemsize
    if case.layer == "dense":
        return n.T * _ffn(case, n, n.F, backend) * item
    y = n.T * n.D * item
    live = _router(case, n, backend)
    experts = rows + _bank(case, n, backend) * item
    combine = rows + y
    if case.layer == "soft":
        entering = y + (2 * n.D * n.S + n.T * n.S) * item  # normalised tokens, Phi twice, logits
        turned = 0 if n.S == n.E or n.B == 1 else rows  # more than one slot of more than one sequence: a copy
        return max(entering, live + experts + turned, live + combine + rows)
    if backend == "loop":  # y, and one expert at a time
        experts, combine = y + rows // n.E + n.R // n.E * _ffn(case, n, n.F, "reference") * item, y
    if backend == "reference":  # buffers, outputs, and the sum before and after it grows
        combine += rows + y + (rows if case.layer == "expert_choice" else 2 * rows // n.E)
    if backend == "onehot":
        counting = 3 * n.K * n.T * n.E * INDEX
        combine += n.T * n.E * n.C * item + (rows if n.G > 1 else 0)
        live = max(live, counting - experts)
    if n.Fs:
        combine = max(combine, y + n.T * (_ffn(case, n, n.Fs, backend)) * item, 3 * y)
    return live + max(experts, combine)


def _router(case: Case, n: Letters, backend: str) -> int:
    """Return what the router leaves behind for the rest of the pass: logits, scores, choices, gates, maps."""
    item = case.itemsize
    if case.layer == "soft":
        return 3 * n.T * n.S * item
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


def _bank(case: Case, n: Letters, backend: str) -> int:
    """Return the numbers that a bank of experts holds at its fullest, besides the rows that come in."""
    if backend == "reference":  # one expert at a time; the outputs gather
        return n.R * n.D + n.R // n.E * _ffn(case, n, n.F, backend)
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
    if case.layer == "soft":  # norms and softmaxes
        at_end += 5 * y + 4 * n.T * n.S * item
    if backend in ("reference", "loop") and n.E:  # one expert at a time, and their gradients are stacked at the end
        return max(live + rows + (first + second) // n.E, at_end + max(first, second))
    moved = 0 if case.layer == "dense" else rows  # what combine kept, in whose place its gradient stands
    hidden = hidden_kept(case) * width
    around = width if hidden_kept(case) == 2 else 2 * width  # what the activation adds
    at_second = live + second + width
    at_gate = live - moved + second + around
    at_first = live - moved - hidden + second + first + n.R * n.H * item + rows
    return max(at_second, at_gate, at_first, at_end)
