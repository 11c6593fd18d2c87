"""Scaling: how time grows along each axis that the run swept."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from reports.context import Context
from reports.results import Result
from reports.sections.base import Section
from reports.sections.scaling_lines import (
    AXES,
    INPUT,
    Axis,
    Ideal,
    Line,
    Panel,
    leaders,
    line_of,
    places,
    series_of,
    values,
)
from reports.sections.scaling_words import alt, caption, finding
from reports.settings import setting_of
from reports.words import sentence


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
    return Scaling(finding=finding(panels[0]), caption=caption(panels), panels=panels)


def _panel(context: Context, axis: Axis) -> Panel | None:
    free = axis.tied | {axis.name}
    series = series_of(context, axis, free)
    if not series:
        return None
    shared = tuple(field for field in INPUT if field not in free)
    rank = {setting: index for index, setting in enumerate(context.settings)}

    def worth(results: list[Result]) -> tuple[int, int]:
        return len(results), -min(rank[setting_of(result.case)] for result in results)

    best = max(series, key=worth)
    where = values(best[0].case, shared)
    here = [s for s in series if values(s[0].case, shared) == where]
    level = [[result] for result in context.timed
             if axis.of(result.case) is None and values(result.case, shared) == where]  # fmt: skip
    chosen: dict[str, list[Result]] = {}
    for variant in context.identity:
        mine = [s for s in here if s[0].case.variant == variant] or [s for s in level if s[0].case.variant == variant]
        if mine:
            chosen[variant] = max(mine, key=lambda s: _kinship(s, best, axis))
    ends = min(x for s in here for x in places(axis, s)), max(x for s in here for x in places(axis, s))
    lines = [line for variant in chosen if (line := line_of(context, axis, variant, chosen, ends))]
    panel = Panel(
        axis=axis.name,
        title=axis.title,
        letter=axis.letter,
        x_title=axis.unit,
        where=_where(context, best[0], lines, free),
        ticks=_ticks(axis, here),
        lines=tuple(lines),
        ideal=_ideal(context, lines),
    )
    return replace(panel, alt=alt(panel))


def _kinship(series: list[Result], best: list[Result], axis: Axis) -> tuple[int, int, bool, int]:
    """Prefer the longest line, then the same experts as the leading line, dropless, then the smallest own axes."""
    case = series[0].case
    same = axis.name == "experts" or case.experts == best[0].case.experts
    return len(series), int(same), case.capacity_factor is None, -(case.slots or 0) - (case.top_k or 0)


def _ideal(context: Context, lines: list[Line]) -> Ideal | None:
    """Return where the first leading line would be if its time grew as its FLOPs do; None where they are not known."""
    for line in leaders(lines)[:1]:
        flops = [context.by_id[point.id].flops or 0 for point in line.points]
        if min(flops) > 0:
            first, last = line.points[0], line.points[-1]
            return Ideal(
                variant=line.variant,
                points=tuple((p.x, first.ms * f / flops[0]) for p, f in zip(line.points, flops, strict=True)),
                power=math.log(flops[-1] / flops[0]) / math.log(last.x / first.x),
            )
    return None


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
