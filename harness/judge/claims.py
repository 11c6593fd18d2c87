"""Claims: an expectation is a range, and a claim holds where the whole interval of its estimate lies in it.

`flat` within 10 % holds where the change over the swept axis is shown to lie between 1 / 1.1 and 1.1; it is refuted
where all of the interval lies outside, and undecided in between. A number without noise has an interval of one point,
so that it always decides. Times of several groups of cases (the same axis at other settings) are pooled: one mean a
round. Numbers without noise are not: one group outside refutes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from harness.judge.stats import CONFIDENCE, Floats, Interval, log_ratios, loglog_slopes, mean_interval

Verdict = Literal["confirmed", "refuted", "undecided"]
Rounds = Sequence[float | None]
INFINITE = math.inf
MIN_CORRELATED = 6
"""Cases from which a rank correlation says anything."""
MOST_ROUNDS = 100_000


@dataclass(frozen=True, slots=True)
class Region:
    """The values of an estimate for which a claim holds; its ends belong to it."""

    low: float
    high: float

    def verdict(self, estimate: Interval | None) -> Verdict:
        """Return what the interval of `estimate` says of a claim that it lies here."""
        if estimate is None:
            return "undecided"
        if self.low <= estimate.low and estimate.high <= self.high:
            return "confirmed"
        if estimate.high < self.low or estimate.low > self.high:
            return "refuted"
        return "undecided"

    def holds(self, value: float) -> bool:
        """Return whether `value` lies here."""
        return self.low <= value <= self.high


def region(expect: str, value: float | None, within: float) -> Region:
    """Return where the estimate of an expectation must lie.

    The estimate of flat, rises and falls is the last time over the first one; of equal and faster_than, the case's over
    the one it is compared with, or over `value`; of exponent, correlates, at_most and at_least it is the number itself.
    With `value`, a ratio is expected to equal that instead of 1.
    """
    wider = 1 + within
    match expect:
        case "flat":
            return Region(1 / wider, wider)
        case "equal":
            return Region((value or 1.0) / wider, (value or 1.0) * wider)
        case "rises":
            return Region(math.nextafter(wider, INFINITE), INFINITE)
        case "falls" | "faster_than":
            return Region(0.0, math.nextafter(1 / wider, 0.0))
    assert value is not None
    return {
        "exponent": Region(value - within, value + within),
        "at_most": Region(-INFINITE, value + within * abs(value)),
        "at_least": Region(value - within * abs(value), INFINITE),
        "correlates": Region(value, 1.0),
    }[expect]


def ratio_along(xs: Sequence[float], groups: Sequence[Sequence[Rounds]]) -> Interval | None:
    """Return the last estimate over the first along an axis, pooled over groups; None with fewer than two rounds.

    Args:
        xs: The axis, rising; a line through all of it is what is judged, so that no one case decides.
        groups: For each group the rounds of each x.
    """
    slope = exponent_along(xs, groups)
    return None if slope is None else slope.map(lambda s: math.exp(s * math.log(xs[-1] / xs[0])))


def exponent_along(xs: Sequence[float], groups: Sequence[Sequence[Rounds]]) -> Interval | None:
    """Return s of metric ~ x ** s, a fit a round and group, pooled over groups; None with fewer than two rounds."""
    return _pooled([loglog_slopes(xs, group) for group in groups])


def ratio_between(pairs: Sequence[tuple[Rounds, Rounds]]) -> Interval | None:
    """Return cases over those that they are compared with, judged round by round and pooled over the pairs."""
    pooled = _pooled([log_ratios(case, other) for case, other in pairs])
    return None if pooled is None else pooled.map(math.exp)


def _pooled(groups: Sequence[Floats]) -> Interval | None:
    """Return the mean over groups of what each gives in a round, with its interval over as many rounds as all have."""
    common = min((len(group) for group in groups), default=0)
    return mean_interval(np.mean([group[:common] for group in groups], axis=0)) if common > 1 else None


def exact(value: float) -> Interval:
    """Return a number without noise as an interval."""
    return Interval(value, value, value)


def correlation(xs: Sequence[float], ys: Sequence[float]) -> Interval | None:
    """Return Spearman's rank correlation with the interval of Bonett and Wright 2000; None with too few cases."""
    if len(xs) < MIN_CORRELATED or len(set(xs)) < 2 or len(set(ys)) < 2:
        return None
    rho = float(stats.spearmanr(xs, ys).statistic)
    if abs(rho) > 1 - 1e-12:
        return exact(math.copysign(1.0, rho))
    half = float(stats.norm.ppf((1 + CONFIDENCE) / 2)) * math.sqrt((1 + rho**2 / 2) / (len(xs) - 3))
    return Interval(rho, math.tanh(math.atanh(rho) - half), math.tanh(math.atanh(rho) + half))


def rounds_needed(estimate: Interval, wanted: Region, rounds: int) -> int | None:
    """Return how many rounds would likely decide, were the estimate to stand; None where none would.

    An interval's width falls with the root of the rounds, and none of the ends that it lies across may stay within.
    """
    ends = [end for end in (wanted.low, wanted.high) if estimate.low < end < estimate.high]
    if not ends or estimate.value in ends:
        return None
    wider = max(_half(estimate, end) / abs(estimate.value - end) for end in ends)
    needed = math.ceil(rounds * wider**2)
    return needed if rounds < needed <= MOST_ROUNDS else None


def _half(estimate: Interval, end: float) -> float:
    """Return the part of the interval that lies on the side of `end`."""
    return estimate.value - estimate.low if end < estimate.value else estimate.high - estimate.value
