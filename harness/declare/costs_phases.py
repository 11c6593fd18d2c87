"""Closed forms of compulsory traffic by phase, forward: what a phase takes and what it gives, each once.

A phase is held against the roof of a kernel of its own: what stays inside it (logits, hidden rows, 0-1 matrices) moves
nothing, and what one phase hands to the next is written by the one and read by the other. So the phases together move
more than the pass must (`costs_traffic.py`), by the rows and the routing between them. `dispatch` and `combine` of an
adapter stand inside its `experts`, as they do in its code.
"""

from __future__ import annotations

from harness.case import Case
from harness.declare import token_choice
from harness.declare.adapters import ADAPTERS
from harness.declare.costs_traffic import ID_BYTES, touched
from harness.declare.letters import AVERAGES, COMBINES, DISPATCHES, Letters, letters


def phase_bytes(case: Case, n: Letters, expert_weights: int) -> dict[str, int]:
    """Return the bytes of each phase of one layer, whose experts read so many weights: see `read_by_experts`."""
    rows, gates, ids = _rows(case, n)
    tokens, weights = n.T * n.D * case.itemsize, expert_weights * case.itemsize
    routed = gates * case.itemsize + ids * ID_BYTES
    router = tokens + _router_params(case, n) * case.itemsize + routed if gates else 0
    if case.layer in ("dense", "dense_moe") or case.backend in ADAPTERS:
        return {"router": router, "dispatch": 0, "experts": 2 * tokens + weights + routed, "combine": 0}
    shared = 2 * tokens if n.Fs else 0
    if case.mixing == "identity":
        return {"router": 0, "dispatch": 0, "experts": 2 * tokens + weights, "combine": 0}
    if case.layer == "soft":
        return _soft(case, n, tokens, weights)
    moved = min(n.T, n.R) * n.D * case.itemsize
    back = min(n.R, gates) * n.D * case.itemsize
    return {
        "router": router,
        "dispatch": moved + ids * ID_BYTES + rows,
        "experts": 2 * rows + weights + shared,
        "combine": back + gates * case.itemsize + tokens,
    }


def read_by_experts(case: Case, n: Letters, distinct: float | None = None) -> int:
    """Return the weights that the experts of one layer read in a pass: dropless, those of experts with any token.

    These are `distinct` experts where that is known, else as many as an even random router reaches on average.
    """
    one = (3 if case.gated else 2) * n.D * n.F + (0 if case.gated else n.F + n.D)
    if case.layer == "dense":
        return one
    shared = (3 if case.gated else 2) * n.D * n.Fs + (0 if case.gated else n.Fs + n.D) if n.Fs else 0
    if case.layer != "token_choice" or case.capacity_factor is not None:
        return n.E * one + shared
    return round((touched(n.E, n.K / n.E, n.T) if distinct is None else distinct) * one) + shared


def floor_bytes(case: Case, distinct: float | None = None) -> int:
    """Return the bytes of the experts' weights that a pass of one layer cannot do without reading; 0 without experts.

    What a decode step costs at least, however few its tokens: that many bytes over the bandwidth.
    """
    return read_by_experts(case, letters(case), distinct) * case.itemsize if case.experts else 0


def _rows(case: Case, n: Letters) -> tuple[int, int, int]:
    """Return the bytes of the experts' rows, and how many gates and ids the router hands on."""
    rows = n.R * n.D * case.itemsize
    if case.layer == "token_choice":
        return rows, n.T * n.K, n.T * n.K
    if case.layer == "expert_choice":
        return rows, n.R, n.R
    return rows, n.T * n.E if case.layer == "dense_moe" else 0, 0


def _router_params(case: Case, n: Letters) -> int:
    noisy = case.layer == "token_choice" and case.trains
    return token_choice.router_params(case, n) if noisy else n.D * n.E


def _soft(case: Case, n: Letters, tokens: int, weights: int) -> dict[str, int]:
    """Soft MoE: each learned mixing is a matrix [m, S] a sequence; where all slots are the mean, one row a sequence."""
    item, slots = case.itemsize, n.R * n.D * case.itemsize
    into, out = (n.T * n.S * item if case.mixing in learned else 0 for learned in (DISPATCHES, COMBINES))
    given = n.B * n.D * item if case.mixing in AVERAGES else slots
    router = tokens + (n.D * n.S + 1) * item + into + out if into or out else 0
    return {
        "router": router,
        "dispatch": tokens + into + given,
        "experts": given + slots + weights,
        "combine": slots + out + tokens,
    }
