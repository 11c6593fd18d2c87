"""Closed forms of what each layer keeps for its backward pass, tensor by tensor as `harness/layers` allocates them.

Exact on a CPU in float32 and bfloat16; other kernels keep other index tensors, a few bytes for each row. For the
reference backend of token choice with capacity, whose tensors depend on the routing, it is the most it can be.
"""

from __future__ import annotations

from harness.case import Case
from harness.declare.letters import AVERAGES, COMBINES, DISPATCHES, Letters

INDEX = 8
"""Bytes of an index: int64."""


def saved(case: Case, n: Letters, backend: str) -> int:
    """Return the bytes that autograd keeps between forward and backward, weights and input left out."""
    return _router_saved(case, n, backend) + _rows_saved(case, n, backend) + _moves_saved(case, n, backend)


def wide(case: Case) -> int:
    """Return the bytes of a number where a softmax is taken: float32 at least."""
    return max(4, case.itemsize)


def hidden_kept(case: Case) -> int:
    """Return how many hidden widths an FFN keeps of each row.

    gelu and silu keep their input and their output, relu its output alone; a gated FFN keeps the pair of products,
    the opened gate and what goes into the last product.
    """
    return 4 if case.gated else 1 if case.activation == "relu" else 2


def _rows_saved(case: Case, n: Letters, backend: str) -> int:
    """Return what the FFNs keep: what goes into each, and its hidden values."""
    widths = hidden_kept(case) + (case.layer == "dense_moe" and backend == "fused")  # hidden values times the gates
    hidden = n.R * widths * n.F + n.T * hidden_kept(case) * n.Fs
    return (hidden + entering(case, n, backend)) * case.itemsize


def entering(case: Case, n: Letters, backend: str) -> int:
    """Return the numbers of the rows that go into the experts; none where they are the layer's input itself."""
    if case.layer in ("dense", "dense_moe"):
        return 0
    if case.mixing == "identity" and backend != "reference" and n.m == n.S:
        return 0
    if case.mixing in AVERAGES and 1 in (n.B, n.S // n.E):
        return n.B * n.D  # the mean, seen as every slot
    return n.R * n.D


def _router_saved(case: Case, n: Letters, backend: str) -> int:
    item, at_least = case.itemsize, wide(case)
    if case.layer == "dense":
        return 0
    if case.layer == "soft":
        learned = (case.mixing in DISPATCHES) + (case.mixing in COMBINES)
        norms = n.T + n.S
        if backend == "reference":  # norms twice, normalised tokens and Phi, Phi times the scale
            norms = norms * (n.D + 2) + n.S * n.D
        return (bool(learned) * norms + learned * n.T * n.S) * item
    if case.layer == "dense_moe":
        return n.T * n.E * (at_least if item == at_least else at_least + item)
    if case.layer == "expert_choice":
        return n.T * n.E * at_least + n.R * INDEX
    scores = n.T * n.E * at_least + n.K * n.T * INDEX
    return scores + _gate_saved(case, n, backend) + _noise_saved(case, n) + _balance_saved(case, n)


def _gate_saved(case: Case, n: Letters, backend: str) -> int:
    """Return what weighing the chosen experts keeps, beside their scores."""
    if case.gate in ("renormalised", "sigmoid"):
        return n.T * (n.K + 1) * wide(case)
    if case.gate == "topk_softmax":  # its result, which is what combine keeps where nothing comes between
        shared = case.itemsize == wide(case) and (backend in ("reference", "batched") or not (n.C or backend == "loop"))
        return 0 if shared else n.K * n.T * wide(case)
    return 0


def _noise_saved(case: Case, n: Letters) -> int:
    """Return what learned noise keeps: the noise, and its width before softplus."""
    return 2 * n.T * n.E * wide(case) if case.noise == "shazeer" else 0


def _balance_saved(case: Case, n: Letters) -> int:
    """Return what the balance loss of a training step keeps, by the expressions of `layers/losses.py`."""
    at_least = wide(case)
    shares = {"sigmoid": n.T, "topk_softmax": n.T * n.E}.get(case.gate or "", 0) * at_least
    if case.balance == "switch":
        return shares + n.E * at_least
    if case.balance == "importance":
        return shares + (n.E + 3) * at_least
    if case.balance == "z":  # topk_softmax keeps the logits anyway, where they are float32 as they come
        kept = case.gate == "topk_softmax" and (case.itemsize == at_least or case.noise != "none")
        return (n.T if kept else n.T * (n.E + 1)) * at_least
    if case.balance == "load":
        widths = 2 * n.T * n.E * at_least if case.noise == "shazeer" else at_least
        return n.K * n.T * INDEX + (n.T * n.E + n.E + 3) * at_least + widths
    return 0


def _moves_saved(case: Case, n: Letters, backend: str) -> int:
    """Return what dispatch and combine keep: the experts' outputs, their gates, and who went where."""
    item = case.itemsize
    outputs = n.R * n.D * item
    if case.layer == "dense":
        return 0
    if case.layer == "soft":
        turns = 2 * n.m * INDEX if case.mixing == "identity" and backend == "reference" else 0
        return turns + (outputs if case.mixing in COMBINES else 0)
    if case.layer == "dense_moe":
        return outputs if backend == "reference" else 0
    if case.layer == "expert_choice":
        if backend == "reference":
            return 2 * outputs + n.R * item
        return outputs + 2 * n.R * (item + INDEX) + n.T * INDEX  # gates in both orders, and where each token's start
    return _choice_moves_saved(case, n, backend)


def _choice_moves_saved(case: Case, n: Letters, backend: str) -> int:
    """Return what token choice's dispatch and combine keep."""
    item, assigned = case.itemsize, n.K * n.T
    outputs = n.R * n.D * item
    if backend == "batched":  # the copies of the weights; for one expert a token, the rows are the tokens themselves
        copies = n.R * n.D * (n.H + n.F) * item
        return copies + outputs + assigned * item - (n.T * n.D * item if n.K == 1 else 0)
    if backend == "loop":  # the outputs, before and after their gates
        return 2 * outputs + assigned * (item + 2 * INDEX)
    if backend == "reference":
        return min(assigned, n.R) * 3 * INDEX + assigned * (n.D + 1) * item
    if backend == "onehot":
        return outputs + assigned * (1 + INDEX) + 2 * n.T * n.E * n.C * item
    moved = outputs + n.R * INDEX + assigned * (INDEX + item)
    if n.C:
        return moved + assigned * (1 + item)  # which were kept, as truths and as weights
    return moved + 4 * n.E + (0 if case.gated else n.R * INDEX)  # ends, and whose bias a row gets
