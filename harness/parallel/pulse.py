"""Pulse: how many meetings each rank has come to, in memory that the owner sees too.

Ranks that wait for one of them are all alike from outside; the one that they wait for has come to fewer meetings.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

FILE = "pulse"


class Pulse:
    """The counts of all ranks, a file of int64 [n] mapped into each of their memories."""

    def __init__(self, folder: Path, ranks: int, *, new: bool = False) -> None:
        self._counts = np.memmap(folder / FILE, dtype=np.int64, mode="w+" if new else "r+", shape=(ranks,))

    def come(self, rank: int) -> None:
        """Count one meeting that `rank` has come to."""
        self._counts[rank] += 1

    def missing(self) -> list[int]:
        """Return the ranks that the others wait for; all of them where none waits for another."""
        counts = self._counts.tolist()
        return [rank for rank, count in enumerate(counts) if count == min(counts)]
