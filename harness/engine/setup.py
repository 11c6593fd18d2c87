"""Set-up: what must not matter to a time, and does; drawn anew for each worker, so that it is noise and no bias.

The size of the environment moves the stack, and what was allocated before moves all that comes after. Mytkowicz et al.
2009, "Producing wrong data without doing anything obviously wrong!", turned conclusions round with them. Their remedy
is taken here: each round, in a worker of its own, has its own set-up, and intervals over rounds hold what that does.
"""

from __future__ import annotations

import os
import random
from collections.abc import Mapping
from dataclasses import dataclass

HASH_SEED = "PYTHONHASHSEED"
PADDING = "MOE_HARNESS_PADDING"
"""The variable that nobody reads."""
MOST_PADDING = 4096
"""Bytes: a page, beyond which the stack's place repeats itself."""
MOST_HELD = 1 << 20
"""Bytes of the block that a worker holds: beyond a cache's ways, and small beside what a worker takes for itself."""
GRAIN = 64
"""Bytes of a cache line, and the alignment of torch's allocations: a smaller step would move nothing."""


@dataclass(frozen=True, slots=True)
class Setup:
    """One worker's."""

    worker: int
    """Which of the run's workers, counted from 0, over all sittings."""
    hash_seed: int
    """Of Python's dictionaries and sets of strings; the user's own where PYTHONHASHSEED is a number."""
    padding_bytes: int
    """By which the environment is longer."""
    held_bytes: int
    """The block that the worker holds from its start."""

    @classmethod
    def draw(cls, seed: int, worker: int) -> Setup:
        """Return the set-up of a run's worker: the same again for the same seed and number."""
        draw = random.Random(f"{seed}/set-up/{worker}")
        own = os.environ.get(HASH_SEED, "")
        hash_seed, padding = draw.randrange(1, 1 << 32), draw.randrange(MOST_PADDING)
        held = GRAIN * draw.randrange(MOST_HELD // GRAIN)
        return cls(worker, int(own) if own.isdecimal() else hash_seed, padding, held)

    def environment(self, measuring: Mapping[str, str]) -> dict[str, str]:
        """Return the environment of a process that measures, with this set-up's part of it."""
        return {**measuring, HASH_SEED: str(self.hash_seed), PADDING: "x" * self.padding_bytes}

    @property
    def arguments(self) -> tuple[str, ...]:
        """What the worker's command line ends with."""
        return ("--hold-bytes", str(self.held_bytes))
