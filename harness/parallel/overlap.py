"""Overlap: for how much of the time in which a device exchanges rows it also computes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Span = tuple[float, float]
"""Begin and end, in any unit."""
MESSAGES = "nccl"
"""In the names of kernels that exchange."""


def overlap(kernels: Iterable[tuple[str, Span]]) -> float | None:
    """Return the share of the exchange's time that other kernels ran in too, by name and span; None without exchange.

    Kernels of one kind that run at once count once.
    """
    spans: dict[bool, list[Span]] = {True: [], False: []}
    for name, span in kernels:
        spans[MESSAGES in name.lower()].append(span)
    exchanging, computing = union(spans[True]), union(spans[False])
    whole = _length(exchanging)
    both = whole + _length(computing) - _length(union([*exchanging, *computing]))
    return both / whole if whole else None


def union(spans: Iterable[Span]) -> list[Span]:
    """Return the same time as spans that do not touch, in order."""
    joined: list[Span] = []
    for begin, end in sorted(spans):
        if joined and begin <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((begin, end))
    return joined


def _length(spans: Sequence[Span]) -> float:
    return sum(end - begin for begin, end in spans)
