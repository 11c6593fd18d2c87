"""Cost against capacity: who is on the front, who is beaten there and by whom, and of whom nobody can tell."""

from __future__ import annotations

from dataclasses import dataclass

from reports.context import Context
from reports.sections.base import Section
from reports.sections.fronts_axes import ENERGY, FLOPS, LATENCY, MEMORY, PARAMS
from reports.sections.fronts_points import Front, Point, front_of
from reports.sections.fronts_words import caption, finding
from reports.subjects import Subject
from reports.words import sentence

ROWS = 24
"""Rows of the table."""
ELSEWHERE = 8
"""Other settings whose fronts are told."""
DRAWN = ((LATENCY, PARAMS), (LATENCY, FLOPS), (MEMORY, PARAMS), (ENERGY, PARAMS))
"""The fronts of the first screen's setting, in the page's order; the first is the one that the section speaks of."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The front of time against parameters at another setting."""

    where: str
    cases: int
    members: tuple[Point, ...]


@dataclass(frozen=True, kw_only=True)
class Fronts(Section):
    """The section's data."""

    id: str = "fronts"
    name: str = "Capacity"
    question: str = "What does capacity cost?"

    fronts: tuple[Front, ...] = ()
    subjects: tuple[Subject, ...] = ()
    """The table's rows."""
    left_out: int = 0
    elsewhere: tuple[Elsewhere, ...] = ()
    elsewhere_left_out: int = 0


def build(context: Context) -> Fronts:
    """Return the fronts of the first screen's setting, and who is on that of time and parameters at the others."""
    setting = context.headline
    fronts = tuple(
        front for cost, capacity in DRAWN if setting and (front := front_of(context, setting, cost, capacity))
    )
    if not fronts or fronts[0].cost != "latency":
        return Fronts(finding=sentence("No front to show."), missing=_why_nothing(context))
    others = context.settings[1 : 1 + ELSEWHERE]
    told = [front for other in others if (front := front_of(context, other, LATENCY, PARAMS))]
    points = fronts[0].points
    return Fronts(
        finding=finding(fronts[0]),
        caption=caption(fronts, len(context.at(setting)) if setting else 0),
        fronts=fronts,
        subjects=tuple(point.subject for point in points[:ROWS]),
        left_out=max(0, len(points) - ROWS),
        elsewhere=tuple(Elsewhere(front.where, len(front.points), tuple(front.members)) for front in told),
        elsewhere_left_out=max(0, len(context.settings) - 1 - ELSEWHERE),
    )


def _why_nothing(context: Context) -> str:
    if not context.timed:
        return context.why_without("latency", "latency")
    return "No two cases at one setting have both a time and a number of parameters."
