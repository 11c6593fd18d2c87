"""Means of two independent samples, many pairs at once, whose noise is learnt from one another.

Of six rounds a side the noise is itself a guess, and a difference must be large before it counts among five hundred
others. But the cases of one sweep are timed by one machine, and their noises are alike: how alike is estimated, and a
noise that differs from the others is drawn to them by as much (Smyth 2004, "Linear models and empirical Bayes methods
for assessing differential expression", equations for s0 and d0; limma's `squeezeVar`). So a case whose few rounds
happen to agree is not believed to have no noise, which is where false alarms of machines with two speeds come from.

One of two runs may be the noisier one as a whole, and is then taken so; a case has the same share of either's noise.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special, stats

from harness.judge.stats import NO_SPREAD, Floats

ENOUGH = 20
"""Comparisons from which on one learns from the others: of fewer, how alike they are is itself a guess."""
LEAST = 1e-5
"""Of the median variance: the least that a variance counts as, since of nothing there is no logarithm (limma's)."""
MOST_FREEDOM = 1e8
"""Degrees of freedom of a noise that all have alike."""


@dataclass(frozen=True, slots=True)
class Means:
    """Differences of two means, N at once; nothing is trimmed here, so that no second mode is cut off.

    S is 2 where the samples are independent. Of pairs the differences are the one sample, and S is 1.
    """

    shift: Floats
    """Of the first mean from the second [N]."""
    variance: Floats
    """Of one value of each sample [S, N]."""
    count: Floats
    """Values in each sample [S, N]."""


def means(a: Floats, b: Floats) -> Means:
    """Return how the rows of `a` [N, n] stand to those of `b` [N, m], n and m at least 2."""
    variance = np.stack([a.var(axis=1, ddof=1), b.var(axis=1, ddof=1)])
    count = np.stack([np.full(len(side), side.shape[1], dtype=np.float64) for side in (a, b)])
    return Means(a.mean(axis=1) - b.mean(axis=1), variance, count)


def paired_means(differences: Floats) -> Means:
    """Return how the rows of `differences` [N, n] stand to 0, n at least 2."""
    count = np.full((1, len(differences)), differences.shape[1], dtype=np.float64)
    return Means(differences.mean(axis=1), differences.var(axis=1, ddof=1)[None], count)


def alone(found: Means) -> Floats:
    """Return the chance [N] of each shift, or a larger one, if there was none, by its own noise: Welch 1947.

    Of pairs it is Student's.
    """
    with warnings.catch_warnings():  # of shifts without noise, whose chance is nothing or all
        warnings.simplefilter("ignore", RuntimeWarning)
        p = _students(found) if len(found.variance) == 1 else _welchs(found)
    silent = np.sqrt(found.variance.max(axis=0)) <= NO_SPREAD
    return np.where(silent, np.where(np.abs(found.shift) <= NO_SPREAD, 1.0, 0.0), p)


def _students(found: Means) -> Floats:
    t = np.abs(found.shift) / np.sqrt(found.variance[0] / found.count[0])
    return np.asarray(2 * stats.t.sf(t, found.count[0] - 1))


def _welchs(found: Means) -> Floats:
    first, second = zip(np.sqrt(found.variance), found.count, strict=True)
    return np.asarray(stats.ttest_ind_from_stats(found.shift, *first, 0.0, *second, equal_var=False).pvalue)


def beside(found: Means) -> Floats:
    """Return the same chance [N] by the noise that each has in the light of the others; of few, by its own."""
    middle = np.median(found.variance, axis=1, keepdims=True) if len(found.shift) >= ENOUGH else np.zeros((1, 1))
    if math.sqrt(middle.min()) <= NO_SPREAD:
        return alone(found)
    freedom, variance = found.count - 1, np.maximum(found.variance, LEAST * middle)
    level = np.exp(np.mean(_logs(variance, freedom), axis=1, keepdims=True))  # [S, 1]: of each run as a whole
    whole = freedom.sum(axis=0)
    share = (freedom * variance / level).sum(axis=0) / whole
    typical, likeness = prior(share, whole)
    share = (likeness * typical + whole * share) / (likeness + whole)
    t = np.abs(found.shift) / np.sqrt(share * (level / found.count).sum(axis=0))
    return np.asarray(2 * stats.t.sf(t, np.minimum(likeness + whole, whole.sum())))


def prior(variance: Floats, freedom: Floats) -> tuple[float, float]:
    """Return the typical one of variances [N], and how many degrees of freedom the likeness of all to it is worth.

    The logarithms of variances that are all one differ by trigamma(d / 2) in the square; what they differ by beyond
    that is their own difference, and the likeness is the d whose trigamma it is.
    """
    logs = _logs(variance, freedom)
    beyond = float(np.var(logs, ddof=1) - np.mean(special.polygamma(1, freedom / 2)))
    if beyond <= float(special.polygamma(1, MOST_FREEDOM / 2)):
        return float(np.average(variance, weights=freedom)), MOST_FREEDOM
    half = float(optimize.brentq(lambda x: float(special.polygamma(1, x)) - beyond, 1e-8, MOST_FREEDOM / 2))
    return float(np.exp(np.mean(logs) + special.digamma(half) - math.log(half))), 2 * half


def _logs(variance: Floats, freedom: Floats) -> Floats:
    """Return the logarithms of variances, without the bias that those of few values have."""
    return np.asarray(np.log(variance) - special.digamma(freedom / 2) + np.log(freedom / 2))
