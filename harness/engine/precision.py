"""Precision: whether a case has rounds enough, and why it has no more; pure, so that a resumed run decides alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from harness.declare.format import Measure
from harness.declare.rounds import LATENCY, looks
from harness.engine.journal import Line
from harness.judge.stats import median_interval
from harness.record import End, RoundsEnded

METRIC = "latency_ms"
"""The time whose interval decides."""


def is_precise(lines: Sequence[Line], rounds: int, precision: float) -> bool:
    """Return whether a case's time is known to `precision`, by its first `rounds` rounds alone."""
    width = half_width([time for index, time in _times(lines).items() if index < rounds])
    return width is not None and width <= precision


def half_width(estimates: Sequence[float]) -> float | None:
    """Return half the 95 % interval of the median over rounds, as a share of it; None with fewer than two rounds."""
    interval = median_interval(estimates)
    return None if interval is None else (interval.high - interval.low) / 2 / interval.value


def why_ended(lines: Sequence[Line], measure: Measure, stopped: End) -> RoundsEnded | None:
    """Return why a case has no more rounds than these; None where it has none.

    It looks as the run did: after so many rounds as the schedule says, and at no other time. `stopped` is why the run
    as a whole ended.
    """
    times = _times(lines)
    if not times:
        return None
    if measure.precision is None and len(times) >= measure.rounds:
        return "fixed"
    if measure.precision is not None:
        made = [look for look in looks(measure) if look <= len(times)]
        if any(is_precise(lines, look, measure.precision) for look in made):
            return "precise"
        if len(times) >= measure.most_rounds:
            return "max_rounds"
    return "budget" if stopped == "over_budget" else "interrupted"


def _times(lines: Sequence[Line]) -> Mapping[int, float]:
    """Return the estimate of each round that has one."""
    found: dict[int, float] = {}
    for line in lines:
        samples = line.values.get(METRIC)
        if line.probe == LATENCY and line.round is not None and isinstance(samples, list) and samples:
            found[line.round] = median(samples)
    return found
