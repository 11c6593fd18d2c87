"""Lines: every number through all runs, with its levels and its changes; noisy numbers are judged all together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from harness.judge.compare import Change, Word, exact
from harness.judge.trend import Trend, counted_together, levels, trend
from harness.metrics import METRICS
from reports.history.shifts import Level, Line, Point, Shift
from reports.history.stops import Era
from reports.history.tracks import Track, exact_metrics, noisy_metrics


def lines(tracks: Sequence[Track], eras: Sequence[Era]) -> list[Line]:
    """Return every noisy number of every case, all judged together, and of the exact ones those that changed."""
    noisy = [(track, metric) for track in tracks for metric in noisy_metrics(track)]
    parts = [[_points(track, metric, era) for era in eras] for track, metric in noisy]
    found = iter(counted_together([_trend(track, metric, points)
                                   for (track, metric), each in zip(noisy, parts, strict=True)
                                   for points in each]))  # fmt: skip
    timed = [_line(track, metric, [(points, next(found)) for points in each])
             for (track, metric), each in zip(noisy, parts, strict=True)]  # fmt: skip
    steady = [_exact_line(track, metric, eras) for track in tracks for metric in exact_metrics(track)]
    return timed + [line for line in steady if line.shifts]


def _points(track: Track, metric: str, era: Era) -> list[Point]:
    out = []
    for run in range(era.first, era.last + 1):
        result = track.results[run]
        value = None if result is None else result.number(metric)
        if result is None or value is None or value <= 0:
            continue
        ends = result.interval(metric)
        out.append(Point(run, value, ends.low if ends else None, ends.high if ends else None))
    return out


def _trend(track: Track, metric: str, points: Sequence[Point]) -> Trend:
    return trend([point.value for point in points], [track.error(metric, point.run) for point in points])


def _line(track: Track, metric: str, parts: Sequence[tuple[list[Point], Trend]]) -> Line:
    return Line(
        subject=track.subject,
        where=track.where,
        metric=metric,
        points=tuple(point for points, _ in parts for point in points),
        levels=tuple(level for points, found in parts for level in _levels(points, found)),
        apart=tuple(points[at].run for points, found in parts for at in found.apart),
        shifts=tuple(shift for points, found in parts for shift in _noisy_shifts(track, metric, points, found)),
    )


def _levels(points: Sequence[Point], found: Trend) -> Iterator[Level]:
    if points and found.drift is None:
        for first, last, value in levels([point.value for point in points], found):
            yield Level(points[first].run, points[last].run, value)


def _noisy_shifts(track: Track, metric: str, points: Sequence[Point], found: Trend) -> Iterator[Shift]:
    steps = levels([point.value for point in points], found) if found.steps else []
    for step, ((_, _, before), (_, _, after)) in zip(found.steps, pairwise(steps), strict=True):
        at, earliest, latest = (points[at].run for at in (step.at, step.earliest, step.latest))
        yield Shift(track.subject, track.where, metric, "step", _word(metric, step.change), at, earliest, latest,
                    before, after, step.change)  # fmt: skip
    if found.drift is not None:
        first, last = points[0], points[-1]
        middle = (first.value * last.value) ** 0.5
        root = found.drift.ratio.value**0.5
        yield Shift(track.subject, track.where, metric, "drift", _word(metric, found.drift),
                    first.run, first.run, last.run, middle / root, middle * root, found.drift)  # fmt: skip


def _word(metric: str, change: Change) -> Word:
    less = change.ratio.value < 1
    if METRICS[metric].unit == "ms":
        return "faster" if less else "slower"
    return "better" if less == (METRICS[metric].better == "lower") else "worse"


def _exact_line(track: Track, metric: str, eras: Sequence[Era]) -> Line:
    values = track.values(metric)
    points = [Point(run, float(value), None, None)
              for run, value in enumerate(values) if isinstance(value, (int, float))]  # fmt: skip
    shifts = [shift for era in eras for shift in _exact_shifts(track, metric, values, era)]
    return Line(track.subject, track.where, metric, tuple(points), (), (), tuple(shifts))


def _exact_shifts(track: Track, metric: str, values: Sequence[float | str | None], era: Era) -> list[Shift]:
    """Return every change of a number without noise; one that keeps coming back to what it was is told once."""
    known = [(run, value) for run in range(era.first, era.last + 1) if (value := values[run]) is not None]
    found = [
        Shift(track.subject, track.where, metric, "exact", exact(old, new, METRICS[metric].better), run, run, run,
              old, new)
        for (_, old), (run, new) in pairwise(known)
        if old != new
    ]  # fmt: skip
    several = {value for _, value in known}
    if len(found) <= len(several):
        return found
    first = found[0]
    why = f"{len(several)} values in {len(known)} runs: it is to have no noise, and has"
    return [Shift(track.subject, track.where, metric, "unsteady", "changed", first.run, first.run, found[-1].run,
                  known[0][1], known[-1][1], why=why)]  # fmt: skip
