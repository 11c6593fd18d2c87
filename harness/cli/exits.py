"""Exit codes: a contract with scripts and CI (`harness --help` prints them)."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum


class Exit(IntEnum):
    """How a command ended. Where several hold, the first of 2, 5, 3, 4, 1 wins."""

    FINE = 0
    REGRESSION = 1
    USAGE = 2
    FAILED_CASES = 3
    NOT_COMPARABLE = 4
    NO_DEVICE = 5
    INTERRUPTED = 130


RANKED = (
    Exit.INTERRUPTED,
    Exit.USAGE,
    Exit.NO_DEVICE,
    Exit.FAILED_CASES,
    Exit.NOT_COMPARABLE,
    Exit.REGRESSION,
    Exit.FINE,
)


def worst(codes: Iterable[Exit]) -> Exit:
    """Return the code of a command that did several things."""
    return min(codes, key=RANKED.index)
