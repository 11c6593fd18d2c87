"""Work: what one rank does in a pass of a case, by phase, as a roofline prediction needs it; closed forms alone."""

from __future__ import annotations

from dataclasses import dataclass

from harness.case import Case
from harness.declare.costs import Cost, cost, priced_as, resolve_backend
from harness.declare.costs_around import ATTENTION_ROWS, used_around
from harness.declare.costs_launches import launches
from harness.declare.costs_phases import read_by_experts
from harness.declare.exchange import share_of
from harness.declare.letters import Letters, letters
from harness.declare.loads import touched
from harness.declare.scopes import layers_of

OPTIMIZER_MOVES = 7
"""Times that AdamW moves every weight: it reads weight, gradient and two moments, and writes all but the gradient."""
HELD = {"forward": 1, "forward_backward": 2, "train": 4}
"""Times that a rank holds its weights: with their gradients, and AdamW's moments."""


@dataclass(frozen=True, slots=True)
class Work:
    """One rank's share of a pass, by phase; a phase that is not there does nothing."""

    flops: dict[str, float]
    moved: dict[str, float]
    """Compulsory bytes: see `costs_phases.py`; the backward pass moves twice the forward's."""
    elementwise: float
    """Bytes that the activation reads and writes between the products of the experts, in eager mode."""
    rows: dict[str, float]
    """Rows of a product with one matrix: tokens, or those of one expert."""
    weights: float
    """Bytes of the matrices that the experts' rows meet."""
    launches: float
    footprint: float
    """Bytes of all that the pass takes and gives: what a cache would have to hold."""
    memory: float
    """Bytes that must fit into the rank's memory."""


def work(case: Case, ranks: int = 1, device: str = "cpu") -> Work:
    """Return the work of the busiest of `ranks` that share the sequences and the experts of `case` evenly.

    Routers, shared experts, attention and dense layers stand on every rank.
    """
    mine = share_of(case, ranks)
    price, passes = cost(mine, device), 3 if case.trains else 1
    flops = {phase: float(passes * n) for phase, n in price.phases.items()}
    if case.trains:
        flops["dispatch"] -= price.phases["dispatch"] if _backend(case, device) == "onehot" else 0
    moved = {phase: float(passes * n) for phase, n in price.phase_bytes.items()}
    moved["experts"] -= passes * _weights_elsewhere(case, mine, ranks)
    if case.scope != "layer":
        moved["other"] = float(passes * _around_bytes(mine))
    missing = _params_elsewhere(case, price, ranks)
    if case.pass_ == "train":
        moved["optimizer"] = float(OPTIMIZER_MOVES * (price.params - missing) * case.itemsize)
    return Work(
        flops=flops,
        moved=moved,
        elementwise=float(sum(_elementwise(own) for own in layers_of(mine))),
        rows=_rows(case, mine),
        weights=(price.params - missing) * case.itemsize,
        launches=launches(mine, device),
        footprint=sum(moved.values()),
        memory=price.memory_needed - HELD[case.pass_] * missing * case.itemsize,
    )


def experts_of(experts: int, ranks: int) -> int:
    """Return how many of its `experts` the rank holds that has most."""
    return -(-experts // ranks)


def _backend(case: Case, device: str) -> str:
    return priced_as(resolve_backend(case, device))


def _weights_elsewhere(case: Case, mine: Case, ranks: int) -> float:
    """Return the bytes of experts' weights that `mine` alone would read, less those that the rank's experts read.

    They are read for the tokens of all ranks, not for its own.
    """
    if ranks == 1:
        return 0.0
    found = 0.0
    for own, whole in zip(layers_of(mine), layers_of(case), strict=True):
        if own.experts:
            held = experts_of(own.experts, ranks) / own.experts
            found += (read_by_experts(own, letters(own)) - held * read_by_experts(whole, letters(whole))) * own.itemsize
    return found


def _params_elsewhere(case: Case, price: Cost, ranks: int) -> float:
    """Return the parameters among those of `price` that stand on other ranks."""
    found = 0.0
    for own in layers_of(case) if ranks > 1 else ():
        if own.experts:
            one = (3 if own.gated else 2) * own.d_model * own.d_ff + (0 if own.gated else own.d_ff + own.d_model)
            found += (own.experts - experts_of(own.experts, ranks)) * one
    return min(found, float(price.params))


def _around_bytes(case: Case) -> float:
    """Return what attention, norms, embedding and head move in one forward pass: their weights, and rows of D."""
    rows = 2 * ATTENTION_ROWS * (case.depth or 1) * case.sequence_tokens * case.d_model
    return (used_around(case) + rows) * case.itemsize


def _elementwise(case: Case) -> float:
    """Return what activations of one layer read and write; their backward pass also reads what comes from above."""
    n = letters(case)
    hidden = n.R * (n.H + n.F) + n.T * (n.Fs // n.F * (n.H + n.F))
    back = n.R * (2 * n.H + n.F) + n.T * (n.Fs // n.F * (2 * n.H + n.F))
    return float((hidden + (back if case.trains else 0)) * case.itemsize)


def _rows(case: Case, mine: Case) -> dict[str, float]:
    """Return the rows of a product by phase; those of an expert come from all ranks."""
    own, whole = layers_of(mine)[-1], layers_of(case)[-1]
    n = letters(own)
    return {
        "router": float(n.T),
        "dispatch": float(n.S or n.T),
        "experts": _expert_rows(whole, letters(whole)) if own.experts else float(n.T),
        "combine": float(n.m if n.S else n.T),
        "other": float(n.T),
    }


def _expert_rows(case: Case, n: Letters) -> float:
    dropless = case.layer == "token_choice" and case.capacity_factor is None
    return n.R / max(1, touched(case, n) if dropless else n.E)
