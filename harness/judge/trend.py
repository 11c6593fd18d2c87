"""One quantity over many runs: since which run it is what it is.

A run is one point: its rounds share the machine's state of that day, so the noise that counts is the one between runs.
Where levels may change is proposed by ruptures (PELT, Killick et al. 2012, on squared deviations, which its C code does
in microseconds); what may be said is decided here. A change is two runs at least: one that stands apart alone is a bad
night, is told as such, and has no say in levels. A line that explains the series better than steps is a drift, and then
no run is named.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice, pairwise

import numpy as np
import ruptures
from numpy.typing import NDArray
from scipy import stats

from harness.judge.compare import Change
from harness.judge.multiple import ALPHA, benjamini_hochberg
from harness.judge.series import ALARM
from harness.judge.stats import CONFIDENCE, NO_SPREAD, Floats, Interval
from harness.judge.verdict import MARGIN

Places = NDArray[np.intp]
"""Points of a series, by their number."""

MIN_RUNS = 5
"""Runs from which a change of a noisy number can be told: two of either level, and one that tells their noise."""
SHORTEST = 2
"""Runs that make a level."""
PENALTY = 4.0
"""What one more change must explain before it is proposed, in variances and per log of the number of runs: more than
BIC's 2 or 3, since real nights have long tails. It decides nothing alone: every proposal is tested."""
NORMAL_MAD = float(stats.norm.ppf(0.75))
"""Median absolute deviation of a normal variable over its standard deviation."""
PLACE = -2 * math.log1p(-math.sqrt(CONFIDENCE))
"""Log-likelihood ratio (twice it) up to which another place of a change is as good, with 95 % (Siegmund 1988)."""


@dataclass(frozen=True, slots=True)
class Step:
    """A change of level."""

    at: int
    """The first point of the new level."""
    earliest: int
    latest: int
    """Between these the new level began, with 95 %."""
    change: Change
    """New level over old; its p counts every place at which it could have been found."""


@dataclass(frozen=True, slots=True)
class Trend:
    """What a series of one quantity shows."""

    steps: tuple[Step, ...] = ()
    drift: Change | None = None
    """Last point of the line over its first."""
    apart: tuple[int, ...] = ()
    """Points that stand alone."""
    noise: float = 0.0
    """Standard deviation of one run around its level, as a share."""


def trend(values: Sequence[float] | Floats, errors: Sequence[float] = (), margin: float = MARGIN) -> Trend:
    """Return what a series of positive values shows; nothing with fewer than MIN_RUNS of them.

    Args:
        values: One a run, in the order of time.
        errors: The standard error of each one's logarithm, from its own rounds; empty where that is not known.
        margin: The change, as a share, that is none for a decision.

    Raises:
        ValueError: A value is not positive.
    """
    if len(values) and min(values) <= 0:
        raise ValueError("times are positive")
    if len(values) < MIN_RUNS:
        return Trend()
    logs = np.log(np.asarray(values, dtype=np.float64))
    own = np.asarray(errors, dtype=np.float64) if len(errors) else np.zeros(len(logs))
    noise = _noise(logs, own)
    lone = _apart(logs, own, noise, margin)
    usual = np.setdiff1d(np.arange(len(logs)), lone)
    if len(usual) < MIN_RUNS:
        return Trend(apart=tuple(map(int, lone)), noise=math.expm1(noise))
    steps, drift = _steps(logs[usual], noise, margin), _drift(logs[usual], margin)
    if drift is not None and _is_line(logs[usual], [step.at for step in steps]):
        steps = []
    else:
        drift = None if steps else drift
    return Trend(tuple(_moved(step, usual) for step in steps), drift, tuple(map(int, lone)), math.expm1(noise))


def counted_together(trends: Sequence[Trend]) -> list[Trend]:
    """Return the trends of one sweep: a change that does not survive when all are counted is none (BH)."""
    changes = [[*(step.change for step in one.steps), *([one.drift] if one.drift else [])] for one in trends]
    ps = [change.p for found in changes for change in found or [Change(Interval(1.0, 1.0, 1.0), 1.0)]]
    kept = iter(p <= ALPHA for p in benjamini_hochberg(ps))
    takes = (list(islice(kept, len(found) or 1)) for found in changes)
    return [_surviving(one, keeps) for one, keeps in zip(trends, takes, strict=True)]


def levels(values: Sequence[float] | Floats, found: Trend) -> list[tuple[int, int, float]]:
    """Return the levels of a series: first and last point, and the geometric mean of those that stand not apart."""
    logs = np.log(np.asarray(values, dtype=np.float64))
    edges = [0, *(step.at for step in found.steps), len(logs)]
    out = []
    for low, high in pairwise(edges):
        usual = [logs[at] for at in range(low, high) if at not in found.apart]
        out.append((low, high - 1, math.exp(float(np.mean(usual or logs[low:high])))))
    return out


def _surviving(one: Trend, kept: list[bool]) -> Trend:
    steps = tuple(step for step, keeps in zip(one.steps, kept, strict=False) if keeps)
    return replace(one, steps=steps, drift=one.drift if kept[-1] else None)


def _moved(step: Step, places: Places) -> Step:
    """Return the step in terms of the series that still has its lone points."""
    return Step(int(places[step.at]), int(places[step.earliest]), int(places[step.latest]), step.change)


def _noise(logs: Floats, own: Floats) -> float:
    """Return the spread of one run: that of neighbours' differences, which a few steps and lone runs leave alone."""
    between = float(np.median(np.abs(np.diff(logs)))) / NORMAL_MAD / math.sqrt(2)
    return max(between, float(np.median(own)), NO_SPREAD)


def _apart(logs: Floats, own: Floats, noise: float, margin: float) -> Places:
    """Return the points that both neighbours contradict, by more than chance and their own error allow."""
    windows = np.clip(np.arange(len(logs)), 1, len(logs) - 2)[:, None] + np.array([-1, 0, 1])
    far = np.abs(logs - np.median(logs[windows], axis=1))
    # The spread is guessed from a median of n - 1 differences, which is worth about a third of so many degrees.
    limit = float(stats.t.isf(ALARM / 2 / len(logs), max(2, len(logs) / 3))) * np.hypot(noise, own)
    return np.flatnonzero(far > np.maximum(limit, math.log1p(margin)))


def _steps(logs: Floats, noise: float, margin: float) -> list[Step]:
    """Return the steps that stand: proposed, tested between their neighbours, the least likely taken back first."""
    cuts = _proposed(logs, noise)
    while cuts:
        found = [_change(logs[a:b], logs[b:c], len(logs)) for a, b, c in _around(cuts, len(logs))]
        weak = [each.p > ALPHA or abs(math.log(each.ratio.value)) <= math.log1p(margin) for each in found]
        if not any(weak):
            spans = _around(cuts, len(logs))
            return [Step(b, *_place(logs[a:c], a, b), each) for (a, b, c), each in zip(spans, found, strict=True)]
        least = max((index for index, is_weak in enumerate(weak) if is_weak), key=lambda index: found[index].p)
        del cuts[least]
    return []


def _proposed(logs: Floats, noise: float) -> list[int]:
    search = ruptures.KernelCPD(kernel="linear", min_size=SHORTEST).fit(logs.reshape(-1, 1))
    ends = search.predict(pen=PENALTY * noise**2 * math.log(len(logs)))
    return [int(end) for end in ends[:-1]]


def _around(cuts: Sequence[int], end: int) -> list[tuple[int, int, int]]:
    """Return start, cut and end of the two levels around each cut."""
    edges = [0, *cuts, end]
    return list(zip(edges, edges[1:], edges[2:], strict=False))


def _change(before: Floats, after: Floats, runs: int) -> Change:
    """Return one level over the other: Student's t over runs, counted for every place it could have been found at.

    Both levels are of one case on one machine, so they share their noise: with two runs on a side, nothing else could
    be told. The line that a drift would be is one hypothesis more.
    """
    value = math.exp(float(np.mean(after) - np.mean(before)))
    if max(np.ptp(before), np.ptp(after)) <= NO_SPREAD:
        return Change(Interval(value, value, value), float(abs(math.log(value)) <= NO_SPREAD))
    with warnings.catch_warnings():  # of one side without spread, whose variance is then rightly 0
        warnings.simplefilter("ignore", RuntimeWarning)
        test = stats.ttest_ind(after, before)
    ends = test.confidence_interval(CONFIDENCE)
    ratio = Interval(value, math.exp(float(ends.low)), math.exp(float(ends.high)))
    return Change(ratio, min(1.0, float(test.pvalue) * _hypotheses(runs)))


def _hypotheses(runs: int) -> int:
    return max(1, runs - 2 * SHORTEST + 2)


def _place(logs: Floats, start: int, cut: int) -> tuple[int, int]:
    """Return the first and the last place at which the step between two levels is as likely as where it was found."""
    places = np.arange(1, len(logs))
    lost = np.array([_squares(logs[:at]) + _squares(logs[at:]) for at in places])
    variance = max(float(lost[cut - start - 1]) / max(1, len(logs) - 2), NO_SPREAD**2)
    good = places[lost - lost[cut - start - 1] <= PLACE * variance]
    return min(start + int(good[0]), cut), max(start + int(good[-1]), cut)


def _squares(logs: Floats) -> float:
    return float(np.sum((logs - np.mean(logs)) ** 2))


def _drift(logs: Floats, margin: float) -> Change | None:
    """Return the rise of the line through the points; None where it is little, or may be chance."""
    if np.ptp(logs) <= NO_SPREAD:
        return None
    line, span = stats.linregress(np.arange(len(logs)), logs), len(logs) - 1
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(logs) - 2)) * float(line.stderr) * span
    rise, p = float(line.slope) * span, min(1.0, float(line.pvalue) * _hypotheses(len(logs)))
    if abs(rise) <= math.log1p(margin) or p > ALPHA:
        return None
    return Change(Interval(math.exp(rise), math.exp(rise - half), math.exp(rise + half)), p)


def _is_line(logs: Floats, cuts: Sequence[int]) -> bool:
    """Return whether a line explains the series better than steps, by Schwarz's criterion."""
    at = np.arange(len(logs))
    line = np.polynomial.polynomial.polyval(at, np.polynomial.polynomial.polyfit(at, logs, 1))
    of_line = _criterion(float(np.sum((logs - line) ** 2)), len(logs), 2)
    of_steps = _criterion(sum(_squares(part) for part in np.split(logs, list(cuts))), len(logs), 2 * len(cuts) + 1)
    return of_line < of_steps


def _criterion(squares: float, count: int, parameters: int) -> float:
    return count * math.log(max(squares, NO_SPREAD) / count) + parameters * math.log(count)
