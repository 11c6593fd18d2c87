"""Many comparisons at once: how likely each is by chance, and what is left of them when they are counted together.

Of fifty comparisons of equals, one at least looks different at 5 % with a chance of 92 %. So a list is judged by
Benjamini and Hochberg 1995 (of what it calls different, 5 % are not, on average), and the few numbers that a reader
takes home by Holm 1979 (that any of them is wrong has a chance of 5 %).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy import stats

from harness.judge.stats import (
    CONFIDENCE,
    MIN_RESAMPLED,
    NO_SPREAD,
    Floats,
    Interval,
    freedom,
    log_ratios,
    standard_error,
    trimmed_mean,
)
from harness.judge.verdict import Verdict

ALPHA = round(1 - CONFIDENCE, 6)
"""Chance of a false alarm that is accepted: over a list the share of false ones, over headlines that of any."""

Correction = Callable[[Sequence[float]], list[float]]
"""Takes p-values, returns them adjusted, in the same order."""


def p_value(numerator: Sequence[float | None], denominator: Sequence[float | None]) -> float | None:
    """Return the chance of paired log-ratios as far from 0 as these if the two were equal; None with fewer than two.

    Student's t of the common rounds; from MIN_RESAMPLED of them on, twice the smaller of it and of the t of the
    trimmed mean (Tukey and McLaughlin 1963): the one is strong where rounds are few, the other where some were
    disturbed. A rank or a permutation test cannot go below 0.03 with six rounds, so that no long list would have a
    finding.
    """
    logs = log_ratios(numerator, denominator)
    if len(logs) < 2:
        return None
    if np.ptp(logs) <= NO_SPREAD:
        return float(abs(logs[0]) <= NO_SPREAD)
    whole = float(stats.ttest_1samp(logs, 0.0).pvalue)
    return whole if len(logs) < MIN_RESAMPLED else min(1.0, 2 * min(whole, _trimmed_t(logs)))


def _trimmed_t(logs: Floats) -> float:
    """Return the p-value of the trimmed mean over the error that the Winsorised sample gives it."""
    middle, error = float(trimmed_mean(logs)), standard_error(logs)
    if error <= NO_SPREAD:  # what is left between the trimmed ends is one value, and the whole sample is to say
        return 1.0
    return float(2 * stats.t.sf(abs(middle) / error, freedom(len(logs))))


def wilcoxon(numerator: Sequence[float | None], denominator: Sequence[float | None]) -> float | None:
    """Return the p-value of Wilcoxon's signed-rank test on the same pairs: a cross-check that knows no distribution."""
    logs = log_ratios(numerator, denominator)
    return float(stats.wilcoxon(logs).pvalue) if len(logs) > 1 and np.any(logs) else None


def benjamini_hochberg(ps: Sequence[float]) -> list[float]:
    """Return adjusted p-values: those at most q are a list of which a share q is false on average."""
    return [float(p) for p in stats.false_discovery_control(ps, method="bh")] if ps else []


def holm(ps: Sequence[float]) -> list[float]:
    """Return adjusted p-values: that any of those at most q is false has a chance of q.

    SciPy has no Holm, and statsmodels would double the start of `harness report`; the test holds it to the closed
    testing of Bonferroni's bounds, of which it is the shortcut (Marcus, Peritz and Gabriel 1976).
    """
    order = np.argsort(ps)
    steps = (len(ps) - np.arange(len(ps))) * np.asarray(ps, dtype=np.float64)[order]
    adjusted = np.empty(len(ps))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return [float(p) for p in adjusted]


def counted(verdicts: Sequence[Verdict], ps: Sequence[float | None], correction: Correction) -> list[Verdict]:
    """Return the verdicts of comparisons that are read together: a difference that does not survive is undecided."""
    kept = survives(ps, correction)
    return [word if word == "same" or keeps else "undecided" for word, keeps in zip(verdicts, kept, strict=True)]


def flattery(best: Interval, among: int) -> float:
    """Return by how much, as a share, the best of `among` candidates is flattered by having been picked.

    It is the median of the largest of so many equal estimates, each with the error that the interval of `best` tells:
    nothing for one candidate, 1.3 standard errors for seven.
    """
    error = math.log(best.high / best.low) / 2 / float(stats.norm.ppf((1 + CONFIDENCE) / 2))
    return math.expm1(error * float(stats.norm.ppf(0.5 ** (1 / among))))


def survives(ps: Sequence[float | None], correction: Correction) -> list[bool]:
    """Return which of the comparisons are still different when all are counted; one without a p-value is not."""
    adjusted = correction([1.0 if p is None else p for p in ps])
    return [p <= ALPHA for p in adjusted]
