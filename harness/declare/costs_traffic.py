"""Closed forms of compulsory traffic: what must move between memory and chip, each once; intermediates stay there."""

from __future__ import annotations

from math import prod

from harness.case import Case
from harness.declare.scopes import input_shape, output_shape, reads

ID_BYTES = 8
"""Of a token id: int64."""


def traffic(case: Case, used: int, weights: int) -> int:
    """Return the bytes that one pass of `case` moves, of whose `weights` it reads `used`.

    forward: the weights that are used, input and output. forward_backward: those weights twice and their gradients
    once; input, output and the gradients of both, but ids have none. train: AdamW besides reads and writes every
    weight and its two moments, and reads its gradient.
    """
    enters, leaves, item = _input_bytes(case), prod(output_shape(case)) * case.itemsize, case.itemsize
    if not case.trains:
        return used * item + enters + leaves
    gradients = (0 if reads(case) == "ids" else enters) + leaves
    return 3 * used * item + enters + leaves + gradients + (7 * weights * item if case.pass_ == "train" else 0)


def standing(case: Case, weights: int) -> int:
    """Return the bytes that stand in memory beside the weights before a pass: input, upstream gradient, AdamW's."""
    upstream = prod(output_shape(case)) * case.itemsize if case.trains else 0
    state = 2 * weights * case.itemsize if case.pass_ == "train" else 0
    return _input_bytes(case) + upstream + state


def touched(among: int, share: float, draws: int) -> int:
    """Return how many of `among` things so many independent draws reach, on average, each a `share` of them; rounded.

    `N (1 - (1 - share)^draws)`: distinct experts of tokens, distinct rows of an embedding.
    """
    return round(among * (1 - (1 - share) ** draws))


def _input_bytes(case: Case) -> int:
    return prod(input_shape(case)) * (ID_BYTES if reads(case) == "ids" else case.itemsize)
