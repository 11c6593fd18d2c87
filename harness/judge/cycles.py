"""Cycles: whether the clock of the device explains why its blocks took different times.

A diagnostic, after nvbench's comparison in cycle space: time x clock is what a kernel bound by the cores keeps when the
clock moves. Times are never corrected by it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

LEAST_SPREAD = 0.02
"""Times that spread by less have nothing to be explained: verdicts rest on 2 %."""
LEFT_OVER = 0.5
"""Cycles agree where they spread by less than this part of what the times do."""
MIN_BLOCKS = 5


def clock_explains(times: Sequence[float], clocks: Sequence[float]) -> bool:
    """Return whether times differ between blocks, and cycles do not.

    Args:
        times: Of the blocks, in any unit.
        clocks: Of the same blocks, in any unit, positive; of another number of blocks they explain nothing.
    """
    if len(times) != len(clocks) or len(times) < MIN_BLOCKS:
        return False
    spread = _spread(np.array(times))
    return spread > LEAST_SPREAD and _spread(np.array(times) * np.array(clocks)) < LEFT_OVER * spread


def _spread(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    """Return the range of the middle four fifths over the median."""
    low, middle, high = np.percentile(values, [10, 50, 90])
    return float((high - low) / middle)
