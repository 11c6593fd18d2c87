"""Roofline: what each phase could take at the least, by the device's measured ceilings, against what it takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from harness.judge.stats import Interval
from harness.metrics import show, show_number, show_percent, show_ratio, show_scaled
from reports.context import Context
from reports.results import Result
from reports.sections.base import Section
from reports.settings import Setting, setting_of
from reports.subjects import Subject
from reports.words import Sentence, Span, capital, count, join, sentence

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


@dataclass(frozen=True, kw_only=True)
class Roofline(Section):
    """The section's data."""

    id: str = "roofline"
    name: str = "Roofline"
    question: str = "How near does each phase come to what the device can do?"

    where: str = ""
    roof: Roof | None = None
    rows: tuple[Row, ...] = ()
    left_out: int = 0
    floors: tuple[Floor, ...] = ()

    @property
    def points(self) -> list[Point]:
        """All points, case by case."""
        return [point for row in self.rows for point in row.points.values()]


def build(context: Context) -> Roofline:
    """Return the points of the first setting that has any; errors are counted over all settings."""
    wrong = [point for result in context.timed for point in _points(context, result).values()
             if point.standing == "above"]  # fmt: skip
    for setting in context.settings:
        found = [result for result in context.at(setting) if _points(context, result)]
        rows = [_row(context, result) for result in context.some(found)]
        roof = _roof(context, setting)
        if rows and roof:
            floors = _floors(context)
            return Roofline(
                attention=f"! {len(wrong)}" if wrong else None,
                finding=_finding(rows, wrong),
                caption=_caption(context, rows, roof, setting, wrong, floors),
                floors=floors,
                where=context.words(setting),
                roof=roof,
                rows=tuple(rows),
                left_out=len(found) - len(rows),
            )
    return Roofline(finding=sentence("No roofline to show."), missing=_why(context))


def _why(context: Context) -> str:
    if not any(result.number("phase_experts_share") is not None for result in context.results):
        return context.why_without("phases", "phases to hold against a roof")
    if not context.timed:
        return "A phase’s speed is known by its share of a time, and no case has latency."
    return "The ceilings of this device were not measured in these cases’ format: harness doctor does."


def _roof(context: Context, setting: Setting) -> Roof | None:
    roofs = context.run.file.roofs
    peak = roofs.flops_per_s.get(setting.dtype) if roofs else None
    return Roof(peak, roofs.bytes_per_s) if roofs and peak else None


def _row(context: Context, result: Result) -> Row:
    floor = result.number("experts_floor_ms")
    return Row(context.subject(result), _points(context, result), result.ms, floor)


def _points(context: Context, result: Result) -> dict[str, Point]:
    series = [result.series.get(f"phase_{name}", []) for name in ("flops", "bytes", "roofline_beyond_cache")]
    found: dict[str, Point] = {}
    for phase, flops, moved, beyond in zip(PHASES, *series, strict=False):
        fraction = result.number(f"phase_{phase}_roofline")
        if not fraction or not moved:  # no time is no speed, and a log axis has no place for it
            continue
        interval = result.interval(f"phase_{phase}_roofline")
        standing = _standing(fraction, interval, beyond)
        roof = _roof(context, setting_of(result.case))
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


def _finding(rows: list[Row], wrong: list[Point]) -> Sentence:
    if wrong:
        lie = "point lies above its roof: a measurement error" if len(wrong) == 1 else \
            "points lie above their roofs: measurement errors"  # fmt: skip
        return sentence(f"{len(wrong)} {lie}, not speed.")
    experts = [row.points["experts"] for row in rows if "experts" in row.points]
    if not experts:
        return sentence("No phase has FLOPs of experts to hold against a roof.")
    best, worst = max(experts, key=lambda p: p.fraction), min(experts, key=lambda p: p.fraction)
    told = f"The experts of {best.subject.phrase} reach {_of_roof(best)} of what the device can do"
    told += "" if best is worst else f", those of {worst.subject.phrase} {_of_roof(worst)}"
    return sentence(told, _beyond(best), ".")


def _floors(context: Context) -> tuple[Floor, ...]:
    """Return forward cases of all settings whose experts wait for memory, as those of a decode step do."""
    found = [
        result
        for result in context.timed
        if result.case.pass_ == "forward"
        and (experts := _points(context, result).get("experts"))
        and experts.bound == "memory"
    ]
    return tuple(
        Floor(context.subject(one), context.words(setting_of(one.case)), one.ms or 0.0, floor)
        for one in context.some(found)
        if (floor := one.number("experts_floor_ms"))
    )


def _caption(
    context: Context, rows: list[Row], roof: Roof, setting: Setting, wrong: list[Point], floors: tuple[Floor, ...]
) -> Sentence:
    where = context.words(setting)
    cached = sum(point.standing == "in cache" for row in rows for point in row.points.values())
    return sentence(
        Span(_bounds([row.points["experts"] for row in rows if "experts" in row.points], where), "strong"),
        _worst(wrong),
        _nearest(floors),
        f"Roofs are ceilings measured on this device: {show_scaled(roof.flops_per_s, 'FLOP/s')} of products in"
        f" {setting.dtype} and {show_scaled(roof.bytes_per_s, 'B/s')} of copying; they meet at"
        f" {show_number(roof.ridge)} FLOP/B, the upright line. A phase’s bytes are the least that it"
        " must move, what it takes and what it gives, each once; one without products is held against the bandwidth."
        " Its time is its share of the unprofiled forward time, and may be wrong by two points of a share.",
        f" {capital(count(cached, 'phase'))} above the bandwidth’s roof moved what a cache can hold." if cached else "",
    )  # fmt: skip


def _bounds(experts: list[Point], where: str) -> str:
    """Return what bounds the experts: memory, products, or each some."""
    bound = sum(point.bound == "memory" for point in experts)
    if not experts:
        return ""
    if bound in (0, len(experts)):
        return (
            f"Memory, not products, bounds the experts at {where}. "
            if bound
            else f"Products, not memory, bound the experts at {where}. "
        )
    cases = count(len(experts), "case")
    return f"At {where}, memory bounds the experts of {bound} of {cases}, products those of the others. "


def _worst(wrong: list[Point]) -> str:
    """Return which points cannot be, the three farthest by name."""
    farthest = sorted(wrong, key=lambda point: -point.fraction)[:3]
    named = join(f"{point.phase} of {point.subject.id} at {show_ratio(point.fraction)}" for point in farthest)
    return f"Above its roof, whatever the cache holds: {named}. " if wrong else ""


def _nearest(floors: tuple[Floor, ...]) -> str:
    """Return how far from the floor of its experts' weights the nearest case is."""
    if not floors:
        return ""
    best = min(floors, key=lambda floor: floor.times)
    return (
        f"Reading the weights of the experts that its tokens reach would take {best.subject.phrase} "
        f"{show('experts_floor_ms', best.floor_ms)}; it takes {show_ratio(best.times)} as long, the nearest to its"
        " floor of all whose experts wait for memory. "
    )


def _of_roof(point: Point) -> str:
    """Return `71 %`; above the roof with its interval, `129 % [22 %, 147 %]`."""
    share, ends = show_percent(round(point.fraction, 2)), point.interval
    if point.fraction <= 1 or ends is None:
        return share
    return f"{share} [{show_percent(round(ends.low, 2))}, {show_percent(round(ends.high, 2))}]"


def _beyond(best: Point) -> str:
    """Return what may put the nearest above its roof; nothing where it lies below."""
    if best.fraction <= 1:
        return ""
    return "; above 100 % a cache may have helped" if best.standing == "in cache" else "; above 100 % is within noise"
