"""Two runs' estimates of one quantity: how much it changed, and what may be said of that.

Runs that were made at different times have nothing that pairs their rounds: the two samples are independent, and only
their trimmed log-times are compared (Yuen 1974, as SciPy has it). What a machine did to one run as a whole is in every
ratio; `drift` says how much. The rounds of a paired run are pairs, and are compared as such.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from harness.judge.multiple import p_value
from harness.judge.stats import CONFIDENCE, MIN_RESAMPLED, NO_SPREAD, TRIM, Interval, paired_ratio
from harness.judge.verdict import MARGIN

Word = Literal[
    "faster", "slower", "better", "worse", "changed", "same", "cannot tell", "failed", "missing", "not comparable"
]
"""What became of one metric of one case; `changed` is for one of which neither direction is better."""
WORSE: tuple[Word, ...] = ("slower", "worse", "failed", "missing")


@dataclass(frozen=True, slots=True)
class Change:
    """A candidate's estimate over a baseline's."""

    ratio: Interval
    p: float
    """Chance of a ratio at least so far from 1 if nothing had changed."""

    @property
    def noise(self) -> float:
        """Half the 95 % interval, as a share: what this very comparison could not have seen."""
        return math.sqrt(self.ratio.high / self.ratio.low) - 1

    @property
    def factor(self) -> float:
        """The effect over its noise; above 1 the interval leaves 1 out."""
        return abs(math.log(self.ratio.value)) / max(math.log1p(self.noise), 1e-12)


def change(base: Sequence[float | None], candidate: Sequence[float | None]) -> Change | None:
    """Return how positive rounds of `candidate` stand to those of `base`; None with fewer than two on a side.

    Raises:
        ValueError: A time is not positive.
    """
    a, b = ([value for value in rounds if value is not None] for rounds in (candidate, base))
    if min(len(a), len(b)) < 2:
        return None
    if min(*a, *b) <= 0:
        raise ValueError("times are positive")
    logs = np.log(np.asarray(a)), np.log(np.asarray(b))
    trim = TRIM if min(len(a), len(b)) >= MIN_RESAMPLED else 0.0  # of five values, trimming leaves three
    value = float(np.exp(stats.trim_mean(logs[0], trim) - stats.trim_mean(logs[1], trim)))
    if max(np.ptp(logs[0]), np.ptp(logs[1])) <= NO_SPREAD:  # SciPy warns of samples without any spread
        return Change(Interval(value, value, value), float(abs(math.log(value)) <= NO_SPREAD))
    with warnings.catch_warnings():  # of one side without spread, whose variance is then rightly 0
        warnings.simplefilter("ignore", RuntimeWarning)
        test = stats.ttest_ind(*logs, equal_var=False, trim=trim)
        ends = test.confidence_interval(CONFIDENCE)
    return Change(Interval(value, math.exp(ends.low), math.exp(ends.high)), float(test.pvalue))


def paired_change(base: Sequence[float | None], candidate: Sequence[float | None]) -> Change | None:
    """Return how positive rounds of `candidate` stand to those of `base` that were taken side by side, round by round.

    What the machine did in a round is in both its times, and cancels. None with fewer than two common rounds.

    Raises:
        ValueError: A time is not positive.
    """
    ratio, p = paired_ratio(candidate, base), p_value(candidate, base)
    return None if ratio is None or p is None else Change(ratio, p)


def timed(found: Change | None, *, significant: bool, margin: float = MARGIN) -> Word:
    """Return the word for a change of a time or an energy: less is faster.

    Args:
        found: The change; None where a side has too few rounds.
        significant: Whether it stands after all comparisons of the sweep were counted.
        margin: The change, as a share, that is none for a decision.
    """
    if found is None:
        return "cannot tell"
    if found.ratio.low > 1 / (1 + margin) and found.ratio.high < 1 + margin:
        return "same"
    if significant and found.ratio.high < 1 and found.ratio.value < 1 / (1 + margin):
        return "faster"
    if significant and found.ratio.low > 1 and found.ratio.value > 1 + margin:
        return "slower"
    return "cannot tell"


def exact(base: float | str, candidate: float | str, better: str | None, tolerance: float = 0.0) -> Word:
    """Return the word for a number or word without noise; a share up to `tolerance` of the baseline is no change.

    `better` is `lower`, `higher` or None, as `harness/metrics.py` says of the metric.
    """
    if base == candidate:
        return "same"
    if isinstance(base, str) or isinstance(candidate, str) or better is None:
        return "changed"
    if abs(candidate - base) <= tolerance * abs(base):
        return "same"
    return "better" if (candidate < base) == (better == "lower") else "worse"


def drift(ratios: Iterable[float]) -> float | None:
    """Return the median of all ratios: what the machine, or the change, did to all cases alike; None without any."""
    values = list(ratios)
    return float(np.median(values)) if values else None
