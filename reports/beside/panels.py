"""Small multiples: how each layer's time grows along each axis, one line a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reports.context import Context
from reports.families import Family
from reports.results import Result, Run
from reports.sections import scaling
from reports.sections.scaling_lines import Line, Panel

MOST = 12
"""Panels that are drawn."""


@dataclass(frozen=True, slots=True)
class Point:
    """One case of one run."""

    id: str
    """The case's name in the first run."""
    x: float
    ms: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class RunLine:
    """One run."""

    run: int
    """Its number; the first is 0."""
    name: str
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Multiple:
    """One layer along one axis, in every run that has at least two of its cases."""

    axis: str
    variant: str
    family: Family
    step: int
    detail: str
    """What is held fixed in the variant."""
    x_title: str
    where: str
    ticks: tuple[tuple[float, str], ...]
    lines: tuple[RunLine, ...]


def multiples(runs: Sequence[Run], names: Sequence[str]) -> tuple[Multiple, ...]:
    """Return a panel for each layer and axis that the first run's report has a line of."""
    first = Context(runs[0])
    by_key = [{result.key: result for result in run.results} for run in runs]
    found = [_multiple(first, panel, line, by_key, names) for panel in scaling.build(first).panels
             for line in panel.lines if line.slope is not None]  # fmt: skip
    return tuple(each for each in found if len(each.lines) > 1)[:MOST]


def _multiple(
    first: Context, panel: Panel, line: Line, by_key: Sequence[dict[str, Result]], names: Sequence[str]
) -> Multiple:
    places = [(point.id, point.x, first.by_id[point.id].key) for point in line.points]
    lines = [RunLine(number, names[number],
                     tuple(_point(id_, x, results[key]) for id_, x, key in places if _has(results, key)))
             for number, results in enumerate(by_key)]  # fmt: skip
    return Multiple(
        axis=panel.axis,
        variant=line.variant,
        family=line.family,
        step=line.step,
        detail=line.detail,
        x_title=panel.x_title,
        where=panel.where,
        ticks=panel.ticks,
        lines=tuple(each for each in lines if len(each.points) > 1),
    )


def _has(results: dict[str, Result], key: str) -> bool:
    return key in results and results[key].ms is not None


def _point(id_: str, x: float, result: Result) -> Point:
    interval = result.interval("latency_ms")
    return Point(id_, x, result.ms or 0.0, interval.low if interval else None, interval.high if interval else None)
