"""Fronts: each case by one cost and one capacity, and where it stands among the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.judge.front import Place, Standing, places
from harness.judge.stats import Interval
from reports.compare import EQUAL
from reports.context import Context
from reports.labels import label
from reports.results import Result
from reports.sections.fronts_axes import LATENCY, Capacity, Cost
from reports.settings import Setting
from reports.subjects import Subject
from reports.words import capital

POINTS = 200
"""Cases of one setting that are held against each other; a sweep beyond it is read in the table of all cases."""


@dataclass(frozen=True, slots=True)
class Point:
    """One case on a chart of cost against capacity."""

    subject: Subject
    cost: float
    low: float | None
    high: float | None
    capacity: int
    standing: Standing
    rival: Subject | None
    """Who beats it, or may."""
    ratio: Interval | None
    """The rival's cost over this one's; None where it was not tested or cannot be."""
    label: str
    """The case in few letters."""
    words: str
    """Where it stands: `on the front`, `by soft E8 s1`, `not told from top-1 E8`."""


@dataclass(frozen=True, slots=True)
class Front:
    """One cost against one capacity, at one setting."""

    cost: str
    capacity: str
    title: str
    """`Time against parameters`."""
    where: str
    points: tuple[Point, ...]
    """The cheapest first."""
    alt: str
    """Who is on it, for a reader who does not see the chart."""

    @property
    def members(self) -> list[Point]:
        """The points that are not dominated, noise or not."""
        return [point for point in self.points if point.standing != "dominated"]


def front_of(context: Context, setting: Setting, cost: Cost, capacity: Capacity) -> Front | None:
    """Return one front, or None where fewer than two cases have both numbers."""
    known = [(result, value, got) for result in context.at(setting)
             if (value := cost.of(context, result)) and (got := capacity.of(result))][:POINTS]  # fmt: skip
    if len(known) < 2:
        return None
    results = [result for result, _, _ in known]
    found = places(
        [value for _, value, _ in known],
        [got for _, _, got in known],
        lambda i, j: cost.over(context, results[i], results[j]),
        EQUAL,
    )
    unsorted = [_point(context, cost, *one, place, results) for one, place in zip(known, found, strict=True)]
    points = tuple(sorted(unsorted, key=lambda point: (point.cost, -point.capacity)))
    title = f"{capital(cost.noun)} against {capacity.noun}"
    return Front(
        cost=cost.name,
        capacity=capacity.name,
        title=title,
        where=context.words(setting),
        points=points,
        alt=f"{title}: on the front {', '.join(point.label for point in line_of(points))}.",
    )


def _point(
    context: Context, cost: Cost, result: Result, value: float, got: int, place: Place, results: list[Result]
) -> Point:
    ends = result.interval("latency_ms") if cost is LATENCY else None
    subject = context.subject(result)
    rival = None if place.rival is None else context.subject(results[place.rival])
    return Point(
        subject=subject,
        cost=value,
        low=ends.low if ends else None,
        high=ends.high if ends else None,
        capacity=got,
        standing=place.standing,
        rival=rival,
        ratio=place.test.ratio if place.test else None,
        label=label(subject),
        words=_standing(place.standing, label(rival) if rival else ""),
    )


def _standing(standing: Standing, rival: str) -> str:
    return {"front": "on the front", "level": f"level with {rival}", "undecided": f"not told from {rival}",
            "dominated": f"by {rival}"}[standing]  # fmt: skip


def line_of(points: Sequence[Point]) -> list[Point]:
    """Return what the front's line joins, the cheapest first: by their estimates nobody has as much for less."""
    steps: list[Point] = []
    for point in points:
        if point.standing in ("front", "undecided") and (not steps or point.capacity > steps[-1].capacity):
            steps.append(point)
    return steps


def of_subject(front: Front, subject: Subject) -> Point | None:
    """Return the point of a case; None where the front lacks it."""
    return next((point for point in front.points if point.subject.id == subject.id), None)
