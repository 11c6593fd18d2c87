"""The lines of the scaling charts: one variant's cases along one axis, all else held fixed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields

from harness.case import Case
from harness.judge.stats import Interval, loglog_slope
from reports.compare import budget_ratio, is_equal, nearest
from reports.context import Context
from reports.families import Family
from reports.results import Result
from reports.settings import Setting, setting_of
from reports.subjects import OWN_AXES, axes_words


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis that can be swept: how it is read off a case, and what it is called."""

    name: str
    title: str
    letter: str
    unit: str
    of: Callable[[Case], float | None]
    tied: frozenset[str] = frozenset()
    """Fields that move with this axis and are therefore not held fixed."""


AXES = (
    Axis("experts", "Experts", "E", "experts", lambda case: case.experts),
    Axis("top_k", "Top-k", "k", "experts a token", lambda case: case.top_k),
    Axis("slots", "Slots", "slots", "slots an expert", lambda case: case.slots),
    Axis("batch", "Batch", "batch", "sequences", lambda case: case.batch),
    Axis("size", "Model size", "d_model", "d_model", lambda case: case.d_model,
         frozenset({"d_model", "d_ff", "size", "heads"})),
    Axis("d_ff", "FFN width", "d_ff", "d_ff", lambda case: case.d_ff if case.layer != "dense" else None),
    Axis("tokens", "Tokens", "tokens", "tokens a sequence", lambda case: case.tokens),
    Axis("capacity_factor", "Capacity factor", "c", "capacity factor", lambda case: case.capacity_factor),
)  # fmt: skip
"""The axes that have a panel of their own, in the page's order; `size` is swept through d_model."""

INPUT = tuple(field.name for field in fields(Setting))
"""What the lines of a panel share, but for its axis."""
_FIXED = (*INPUT, *OWN_AXES)


@dataclass(frozen=True, slots=True)
class Point:
    """One case on a line."""

    x: float
    ms: float
    low: float | None
    high: float | None
    n: int | None
    id: str
    tokens_per_s: float | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One variant along one axis, all else held fixed."""

    variant: str
    family: Family
    step: int
    detail: str
    """What is held fixed in this variant: `32 experts`."""
    points: tuple[Point, ...]
    slope: Interval | None
    """Exponent s of time ~ x ** s over all points; None for a line that does not have the axis."""
    follows: str | None = None
    """The variant whose cases the points match one by one, where the line does not have the axis itself."""


@dataclass(frozen=True, slots=True)
class Ideal:
    """What a line would be if its time grew as its FLOPs do."""

    variant: str
    points: tuple[tuple[float, float], ...]
    """Place and ms, from the line's first point on."""
    power: float
    """Exponent s of FLOPs ~ x ** s, from the first place to the last."""


@dataclass(frozen=True, slots=True)
class Overtaking:
    """A place along the axis at which one line passes another."""

    winner: str
    other: str
    at: Interval


@dataclass(frozen=True, slots=True)
class Panel:
    """One axis."""

    axis: str
    title: str
    letter: str
    x_title: str
    where: str
    """What is held fixed: `size S, batch 8, forward`."""
    ticks: tuple[tuple[float, str], ...]
    lines: tuple[Line, ...]
    ideal: Ideal | None = None
    crossings: tuple[Overtaking, ...] = ()
    """The first few crossovers, which the chart marks; the section Crossovers has all."""
    alt: str = ""
    """What its lines do, for a reader who does not see the chart."""


def series_of(context: Context, axis: Axis, free: frozenset[str]) -> list[list[Result]]:
    """Return the groups of timed cases that differ in nothing but `axis`, each along it, with two or more values."""
    fixed = tuple(field for field in _FIXED if field not in free)
    if axis.name != "size":  # a dense FFN that is matched to a budget has a d_ff that follows the other's axes
        fixed = (*fixed, "d_ff") if axis.name != "d_ff" else fixed
    groups: dict[object, dict[float, Result]] = {}
    for result in context.timed:
        x = axis.of(result.case)
        if x is not None:
            key = (result.case.variant, values(result.case, tuple(f for f in fixed if _counts(f, result))))
            groups.setdefault(key, {}).setdefault(x, result)
    return [[by_x[x] for x in sorted(by_x)] for by_x in groups.values() if len(by_x) > 1]


def _counts(field: str, result: Result) -> bool:
    return not (field == "d_ff" and result.match is not None)


def line_of(
    context: Context, axis: Axis, variant: str, chosen: dict[str, list[Result]], ends: tuple[float, float]
) -> Line | None:
    """Return the line of `variant`: along the axis, or level from end to end; None where no case may stand there.

    The width of a matched variant is solved for each case of another one. So where that one is drawn, each case stands
    at the x of the case whose budget it shares: a level line through the first of them would be of another budget.
    """
    results = chosen[variant]
    match = results[0].match
    has_axis = axis.of(results[0].case) is not None
    if match is not None and match.to in chosen:
        found = [(r, t) for t in chosen[match.to] if (r := _matched(context, axis, results[0], t, match.on))]
        results, xs = [r for r, _ in found], places(axis, [t for _, t in found])
    else:
        xs = places(axis, results)
    if not xs and results:
        results, xs = [results[0]] * 2, list(ends)
    if len(xs) < 2:
        return None
    identity = context.identity[variant]
    follows = match.to if match is not None and not has_axis and len({r.id for r in results}) > 1 else None
    return Line(
        variant=identity.name,
        family=identity.family,
        step=identity.step,
        detail=f"matched to {follows}" if follows else _detail(context, results[0], axis),
        points=tuple(_point(result, x) for result, x in zip(results, xs, strict=True)),
        slope=loglog_slope(xs, [result.rounds() for result in results]) if has_axis or follows else None,
        follows=follows,
    )


def places(axis: Axis, results: list[Result]) -> list[float]:
    """Return where the cases stand on the axis; empty for cases that do not have it."""
    return [float(x) for result in results if (x := axis.of(result.case)) is not None]


def _matched(context: Context, axis: Axis, like: Result, target: Result, on: str) -> Result | None:
    """Return the case of the variant of `like` that shares the budget of `target`, at its setting and on its x."""
    own = tuple(name for name in OWN_AXES if name != axis.name)
    x = axis.of(target.case)
    alike = [result for result in context.at(setting_of(target.case))
             if result.case.variant == like.case.variant and axis.of(result.case) in (None, x)
             and values(result.case, own) == values(like.case, own)]  # fmt: skip
    found = nearest(target, alike, on)
    return found if found and is_equal(budget_ratio(found, target, on)) else None


def _point(result: Result, x: float) -> Point:
    value = result.metrics["latency_ms"]
    return Point(x, float(value.value), value.low, value.high, value.n, result.id, result.number("tokens_per_s"))


def _detail(context: Context, result: Result, axis: Axis) -> str:
    shown = [name for name in ("experts", *context.own_axes.get(result.case.variant, ())) if name != axis.name]
    return axes_words(result.case, dict.fromkeys(shown))


def values(case: Case, names: tuple[str, ...]) -> tuple[object, ...]:
    """Return the values of the fields `names`."""
    return tuple(getattr(case, name) for name in names)


def leaders(lines: Iterable[Line]) -> list[Line]:
    """Return the first line of each family that has the axis, Soft MoE first."""
    first: dict[str, Line] = {}
    for line in lines:
        if line.slope is not None and line.follows is None:
            first.setdefault(line.family, line)
    return [first[family] for family in ("soft", "sparse", "dense", "mixture", "other") if family in first]
