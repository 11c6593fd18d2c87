"""Steady state: from which block on a visit's times no longer carry its warm-up.

Method: MSER, the marginal standard error rule (White 1997, "An effective truncation heuristic for bias reduction in
simulation output", Simulation 69(6)): leave out the start without which the standard error of the rest's mean is least.
It is the rule that Hoad, Robinson and Davies chose from 44 ("Automating warm-up length estimation", Journal of the
Operational Research Society 61, 2010), and as they do, more blocks are asked for where more than half would go. Ours
looks at logarithms, and leaves a start whose median is that of the rest, so that a preempted block late in the series
condemns none before it.

No hypothesis test: one over autocorrelated blocks finds trends where there are none, and over few blocks finds none.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

LEAST_KEPT = 5
"""Blocks at the end that are never left out: the spread of fewer is an accident."""
MIN_BLOCKS = 13
"""Blocks from which on a series may be called steady: of fewer, one that falls by 5 % a block passes too often."""
TOLERANCE = 0.01
"""A start whose median is so close to the rest's is no warm-up: half of the 2 % that verdicts rest on."""

NEVER_SETTLED = "never settled: over half of a visit's blocks were still warm-up when its time was up"
NOT_TESTED = f"steady state not tested: that takes {MIN_BLOCKS} blocks or more, and a visit has time for fewer"
"""What a visit says of its times where it cannot say that they had settled."""


def settled_from(times: Sequence[float]) -> int | None:
    """Return how many blocks at the start are warm-up; None where more than half are: the times have not settled.

    Args:
        times: Of all blocks in order, positive. Of fewer than MIN_BLOCKS the answer is no proof of a steady state.
    """
    series = np.array(times, dtype=np.float64)
    dropped = _least_error(np.log(series))
    if not dropped or abs(float(np.median(series[:dropped]) / np.median(series[dropped:])) - 1) <= TOLERANCE:
        return 0
    return dropped if 2 * dropped <= len(series) else None


def _least_error(series: NDArray[np.float64]) -> int:
    """Return after how many values the rest's mean has its least standard error, LEAST_KEPT or more being left."""
    if len(series) <= LEAST_KEPT:
        return 0
    backwards = (series - series[-1])[::-1]  # near 0, so that no digits are lost in the squares
    count = np.arange(1, len(series) + 1)
    variance = np.cumsum(backwards**2) / count - (np.cumsum(backwards) / count) ** 2
    errors = np.maximum(variance, 0)[::-1] / count[::-1]  # of the rest from each value on
    return int(np.argmin(errors[: len(series) - LEAST_KEPT + 1]))
