"""Exit codes: a contract with scripts and CI (`harness --help` prints them)."""

from __future__ import annotations

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
