"""Points under the roofs: each phase of each case, and what its experts' weights alone take to read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from harness.judge.stats import Interval
from reports.context import Context
from reports.results import Result
from reports.settings import Setting, setting_of
from reports.subjects import Subject

PHASES = ("router", "dispatch", "experts", "combine")
Standing = Literal["below", "in cache", "above"]
"""Where a point lies: under its roof, over it as what a cache holds may be, or where no cache explains it."""


@dataclass(frozen=True, slots=True)
class Roof:
    """The ceilings of one dtype."""

    flops_per_s: float
    bytes_per_s: float

    @property
    def ridge(self) -> float:
        """FLOPs a byte at which the two roofs meet."""
        return self.flops_per_s / self.bytes_per_s

    def at(self, intensity: float) -> float:
        """Return the FLOP/s that the roof allows at so many FLOPs a byte."""
        return min(self.flops_per_s, intensity * self.bytes_per_s)


@dataclass(frozen=True, slots=True)
class Point:
    """One phase of one case."""

    subject: Subject
    phase: str
    flops: float
    moved: float
    """Compulsory bytes."""
    fraction: float
    """Roofline time over measured time."""
    interval: Interval | None
    """Of the fraction, over rounds; None where it has none."""
    bound: Literal["memory", "compute"]
    standing: Standing

    @property
    def intensity(self) -> float:
        """FLOPs a byte."""
        return self.flops / self.moved


@dataclass(frozen=True, slots=True)
class Row:
    """One case's phases, and what its experts' weights alone take to read."""

    subject: Subject
    points: dict[str, Point]
    ms: float | None
    floor_ms: float | None


@dataclass(frozen=True, slots=True)
class Floor:
    """A case whose experts wait for memory, as in a decode step, and the least that reading their weights takes."""

    subject: Subject
    where: str
    ms: float
    floor_ms: float

    @property
    def times(self) -> float:
        """Measured time over the floor."""
        return self.ms / self.floor_ms


def roof_of(context: Context, setting: Setting) -> Roof | None:
    """Return the ceilings of the setting's dtype; None where they were not measured."""
    roofs = context.run.file.roofs
    peak = roofs.flops_per_s.get(setting.dtype) if roofs else None
    return Roof(peak, roofs.bytes_per_s) if roofs and peak else None


def row_of(context: Context, result: Result) -> Row:
    """Return a case's points with its time and its floor."""
    floor = result.number("experts_floor_ms")
    return Row(context.subject(result), points_of(context, result), result.ms, floor)


def points_of(context: Context, result: Result) -> dict[str, Point]:
    """Return a case's points by phase: those that have a time, and bytes to move."""
    series = [result.series.get(f"phase_{name}", []) for name in ("flops", "bytes", "roofline_beyond_cache")]
    found: dict[str, Point] = {}
    for phase, flops, moved, beyond in zip(PHASES, *series, strict=False):
        fraction = result.number(f"phase_{phase}_roofline")
        if not fraction or not moved:  # no time is no speed, and a log axis has no place for it
            continue
        interval = result.interval(f"phase_{phase}_roofline")
        standing = _standing(fraction, interval, beyond)
        roof = roof_of(context, setting_of(result.case))
        compute = roof is not None and flops / moved >= roof.ridge
        bound: Literal["memory", "compute"] = "compute" if compute else "memory"
        found[phase] = Point(context.subject(result), phase, flops, moved, fraction, interval, bound, standing)
    return found


def _standing(fraction: float, interval: Interval | None, beyond: float) -> Standing:
    """Return where a point lies; without an interval nothing is called an error."""
    low = fraction if interval is None else interval.low
    if low <= 1:
        return "below"
    return "above" if interval is not None and low * beyond / fraction > 1 else "in cache"


def floors_of(context: Context) -> tuple[Floor, ...]:
    """Return forward cases of all settings whose experts wait for memory, as those of a decode step do."""
    found = [
        result
        for result in context.timed
        if result.case.pass_ == "forward"
        and (experts := points_of(context, result).get("experts"))
        and experts.bound == "memory"
    ]
    return tuple(
        Floor(context.subject(one), context.words(setting_of(one.case)), one.ms or 0.0, floor)
        for one in context.some(found)
        if (floor := one.number("experts_floor_ms"))
    )
