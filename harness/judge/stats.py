"""Estimates and their intervals. Every resampling is SciPy's; the choices of estimator are ours and stand here.

The unit of resampling is the round: samples within one round share a process and the state of the machine, so an
interval over samples would be too narrow (`docs/method.md`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

DRAWS = 2000
"""Bootstrap draws: enough that the ends of a 95 % interval move by less than their own second digit."""
CONFIDENCE = 0.95
TRIM = 0.2
"""Share cut from each end before paired log-ratios are averaged: one hiccup in five rounds has no say."""
SEED = 0
"""Resampling is seeded: the same samples always give the same interval."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its 95 % interval."""

    value: float
    low: float
    high: float

    def map(self, function: Callable[[float], float]) -> Interval:
        """Return the interval of a monotonic function of this quantity; a falling one swaps the ends."""
        low, high = sorted((function(self.low), function(self.high)))
        return Interval(function(self.value), low, high)

    def holds(self, value: float) -> bool:
        """Return whether `value` lies in the interval, its ends counted in."""
        return self.low <= value <= self.high


def median_interval(rounds: Sequence[float | None]) -> Interval | None:
    """Return the median of the rounds with its bootstrap interval; None with fewer than two rounds."""
    values = np.array([value for value in rounds if value is not None], dtype=np.float64)
    return _bootstrap(values, _median)


def paired_ratio(numerator: Sequence[float | None], denominator: Sequence[float | None]) -> Interval | None:
    """Return numerator over denominator, judged round by round; None with fewer than two common rounds.

    The estimate is exp of the trimmed mean of the paired log-ratios, so that a drift of the machine, which hits
    both alike within a round, cancels; swapping the two inverts it. Rounds that only one side has do not count.

    Raises:
        ValueError: A time is not positive.
    """
    pairs = [(a, b) for a, b in zip(numerator, denominator, strict=False) if a is not None and b is not None]
    if any(a <= 0 or b <= 0 for a, b in pairs):
        raise ValueError("a ratio of times needs positive times")
    logs = np.array([math.log(a / b) for a, b in pairs], dtype=np.float64)
    interval = _bootstrap(logs, _trimmed_mean)
    return None if interval is None else interval.map(math.exp)


def loglog_slope(xs: Sequence[float], rounds: Sequence[Sequence[float | None]]) -> Interval | None:
    """Return the exponent s of time ~ x ** s, one least-squares fit a round, and its interval over the rounds.

    Args:
        xs: The swept axis, positive, at least two different values.
        rounds: For each x the estimates of all rounds; a round in which any x is missing does not count.
    """
    complete = [row for row in zip(*rounds, strict=False) if all(value is not None and value > 0 for value in row)]
    if len(set(xs)) < 2 or min(xs) <= 0 or len(complete) < 2:
        return None
    logs = np.log(np.array(complete, dtype=np.float64))
    slopes = np.polynomial.polynomial.polyfit(np.log(np.array(xs, dtype=np.float64)), logs.T, 1)[1]
    return _bootstrap(np.asarray(slopes), _trimmed_mean)


def geometric_mean(ratios: Sequence[float]) -> float:
    """Return the geometric mean: for ratios only."""
    return float(stats.gmean(np.array(ratios, dtype=np.float64)))


def _median(sample: Floats, axis: int = -1) -> Floats:
    return np.asarray(np.median(sample, axis=axis))


def _trimmed_mean(sample: Floats, axis: int = -1) -> Floats:
    return np.asarray(stats.trim_mean(sample, TRIM, axis=axis))


def _bootstrap(sample: Floats, statistic: Callable[..., Floats]) -> Interval | None:
    if len(sample) < 2:
        return None
    value = float(statistic(sample))
    if np.ptp(sample) == 0:  # SciPy warns of a degenerate distribution; the interval is a point
        return Interval(value, value, value)
    result = stats.bootstrap(
        (sample,),
        statistic,
        n_resamples=DRAWS,
        confidence_level=CONFIDENCE,
        method="percentile",
        vectorized=True,
        rng=np.random.default_rng(SEED),
    )
    return Interval(value, float(result.confidence_interval.low), float(result.confidence_interval.high))
