"""The letters of the field for one case, worked out once, so that formulas read as they do in the papers."""

from __future__ import annotations

import math
from typing import NamedTuple

from harness.case import Case

DISPATCHES, COMBINES = frozenset(("soft", "soft_dispatch")), frozenset(("soft", "soft_combine"))
"""Mixings of Soft MoE whose dispatch weights, or combine weights, are learned; the others are uniform or identity."""
TILE_ROWS = 64
"""Rows of one tile of the backend `fixed_tile`."""
AVERAGES = frozenset(("uniform", "soft_combine"))
"""Mixings where every slot is the mean of the tokens."""


class Letters(NamedTuple):
    """One case in letters; numbers that do not apply to a layer are 0."""

    B: int
    """Sequences."""
    m: int
    """Tokens of a sequence."""
    T: int
    """Tokens in all, B m."""
    D: int
    """d_model."""
    F: int
    """d_ff: hidden width of the dense FFN, or of one expert."""
    H: int
    """Width of the first product: F, or 2 F where it is gated."""
    E: int
    """Experts."""
    K: int
    """Experts of a token (top_k)."""
    S: int
    """Slots of a sequence, E times the slots per expert."""
    G: int
    """Groups of tokens that compete for capacity; each of T / G tokens."""
    C: int
    """Rows that one expert has room for in one group; 0 where nothing limits them."""
    R: int
    """Rows that go through the experts, padding included."""
    Fs: int
    """Hidden width of the shared experts together."""


def letters(case: Case) -> Letters:
    """Return the letters of `case`."""
    n = _letters(case)
    return n if case.backend != "fixed_tile" else n._replace(R=_tiled_rows(n))


def _letters(case: Case) -> Letters:
    B, m, D, F = case.batch, case.tokens, case.d_model, case.d_ff
    E, K, T = case.experts or 0, case.top_k or 0, B * m
    H = 2 * F if case.gated else F
    G = B if case.group == "sequence" else 1
    Fs = F * (case.shared_experts or 0)
    if case.layer == "token_choice" and case.capacity_factor is None:
        return Letters(B, m, T, D, F, H, E, K, 0, G, 0, K * T, Fs)
    if case.layer in ("token_choice", "expert_choice"):
        C = capacity(case)
        return Letters(B, m, T, D, F, H, E, K, 0, G, C, G * E * C, Fs)
    if case.layer == "dense_moe":
        return Letters(B, m, T, D, F, H, E, E, 0, 1, 0, E * T, 0)
    S = E * (case.slots or 0)
    return Letters(B, m, T, D, F, H, E, K, S, G, 0, B * S if S else T, Fs)


def filled(rows: int) -> int:
    """Return `rows` with what fills up their last tile."""
    return rows + -rows % TILE_ROWS


def expert_tiles(rows: int, experts: int) -> int:
    """Return the tiles that `rows` need at the most, however they fall on `experts`, none of which share a tile."""
    return (rows + experts * (TILE_ROWS - 1)) // TILE_ROWS


def _tiled_rows(n: Letters) -> int:
    """Return the rows that `fixed_tile` runs: dropless, the same number for every load."""
    if not n.E:
        return filled(n.T)
    return n.E * filled(n.G * n.C) if n.C else TILE_ROWS * expert_tiles(n.R, n.E)


def capacity(case: Case) -> int:
    """Return C, the rows that one expert has room for in one group; a dropless layer has room for all its tokens."""
    n = case.tokens if case.group == "sequence" else case.batch * case.tokens
    if case.capacity_factor is None:
        return n
    return room(n, case.top_k or 1, case.experts or 1, case.capacity_factor)


def room(n: int, top_k: int, experts: int, factor: float) -> int:
    """Return the rows that one expert has room for where `n` tokens compete: `K n c / E` rounded, within 1 and n.

    V-MoE's rule (Riquelme et al. 2021, section 2.4; the code of vmoe with `round` and `multiple_of=1`).
    K is 1 in expert choice (Zhou et al. 2022).
    """
    return max(1, min(n, math.floor(top_k * n * factor / experts + 0.5)))
