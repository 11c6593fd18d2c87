"""Shifts: what changed in a case's history, since which run, and how much; noisy numbers are judged all together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from harness.judge.compare import WORSE, Change, Word, exact
from harness.judge.trend import Trend, counted_together, levels, trend
from harness.judge.verdict import MARGIN
from harness.metrics import METRICS
from reports.context import Subject
from reports.history.stops import Era
from reports.history.tracks import Track, exact_metrics, noisy_metrics
from reports.results import Result

How = Literal["step", "drift", "exact", "unsteady", "status", "plan"]
"""A new level, a line without one, a number without noise that is another, one that keeps changing back, a case that
came to fail or to run, and one that the suite took up, dropped or redefined."""


@dataclass(frozen=True, slots=True)
class Shift:
    """One change in one case's history."""

    subject: Subject
    where: str
    metric: str | None
    """None where it is about the case as a whole."""
    how: How
    word: Word
    run: int
    """Since which run: its place in the order of time."""
    earliest: int
    latest: int
    """Between these it happened, with 95 %; both are `run` where nothing is left open."""
    before: float | str | None = None
    after: float | str | None = None
    change: Change | None = None
    """After over before; None where there is no noise to judge."""
    why: str | None = None

    @property
    def weight(self) -> tuple[int, bool, float]:
        """What sorts the list: what is worse first, then by the effect over its noise; what the suite did is last.

        A few bytes or FLOPs have no noise that they could drown in, and stand behind what matters.
        """
        rank = 3 if self.how == "plan" else 0 if self.word in WORSE else 1 if self.word != "changed" else 2
        return rank, self._is_small, -(self.change.factor if self.change else float("inf"))

    @property
    def _is_small(self) -> bool:
        if self.metric is None or METRICS[self.metric].unit not in ("B", "FLOP"):
            return False
        numbers = isinstance(self.before, (int, float)) and isinstance(self.after, (int, float))
        return numbers and abs(float(self.after or 0) - float(self.before or 0)) <= MARGIN * abs(
            float(self.before or 0)
        )


@dataclass(frozen=True, slots=True)
class Point:
    """One run's estimate of a number."""

    run: int
    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Level:
    """Runs in a row that share a level."""

    first: int
    last: int
    value: float


@dataclass(frozen=True, slots=True)
class Line:
    """One number of one case through all runs."""

    subject: Subject
    where: str
    metric: str
    points: tuple[Point, ...]
    levels: tuple[Level, ...]
    """None of a number without noise: its values are their own levels."""
    apart: tuple[int, ...]
    """Runs that stand alone."""
    shifts: tuple[Shift, ...]

    @property
    def level_at(self) -> dict[int, float]:
        """The level of each run."""
        return {run: each.value for each in self.levels for run in range(each.first, each.last + 1)}


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


def of_cases(tracks: Sequence[Track]) -> Iterator[Shift]:
    """Yield what befell cases as wholes: the suite took them up or dropped them, they came to fail or to run."""
    planned = list(_of_plan(tracks))
    yield from _redefined(planned)
    for track in tracks:
        yield from _of_status(track)


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


def _of_plan(tracks: Sequence[Track]) -> Iterator[tuple[Track, Shift]]:
    """Yield where the suite took a case up or dropped it; what a run's --select left out, it has all the same."""
    for track in tracks:
        there = [run for run, result in enumerate(track.results) if result is not None]
        lacking = sorted(set(range(len(track.results))) - set(there) - track.unselected)
        first, last = there[0], next((run for run in lacking if run > there[-1]), None)
        if lacking and lacking[0] < first:
            new = "it is new"
            yield track, Shift(track.subject, track.where, None, "plan", "changed", first, first, first, why=new)
        if last is not None:
            why = "the suite no longer has it"
            yield track, Shift(track.subject, track.where, None, "plan", "missing", last, last, last, why=why)


def _redefined(planned: Sequence[tuple[Track, Shift]]) -> Iterator[Shift]:
    """Yield the changes of the plan, a case that went and one that came under its name in the same run as one."""
    gone = {(shift.subject.id, shift.run): track for track, shift in planned if shift.word == "missing"}
    came = {(shift.subject.id, shift.run): track for track, shift in planned if shift.word != "missing"}
    for track, shift in planned:
        place = (shift.subject.id, shift.run)
        if place not in gone or place not in came:
            yield shift
        elif shift.word != "missing":
            what = _difference(_last(gone[place]), _last(track))
            yield Shift(shift.subject, shift.where, None, "plan", "not comparable", shift.run, shift.run, shift.run,
                        why=f"it is another case: {what}")  # fmt: skip


def _last(track: Track) -> Result:
    return next(result for result in reversed(track.results) if result is not None)


def _difference(before: Result, after: Result) -> str:
    old, new = before.case.as_dict(), after.case.as_dict()
    changed = [f"{name} was {old[name]} and is {new.get(name)}" for name in old if old[name] != new.get(name)]
    return ", ".join(changed) or "its content key"


def _of_status(track: Track) -> Iterator[Shift]:
    """Yield the last time at which the case came to fail, or to run."""
    tried = [(run, each) for run, each in enumerate(track.results) if each is not None and not each.untried]
    turns = [(run, old, new) for (_, old), (run, new) in pairwise(tried) if old.ok != new.ok]
    for run, old, new in turns[-1:]:
        word: Word = "better" if new.ok else "failed"
        why = f"it was {old.status} and runs" if new.ok else f"{new.status}: {new.reason}"
        yield Shift(track.subject, track.where, None, "status", word, run, run, run, old.status, new.status, why=why)
