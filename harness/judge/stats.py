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

CONFIDENCE = 0.95
DRAWS = 2000
"""Bootstrap draws: enough that the ends of a 95 % interval move by less than their own second digit."""
MIN_RESAMPLED = 6
"""Rounds from which an interval is resampled. No resample reaches beyond the sample, and all of five values lie on one
side of the median one time in sixteen: too often for 95 %."""
TRIM = 0.2
"""Share cut from each end before paired log-ratios are averaged: one hiccup in five rounds has no say."""
NO_SPREAD = 1e-12
"""Logarithms that differ by no more are one value, and its rounding."""
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
    """Return the median of positive rounds with its interval, found on their logarithms; None with fewer than two.

    Raises:
        ValueError: A value is not positive.
    """
    values = [value for value in rounds if value is not None]
    interval = _interval(_logs(values), _median)
    if interval is None:
        return None
    median = float(np.median(values))  # not that of the logarithms: of an even number the middle two mix differently
    if interval.low == interval.high:
        return Interval(median, median, median)
    return Interval(median, min(median, math.exp(interval.low)), max(median, math.exp(interval.high)))


def paired_ratio(numerator: Sequence[float | None], denominator: Sequence[float | None]) -> Interval | None:
    """Return numerator over denominator, judged round by round; None with fewer than two common rounds.

    The estimate is exp of the trimmed mean of the paired log-ratios, so that a drift of the machine, which hits
    both alike within a round, cancels; swapping the two inverts it. Rounds that only one side has do not count.

    Raises:
        ValueError: A time is not positive.
    """
    interval = _interval(log_ratios(numerator, denominator), trimmed_mean)
    return None if interval is None else interval.map(math.exp)


def log_ratios(numerator: Sequence[float | None], denominator: Sequence[float | None]) -> Floats:
    """Return log(numerator / denominator) of every round that both have.

    Raises:
        ValueError: A time is not positive.
    """
    pairs = [(a, b) for a, b in zip(numerator, denominator, strict=False) if a is not None and b is not None]
    return _logs([a for a, _ in pairs]) - _logs([b for _, b in pairs])


EXACT = 12
"""Decimals of an exponent: beyond them a fit of equal times is not 0, but the noise of floating point."""


def loglog_slope(xs: Sequence[float], rounds: Sequence[Sequence[float | None]]) -> Interval | None:
    """Return the exponent s of time ~ x ** s with its interval over the rounds; None with fewer than two of them."""
    return mean_interval(loglog_slopes(xs, rounds))


def loglog_slopes(xs: Sequence[float], rounds: Sequence[Sequence[float | None]]) -> Floats:
    """Return the exponent s of time ~ x ** s by a least-squares fit in each round; none where there is no line to fit.

    Args:
        xs: The swept axis, positive, at least two different values.
        rounds: For each x the estimates of all rounds; a round in which any x is missing does not count.
    """
    complete = [row for row in zip(*rounds, strict=False) if all(value is not None and value > 0 for value in row)]
    if len(set(xs)) < 2 or min(xs) <= 0 or not complete:
        return np.empty(0)
    logs = np.log(np.array(complete, dtype=np.float64))
    slopes = np.polynomial.polynomial.polyfit(np.log(np.array(xs, dtype=np.float64)), logs.T, 1)[1]
    return np.round(np.asarray(slopes), EXACT)


def mean_interval(rounds: Sequence[float] | Floats) -> Interval | None:
    """Return the trimmed mean of one value a round with its interval; None with fewer than two."""
    return _interval(np.asarray(rounds, dtype=np.float64), trimmed_mean)


def standard_error(logs: Sequence[float] | Floats) -> float:
    """Return that of the trimmed mean which `paired_ratio` estimates (Tukey and McLaughlin 1963, as SciPy has it)."""
    if int(TRIM * len(logs)) == 0:  # of so few nothing is cut
        return float(stats.sem(logs))
    return float(stats.mstats.trimmed_stde(np.asarray(logs), limits=(TRIM, TRIM)))


def freedom(count: int) -> int:
    """Return the degrees of freedom of a trimmed mean of so many: what is cut gives none."""
    return max(1, count - 2 * int(TRIM * count) - 1)


def geometric_mean(ratios: Sequence[float]) -> float:
    """Return the geometric mean: for ratios only."""
    return float(stats.gmean(np.array(ratios, dtype=np.float64)))


def _logs(values: Sequence[float]) -> Floats:
    if any(value <= 0 for value in values):
        raise ValueError("times and their ratios are positive")
    return np.log(np.array(values, dtype=np.float64))


def _median(sample: Floats, axis: int = -1) -> Floats:
    return np.asarray(np.median(sample, axis=axis))


def trimmed_mean(sample: Floats, axis: int = -1) -> Floats:
    """Return the mean of `sample` without TRIM of it at either end."""
    return np.asarray(stats.trim_mean(sample, TRIM, axis=axis))


def _interval(sample: Floats, statistic: Callable[..., Floats]) -> Interval | None:
    """Return the statistic of one value a round, with its interval.

    From MIN_RESAMPLED rounds on it is a percentile bootstrap, its level raised for small samples as in Hesterberg 2015
    ("What teachers should know about the bootstrap"): a plain one takes n values as if their spread were known. With
    fewer rounds Student's t stands in, wide as it then is.
    """
    n = len(sample)
    if n < 2:
        return None
    value = float(statistic(sample))
    if np.ptp(sample) == 0:  # SciPy warns of a degenerate distribution; the interval is a point
        return Interval(value, value, value)
    t = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1))
    if n < MIN_RESAMPLED:
        half = t * float(stats.sem(sample))
        return Interval(value, value - half, value + half)
    drawn = stats.bootstrap(
        (sample,),
        statistic,
        n_resamples=DRAWS,
        confidence_level=1 - 2 * float(stats.norm.sf(t * math.sqrt(n / (n - 1)))),
        method="percentile",
        vectorized=True,
        rng=np.random.default_rng(SEED),
    ).confidence_interval
    return Interval(value, float(drawn.low), float(drawn.high))
