"""Scaling: how time grows along each axis that the run swept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

from harness.case import Case
from harness.judge.stats import Interval, loglog_slope
from harness.metrics import show_number
from reports.compare import budget_ratio, is_equal, nearest
from reports.context import OWN_AXES, Context, Setting, axes_words, setting_of
from reports.families import Family
from reports.results import Result
from reports.sections.base import Section
from reports.words import Sentence, Span, capital, join, join_sentences, sentence, slope


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

_INPUT = tuple(field.name for field in fields(Setting))
_FIXED = (*_INPUT, *OWN_AXES)
FLAT = 0.1
"""A slope whose whole interval lies within ±0.1 is flat: less than a third more time over sixteen times the axis."""


@dataclass(frozen=True, slots=True)
class Point:
    """One case on a line."""

    x: float
    ms: float
    low: float | None
    high: float | None
    n: int | None
    id: str


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
    alt: str = ""
    """What its lines do, for a reader who does not see the chart."""


@dataclass(frozen=True, kw_only=True)
class Scaling(Section):
    """The section's data."""

    id: str = "scaling"
    name: str = "Scaling"
    question: str = "What happens as the layer grows?"

    panels: tuple[Panel, ...] = ()


def build(context: Context) -> Scaling:
    """Return one panel for each axis along which a variant has at least two timed cases."""
    panels = tuple(panel for axis in AXES if (panel := _panel(context, axis)))
    if not panels:
        why = (
            context.why_without("latency", "latency")
            if not context.timed
            else "No axis with a panel, such as experts or batch, takes two values in one variant, all else held fixed."
        )
        return Scaling(finding=sentence("No scaling to show."), missing=why)
    return Scaling(finding=_finding(panels[0]), caption=_caption(panels), panels=panels)


def _panel(context: Context, axis: Axis) -> Panel | None:
    free = axis.tied | {axis.name}
    series = _series(context, axis, free)
    if not series:
        return None
    shared = tuple(field for field in _INPUT if field not in free)
    rank = {setting: index for index, setting in enumerate(context.settings)}

    def worth(results: list[Result]) -> tuple[int, int]:
        return len(results), -min(rank[setting_of(result.case)] for result in results)

    best = max(series, key=worth)
    where = _fields(best[0].case, shared)
    here = [s for s in series if _fields(s[0].case, shared) == where]
    level = [[result] for result in context.timed
             if axis.of(result.case) is None and _fields(result.case, shared) == where]  # fmt: skip
    chosen: dict[str, list[Result]] = {}
    for variant in context.identity:
        mine = [s for s in here if s[0].case.variant == variant] or [s for s in level if s[0].case.variant == variant]
        if mine:
            chosen[variant] = max(mine, key=lambda s: _kinship(s, best, axis))
    ends = min(x for s in here for x in _xs(axis, s)), max(x for s in here for x in _xs(axis, s))
    lines = [line for variant in chosen if (line := _line(context, axis, variant, chosen, ends))]
    panel = Panel(
        axis=axis.name,
        title=axis.title,
        letter=axis.letter,
        x_title=axis.unit,
        where=_where(context, best[0], lines, free),
        ticks=_ticks(axis, here),
        lines=tuple(lines),
    )
    return replace(panel, alt=_alt(panel))


def _alt(panel: Panel) -> str:
    told = [growth(line, panel) for line in panel.lines if line.slope is not None]
    said = join("".join(f" to the power {s.text}" if s.mark == "sup" else s.text for s in one) for one in told)
    return f"Time against {panel.x_title}: {said or capital(panel.title)}."


def _series(context: Context, axis: Axis, free: frozenset[str]) -> list[list[Result]]:
    """Return the groups of timed cases that differ in nothing but `axis`, each along it, with two or more values."""
    fixed = tuple(field for field in _FIXED if field not in free)
    if axis.name != "size":  # a dense FFN that is matched to a budget has a d_ff that follows the other's axes
        fixed = (*fixed, "d_ff") if axis.name != "d_ff" else fixed
    groups: dict[object, dict[float, Result]] = {}
    for result in context.timed:
        x = axis.of(result.case)
        if x is not None:
            key = (result.case.variant, _fields(result.case, tuple(f for f in fixed if _counts(f, result))))
            groups.setdefault(key, {}).setdefault(x, result)
    return [[by_x[x] for x in sorted(by_x)] for by_x in groups.values() if len(by_x) > 1]


def _counts(field: str, result: Result) -> bool:
    return not (field == "d_ff" and result.match is not None)


def _line(
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
        results, xs = [r for r, _ in found], _xs(axis, [t for _, t in found])
    else:
        xs = _xs(axis, results)
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


def _xs(axis: Axis, results: list[Result]) -> list[float]:
    """Return where the cases stand on the axis; empty for cases that do not have it."""
    return [float(x) for result in results if (x := axis.of(result.case)) is not None]


def _matched(context: Context, axis: Axis, like: Result, target: Result, on: str) -> Result | None:
    """Return the case of the variant of `like` that shares the budget of `target`, at its setting and on its x."""
    own = tuple(name for name in OWN_AXES if name != axis.name)
    x = axis.of(target.case)
    alike = [result for result in context.at(setting_of(target.case))
             if result.case.variant == like.case.variant and axis.of(result.case) in (None, x)
             and _fields(result.case, own) == _fields(like.case, own)]  # fmt: skip
    found = nearest(target, alike, on)
    return found if found and is_equal(budget_ratio(found, target, on)) else None


def _point(result: Result, x: float) -> Point:
    value = result.metrics["latency_ms"]
    return Point(x, float(value.value), value.low, value.high, value.n, result.id)


def _kinship(series: list[Result], best: list[Result], axis: Axis) -> tuple[int, int, bool, int]:
    """Prefer the longest line, then the same experts as the leading line, dropless, then the smallest own axes."""
    case = series[0].case
    same = axis.name == "experts" or case.experts == best[0].case.experts
    return len(series), int(same), case.capacity_factor is None, -(case.slots or 0) - (case.top_k or 0)


def _detail(context: Context, result: Result, axis: Axis) -> str:
    shown = [name for name in ("experts", *context.own_axes.get(result.case.variant, ())) if name != axis.name]
    return axes_words(result.case, dict.fromkeys(shown))


def _where(context: Context, result: Result, lines: list[Line], free: frozenset[str]) -> str:
    """Return what is held fixed on every line: the setting, and the experts where all lines share them."""
    shared = {part for line in lines for part in line.detail.split(", ") if part.endswith(("expert", "experts"))}
    parts = [context.words(setting_of(result.case), without=free), *(shared if len(shared) == 1 else ())]
    return ", ".join(part for part in parts if part)


def _ticks(axis: Axis, series: list[list[Result]]) -> tuple[tuple[float, str], ...]:
    found: dict[float, str] = {}
    for result in (result for one in series for result in one):
        x = float(axis.of(result.case) or 0)
        named = axis.name == "size" and result.case.size
        found[x] = f"{result.case.size} {x:g}" if named else f"{x:g}"
    return tuple(sorted(found.items()))


def _fields(case: Case, names: tuple[str, ...]) -> tuple[object, ...]:
    return tuple(getattr(case, name) for name in names)


def growth(line: Line, panel: Panel, noun: str = "") -> Sentence:
    """Return `soft’s time grows as E^0.95`, that it is flat, or that its rounds cannot tell; `noun` is ` time`."""
    name = f"{line.variant}’s{noun}"
    if line.slope is None:
        return sentence(f"{line.variant} does not have the axis")
    if line.slope.holds(0) and max(-line.slope.low, line.slope.high) <= FLAT:
        return sentence(f"{name} is flat in {panel.x_title}")
    if line.slope.holds(0):
        return sentence(f"whether {name} grows with {panel.x_title} cannot be told")
    verb = "grows" if line.slope.value > 0 else "falls"
    number = show_number(line.slope.value, line.slope.low, line.slope.high)
    return sentence(f"{name} {verb} as {panel.letter}", Span(number, "sup"))


def _leaders(panel: Panel) -> list[Line]:
    """Return the first line of each family that has the axis, Soft MoE first."""
    first: dict[str, Line] = {}
    for line in panel.lines:
        if line.slope is not None and line.follows is None:
            first.setdefault(line.family, line)
    return [first[family] for family in ("soft", "sparse", "dense", "mixture", "other") if family in first]


def _finding(panel: Panel) -> Sentence:
    leaders = _leaders(panel)
    if not leaders:
        return sentence(f"{panel.title}: too few rounds for a slope.")
    first, *after = growth(leaders[0], panel, " time")
    rest = (part for line in leaders[1:] for part in ("; ", growth(line, panel)))
    return sentence(Span(capital(first.text), first.mark), tuple(after), *rest, ".")


def _caption(panels: tuple[Panel, ...]) -> Sentence:
    parts = [_slopes(panel) for panel in panels if any(line.slope for line in panel.lines)]
    lead = sentence(join_sentences(parts, "; "), ".") if parts else ()
    pairs = {f"{line.variant} to {line.follows}": None for panel in panels for line in panel.lines if line.follows}
    matched = f" Matched case by case, and drawn at the case that is matched: {join(pairs)}." if pairs else ""
    held = join([panel.title.lower() + (f" at {panel.where}" if panel.where else "") for panel in panels])
    return sentence(
        lead,
        " Both axes are logarithmic: a straight line is a power law, and its slope, printed at its end, the exponent."
        f" Held fixed: {held}. A level line without marks is a layer that does not have the axis."
        f"{matched}"
        " Bars are 95 % intervals of the median; a slope is fitted through all points of its line, round by round.",
    )


def _slopes(panel: Panel) -> Sentence:
    parts = [
        sentence(f"{line.variant} ", slope(line.slope)) for line in _leaders(panel) if line.slope is not None
    ]  # fmt: skip
    return sentence(Span(f"Slope in {panel.x_title}: ", "strong"), join_sentences(parts, ", "))
