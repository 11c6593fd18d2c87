"""Two runs' estimates of one quantity: how much it changed, and what may be said of that.

Runs that were made at different times have nothing that pairs their rounds: the two samples are independent. How large
a change is, is told by their trimmed log-times (Yuen 1974, as SciPy has it), in which a hiccup has no say; whether
there is one at all, by the means of all rounds (`means`), since trimming would cut off the second of a machine's two
speeds. What a machine did to one run as a whole is in every ratio; `drift` says how much. The rounds of a paired run
are pairs, and are compared as such.
"""

from __future__ import annotations

import math
import warnings
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy import stats

from harness.judge.means import Means, alone, beside, means, paired_means
from harness.judge.multiple import p_value
from harness.judge.stats import CONFIDENCE, MIN_RESAMPLED, NO_SPREAD, TRIM, Floats, Interval, log_ratios, paired_ratio
from harness.judge.verdict import MARGIN

Word = Literal[
    "faster", "slower", "better", "worse", "changed", "same", "cannot tell", "failed", "missing", "not comparable"
]
"""What became of one metric of one case; `changed` is for one of which neither direction is better."""
WORSE: tuple[Word, ...] = ("slower", "worse", "failed", "missing")
Rounds = Sequence[float | None]
MOST_LOG = 300.0
"""Logarithm of a ratio beyond all that is measured, whose square root and own ratio are still numbers."""


@dataclass(frozen=True, slots=True)
class Samples:
    """The logarithms of all rounds of two runs, as far as it takes to judge their means."""

    shift: float
    """Of the candidate's mean from the baseline's."""
    variances: tuple[float, ...]
    """Of one round of the candidate, and of the baseline; where rounds are pairs, of the ratio of a round alone."""
    rounds: tuple[int, ...]
    """Of the candidate, and of the baseline; where rounds are pairs, of both together."""


@dataclass(frozen=True, slots=True)
class Change:
    """A candidate's estimate over a baseline's."""

    ratio: Interval
    p: float
    """Chance of means at least so far apart if nothing had changed."""
    samples: Samples | None = None
    """What `p` stands on; None where it stands on something else, and learns nothing from other cases."""

    @property
    def noise(self) -> float:
        """Half the 95 % interval, as a share: what this very comparison could not have seen."""
        return math.sqrt(self.ratio.high / self.ratio.low) - 1

    @property
    def factor(self) -> float:
        """The effect over its noise; above 1 the interval leaves 1 out."""
        return abs(math.log(self.ratio.value)) / max(math.log1p(self.noise), 1e-12)


def change(base: Rounds, candidate: Rounds) -> Change | None:
    """Return how positive rounds of `candidate` stand to those of `base`; None with fewer than two on a side.

    Raises:
        ValueError: A time is not positive.
    """
    return changes([(base, candidate)])[0]


def changes(pairs: Sequence[tuple[Rounds, Rounds]]) -> list[Change | None]:
    """Return `change` of every (base, candidate); those with equally many rounds are worked out together.

    Raises:
        ValueError: A time is not positive.
    """
    alike: dict[tuple[int, int], list[tuple[int, list[float], list[float]]]] = defaultdict(list)
    for place, (base, candidate) in enumerate(pairs):
        after, before = ([value for value in rounds if value is not None] for rounds in (candidate, base))
        if min(len(after), len(before)) >= 2:
            alike[len(after), len(before)].append((place, after, before))
    found: list[Change | None] = [None] * len(pairs)
    for rows in alike.values():
        places, a, b = zip(*rows, strict=True)
        for place, one in zip(places, _changes(_logs(a), _logs(b)), strict=True):
            found[place] = one
    return found


def together(found: Sequence[Change]) -> list[Change]:
    """Return the changes of one metric over a sweep, each with the p-value that its noise has beside the others'."""
    known = [one.samples for one in found if one.samples is not None]
    if not known or len(known) < len(found):
        return list(found)
    count = np.array([one.rounds for one in known], dtype=np.float64).T
    variance = np.array([one.variances for one in known]).T
    ps = beside(Means(np.array([one.shift for one in known]), variance, count))
    return [replace(one, p=p) for one, p in zip(found, ps.tolist(), strict=True)]


def _logs(rounds: Sequence[Sequence[float]]) -> Floats:
    values = np.array(rounds, dtype=np.float64)
    if not (values > 0).all():
        raise ValueError("times are positive")
    return np.log(values)


def _changes(a: Floats, b: Floats) -> list[Change]:
    """Return how the logarithms `a` [N, n] stand to `b` [N, m], row by row."""
    found, rounds = means(a, b), (a.shape[1], b.shape[1])
    ratios = [Interval(*ends) for ends in zip(*(each.tolist() for each in _ratios(a, b)), strict=True)]
    noise = zip(*found.variance.tolist(), strict=True)
    samples = [Samples(shift, each, rounds) for shift, each in zip(found.shift.tolist(), noise, strict=True)]
    return [Change(*row) for row in zip(ratios, alone(found).tolist(), samples, strict=True)]


def _ratios(a: Floats, b: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the ratios [N] with the lower and upper ends of their intervals; where nothing varies, a point."""
    trim = TRIM if min(a.shape[1], b.shape[1]) >= MIN_RESAMPLED else 0.0  # of five values, trimming leaves three
    values = stats.trim_mean(a, trim, axis=1) - stats.trim_mean(b, trim, axis=1)
    low, high = _ends(a, b, trim)
    cut = ~(high - low > NO_SPREAD)
    if trim and cut.any():  # all that varies was cut, and the whole samples are to say
        whole = _ends(a, b, 0.0)
        low, high = np.where(cut, np.fmin(values, whole[0]), low), np.where(cut, np.fmax(values, whole[1]), high)
    silent = np.maximum(np.ptp(a, axis=1), np.ptp(b, axis=1)) <= NO_SPREAD
    low, high = np.where(silent, values, low), np.where(silent, values, high)
    return _exp(values), _exp(low), _exp(high)


def _ends(a: Floats, b: Floats, trim: float) -> tuple[Floats, Floats]:
    with warnings.catch_warnings():  # of sides without spread, whose variance is then rightly 0
        warnings.simplefilter("ignore", RuntimeWarning)
        ends = stats.ttest_ind(a, b, axis=1, equal_var=False, trim=trim).confidence_interval(CONFIDENCE)
    return np.asarray(ends.low), np.asarray(ends.high)


def _exp(logs: Floats) -> Floats:
    """Return exp, its result finite: two rounds that differ by much have an interval beyond all numbers."""
    return np.asarray(np.exp(np.clip(logs, -MOST_LOG, MOST_LOG)))


def paired_change(base: Rounds, candidate: Rounds) -> Change | None:
    """Return how positive rounds of `candidate` stand to those of `base` that were taken side by side, round by round.

    What the machine did in a round is in both its times, and cancels. None with fewer than two common rounds.

    Raises:
        ValueError: A time is not positive.
    """
    ratio, p, logs = paired_ratio(candidate, base), p_value(candidate, base), log_ratios(candidate, base)
    if ratio is None or p is None:
        return None
    found = paired_means(logs[None])
    return Change(ratio, p, Samples(float(found.shift[0]), (float(found.variance[0, 0]),), (len(logs),)))


def paired_changes(pairs: Sequence[tuple[Rounds, Rounds]]) -> list[Change | None]:
    """Return `paired_change` of every (base, candidate)."""
    return [paired_change(base, candidate) for base, candidate in pairs]


def timed(found: Change | None, *, significant: bool, margin: float = MARGIN, floor: float = 0.0) -> Word:
    """Return the word for a change of a time or an energy: less is faster.

    Args:
        found: The change; None where a side has too few rounds.
        significant: Whether it stands after all comparisons of the sweep were counted.
        margin: The change, as a share, that is none for a decision.
        floor: The smallest change, as a share, that both runs could tell from nothing by their own A/A cells.
    """
    if found is None:
        return "cannot tell"
    beyond = 1 + max(margin, floor)
    if found.ratio.low > 1 / (1 + margin) and found.ratio.high < 1 + margin:
        return "same"
    if significant and found.ratio.high < 1 and found.ratio.value < 1 / beyond:
        return "faster"
    if significant and found.ratio.low > 1 and found.ratio.value > beyond:
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
