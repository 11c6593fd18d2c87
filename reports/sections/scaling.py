"""Scaling: how time grows along each axis that the run swept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.case import Case
from harness.judge.stats import Interval, loglog_slope
from harness.metrics import show_number
from reports.context import Context, axes_words, setting_of
from reports.families import Family
from reports.read import Result
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

_INPUT = ("d_model", "batch", "tokens", "dtype", "pass_", "size", "scope", "compile")
_FIXED = (*_INPUT, "experts", "top_k", "slots", "capacity_factor", "group", "routing", "shared_experts",
          "backend", "activation", "gated")  # fmt: skip


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
            else "No axis of this run takes two values in one variant."
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
    lines = []
    for variant in context.identity:
        mine = [s for s in series if s[0].case.variant == variant and _fields(s[0].case, shared) == where]
        if mine:
            lines.append(_line(context, axis, max(mine, key=lambda s: _kinship(s, best, axis))))
        elif constant := _constant(context, axis, variant, shared, where):
            lines.append(_flat(context, constant, best, axis))
    return Panel(
        axis=axis.name,
        title=axis.title,
        letter=axis.letter,
        x_title=axis.unit,
        where=_where(context, best[0], lines, free),
        ticks=_ticks(axis, [s for s in series if _fields(s[0].case, shared) == where]),
        lines=tuple(lines),
    )


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


def _constant(context: Context, axis: Axis, variant: str, shared: tuple[str, ...], where: object) -> Result | None:
    """Return the case that stands for a variant without this axis, drawn as a level line."""
    mine = [result for result in context.timed if result.case.variant == variant]
    fits = [result for result in mine if axis.of(result.case) is None and _fields(result.case, shared) == where]
    return fits[0] if fits else None


def _line(context: Context, axis: Axis, results: list[Result]) -> Line:
    identity = context.identity[results[0].case.variant]
    points = tuple(_point(result, float(axis.of(result.case) or 0)) for result in results)
    fitted = loglog_slope([point.x for point in points], [result.rounds() for result in results])
    return Line(
        identity.name, identity.family, identity.step, _detail(context, results[0], axis), points, fitted
    )  # fmt: skip


def _flat(context: Context, result: Result, best: list[Result], axis: Axis) -> Line:
    identity = context.identity[result.case.variant]
    xs = [float(axis.of(other.case) or 0) for other in (best[0], best[-1])]
    points = tuple(_point(result, x) for x in xs)
    return Line(identity.name, identity.family, identity.step, _detail(context, result, axis), points, None)


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


def growth(line: Line, panel: Panel) -> Sentence:
    """Return `soft’s time grows as E^0.95`, or that it is flat, without numbers that are not supported."""
    if line.slope is None:
        return sentence(f"{line.variant} does not have the axis")
    if line.slope.holds(0):
        return sentence(f"{line.variant}’s is flat in {panel.x_title}")
    verb = "grows" if line.slope.value > 0 else "falls"
    number = show_number(line.slope.value, line.slope.low, line.slope.high)
    return sentence(f"{line.variant}’s {verb} as {panel.letter}", Span(number, "sup"))


def _leaders(panel: Panel) -> list[Line]:
    """Return the first sloped line of each family, Soft MoE first."""
    first: dict[str, Line] = {}
    for line in panel.lines:
        if line.slope is not None:
            first.setdefault(line.family, line)
    return [first[family] for family in ("soft", "sparse", "dense", "other") if family in first]


def _finding(panel: Panel) -> Sentence:
    parts = [growth(line, panel) for line in _leaders(panel)]
    if not parts:
        return sentence(f"{panel.title}: too few rounds for a slope.")
    head, *rest = parts[0]
    named = Span(capital(head.text).replace("’s ", "’s time ", 1), head.mark)
    return sentence(named, tuple(rest), *(s for p in parts[1:] for s in ("; ", p)), ".")


def _caption(panels: tuple[Panel, ...]) -> Sentence:
    parts = [_slopes(panel) for panel in panels if any(line.slope for line in panel.lines)]
    lead = sentence(join_sentences(parts, "; "), ".") if parts else ()
    held = join([panel.title.lower() + (f" at {panel.where}" if panel.where else "") for panel in panels])
    return sentence(
        lead,
        " Both axes are logarithmic: a straight line is a power law, and its slope, printed at its end, the exponent."
        f" Held fixed: {held}. A level line without marks is a layer that does not have the axis."
        " Bars are 95 % intervals of the median; a slope is fitted through all points of its line, round by round.",
    )


def _slopes(panel: Panel) -> Sentence:
    parts = [
        sentence(f"{line.variant} ", slope(line.slope)) for line in _leaders(panel) if line.slope is not None
    ]  # fmt: skip
    return sentence(Span(f"Slope in {panel.x_title}: ", "strong"), join_sentences(parts, ", "))
