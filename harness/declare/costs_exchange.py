"""Closed forms of the exchange: what ranks send each other in one pass of a layer spread over them.

With n ranks, t = T / n tokens and E / n experts on each, and rows of D numbers of w bytes, one rank sends each other:

    dropless        the rows of those of its assignments whose experts live there, after E / n counts of 8 bytes
    with capacity   (E / n) (G / n) C rows, empty ones too: what an expert has room for of the groups on this rank
    expert choice   the same: each expert takes C tokens of each group
    Soft MoE        (E / n) (B / n) P rows: the slots of its own sequences

and gets as many rows back. A backward pass sends their gradients, the same rows both ways again; the counts are known
by then. So the messages of all but dropless token choice have one size, whatever the data. What a rank keeps for
itself is no message. Gradients of the weights that stand on every rank are summed over ranks in a training pass: they
are counted apart, since how a sum over ranks is sent is the library's choice.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.case import Case
from harness.declare.letters import letters

COUNT_BYTES = 8
"""Of how many rows are to come for one expert: int64."""

Messages = list[list[int]]
"""Bytes by sender and receiver in one exchange; what a rank keeps for itself is 0."""


def has_fixed_messages(case: Case) -> bool:
    """Return whether the size of messages depends on nothing but the shape."""
    return not (case.layer == "token_choice" and case.capacity_factor is None)


def messages(case: Case, rows: Sequence[Sequence[int]] | None = None) -> list[Messages]:
    """Return what each rank sends each other in the exchanges of one pass, one after another.

    Args:
        case: Spread over its ranks evenly.
        rows: Dropless alone: by rank of the token and rank of the expert, the assignments. None: fixed sizes.
    """
    n, ways = case.expert_parallel, 2 if case.trains else 1
    if rows is None:
        assert has_fixed_messages(case)
        rows = [[_padded_rows(case)] * n] * n
        counts = []
    else:
        counts = [_between([[(case.experts or 0) // n] * n] * n, COUNT_BYTES)]
    row = case.d_model * case.itemsize
    there, back = _between(rows, row), _between([list(column) for column in zip(*rows, strict=True)], row)
    return [*counts, *[there, back] * ways]  # of gradients too, those of what came back go first


def exchange_bytes(case: Case) -> int:
    """Return the bytes that all ranks together send in one pass; dropless, of a router that spreads its rows evenly.

    Of K T rows the share (n - 1) / n then leaves its rank, there and back.
    """
    if has_fixed_messages(case):
        return sum(size for sent in messages(case) for own in sent for size in own)
    n, ways = case.expert_parallel, 2 if case.trains else 1
    counts = (n - 1) * (case.experts or 0) * COUNT_BYTES
    return counts + round(2 * ways * letters(case).R * (n - 1) / n) * case.d_model * case.itemsize


def _padded_rows(case: Case) -> int:
    """Return the rows that one rank sends another for its experts, empty ones too."""
    return letters(case).R // case.expert_parallel**2


def _between(counts: Sequence[Sequence[int]], each: int) -> Messages:
    return [[0 if i == j else count * each for j, count in enumerate(own)] for i, own in enumerate(counts)]
