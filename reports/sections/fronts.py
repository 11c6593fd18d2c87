"""Cost against capacity: who is on the front, who is beaten there and by whom, and of whom nobody can tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.judge.front import Place, Standing, places
from harness.judge.stats import Interval
from harness.metrics import show, show_scaled
from reports.compare import EQUAL
from reports.context import Context
from reports.families import NAMES, Family
from reports.labels import label
from reports.results import Result
from reports.sections.base import Section
from reports.sections.fronts_axes import ENERGY, FLOPS, LATENCY, MEMORY, PARAMS, Capacity, Cost
from reports.settings import Setting
from reports.subjects import Subject
from reports.words import Sentence, Span, capital, count, join, sentence

POINTS = 200
"""Cases of one setting that are held against each other; a sweep beyond it is read in the table of all cases."""
ROWS = 24
"""Rows of the table."""
ELSEWHERE = 8
"""Other settings whose fronts are told."""
NAMED = 6
"""Members of a front that a sentence names."""


DRAWN = ((LATENCY, PARAMS), (LATENCY, FLOPS), (MEMORY, PARAMS), (ENERGY, PARAMS))
"""The fronts of the first screen's setting, in the page's order; the first is the one that the section speaks of."""


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
    fronts = tuple(front for cost, capacity in DRAWN if setting and (front := _front(context, setting, cost, capacity)))
    if not fronts or fronts[0].cost != "latency":
        return Fronts(finding=sentence("No front to show."), missing=_why_nothing(context))
    others = context.settings[1 : 1 + ELSEWHERE]
    told = [front for other in others if (front := _front(context, other, LATENCY, PARAMS))]
    points = fronts[0].points
    return Fronts(
        finding=finding_of(fronts[0]),
        caption=_caption(fronts, len(context.at(setting)) if setting else 0),
        fronts=fronts,
        subjects=tuple(point.subject for point in points[:ROWS]),
        left_out=max(0, len(points) - ROWS),
        elsewhere=tuple(Elsewhere(front.where, len(front.points), tuple(front.members)) for front in told),
        elsewhere_left_out=max(0, len(context.settings) - 1 - ELSEWHERE),
    )


def _front(context: Context, setting: Setting, cost: Cost, capacity: Capacity) -> Front | None:
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


def line_of(points: Sequence[Point]) -> list[Point]:
    """Return what the front's line joins, the cheapest first: by their estimates nobody has as much for less."""
    steps: list[Point] = []
    for point in points:
        if point.standing in ("front", "undecided") and (not steps or point.capacity > steps[-1].capacity):
            steps.append(point)
    return steps


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


def finding_of(front: Front) -> Sentence:
    """Return which families hold the front, and which have no case on it."""
    on = _families(front, ("front", "level"))
    maybe = [family for family in _families(front, ("undecided",)) if family not in on]
    off = [family for family in _families(front, ("dominated",)) if family not in (*on, *maybe)]
    what = "the front of time against parameters"
    if not on:
        return sentence(f"Noise hides who is on {what}.")
    names, verb = join([_name(family) for family in on]), "is" if len(on) == 1 else "are"
    only = "Only " if len(on) == 1 and (off or maybe) else ""
    rest = f"; no {join([NAMES[family] for family in off], 'and no')} is" if off and len(on) > 1 else ""
    unsure = f"; noise hides whether {join([_name(family) for family in maybe], 'or')} is" if maybe else ""
    return sentence(capital(f"{only}{names} {verb}{' surely' if maybe else ''} on {what}{rest}{unsure}."))


def _families(front: Front, standings: Sequence[Standing]) -> list[Family]:
    return list(dict.fromkeys(point.subject.family for point in front.points if point.standing in standings))


def _name(family: Family) -> str:
    return NAMES[family] if NAMES[family].endswith("MoE") else f"the {NAMES[family]}"


def _caption(fronts: Sequence[Front], cases: int) -> Sentence:
    front = fronts[0]
    sure = [point for point in front.points if point.standing in ("front", "level")]
    unsure = [point for point in front.points if point.standing == "undecided"]
    named = join([f"{point.subject.phrase} ({told(point)})" for point in sure[:NAMED]])
    more = f" and {len(sure) - NAMED} more" if len(sure) > NAMED else ""
    left = cases - len(front.points)
    return sentence(
        Span(f"On the front, the cheapest first: {named}{more}. " if sure else "", "strong"),
        _unsure(unsure),
        " Up and left is better; the grey line joins what is not dominated. Pale is dominated: another case has no less"
        " capacity (within 10 %) and costs less beyond noise, or the same within 2 % and has more. Where noise hides"
        " it, the table names whom a case cannot be told from. Bars are 95 % intervals; what one chart calls dominated"
        " is counted together (Benjamini and Hochberg). Memory is all that the pass holds, weights and input too.",
        f" {count(left, 'case')} of this setting {'lacks' if left == 1 else 'lack'} a number, or stand beyond the first"
        f" {POINTS}." if left else "",
    )  # fmt: skip


def told(point: Point) -> str:
    """Return a point's time, in the digits that its interval bears."""
    return show("latency_ms", point.cost, point.low, point.high)


def _unsure(points: Sequence[Point]) -> str:
    if not points:
        return "Nobody’s place on it is in doubt."
    names = [f"{point.subject.phrase} (not told from {point.rival.phrase})" for point in points[:2] if point.rival]
    rest = [count(len(points) - 2, "other")] if len(points) > 2 else []
    return f"In doubt {'is' if len(points) == 1 else 'are'} {len(points)}: {join([*names, *rest])}."


def _why_nothing(context: Context) -> str:
    if not context.timed:
        return context.why_without("latency", "latency")
    return "No two cases at one setting have both a time and a number of parameters."


def of_subject(front: Front, subject: Subject) -> Point | None:
    """Return the point of a case; None where the front lacks it."""
    return next((point for point in front.points if point.subject.id == subject.id), None)


def _standing(standing: Standing, rival: str) -> str:
    return {"front": "on the front", "level": f"level with {rival}", "undecided": f"not told from {rival}",
            "dominated": f"by {rival}"}[standing]  # fmt: skip


def show_capacity(value: int) -> str:
    """Return parameters or FLOPs in few digits: `38.5 M`."""
    return show_scaled(value, "").strip()
