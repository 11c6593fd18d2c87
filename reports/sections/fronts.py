"""Cost against capacity: who is on the front, who is beaten there and by whom, and of whom nobody can tell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.judge.compare import change
from harness.judge.front import Place, Standing, Test, places
from harness.judge.multiple import p_value
from harness.judge.stats import Interval, paired_ratio
from harness.judge.verdict import verdict
from harness.metrics import show, show_bytes, show_scaled
from reports.compare import EQUAL
from reports.context import Context, Setting, Subject
from reports.families import NAMES, Family
from reports.read import Result
from reports.sections.bars import bar_of
from reports.sections.base import Section
from reports.words import Sentence, Span, capital, count, join, sentence

POINTS = 200
"""Cases of one setting that are held against each other; a sweep beyond it is read in the table of all cases."""
ROWS = 24
"""Rows of the table."""
ELSEWHERE = 8
"""Other settings whose fronts are told."""
NAMED = 6
"""Members of a front that a sentence names."""
LONGEST = 16
"""Characters of a name that a label keeps."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a layer costs: how it is read off a case, and how one case's stands to another's."""

    name: str
    noun: str
    unit: str
    of: Callable[[Context, Result], float | None]
    over: Callable[[Context, Result, Result], Test]
    show: Callable[[float], str]


@dataclass(frozen=True, slots=True)
class Capacity:
    """What is got for it, known to the last digit."""

    name: str
    noun: str
    of: Callable[[Result], int | None]


def _paired(context: Context, a: Result, b: Result) -> Test:
    ratio = paired_ratio(a.rounds(), b.rounds())
    return Test(ratio, verdict(ratio, floor=context.floor), p_value(a.rounds(), b.rounds()))


def _exact(context: Context, a: Result, b: Result) -> Test:
    ratio = (_held(context, a) or 0.0) / (_held(context, b) or 1.0)
    point = Interval(ratio, ratio, ratio)
    return Test(point, verdict(point), 0.0)


def _windows(_: Context, a: Result, b: Result) -> Test:
    """Return the ratio of two energies: nothing pairs their windows, which are of different minutes."""
    name = "energy_windows_j_per_mtoken"
    found = change(b.series.get(name, []), a.series.get(name, []))
    return Test(None, "undecided", None) if found is None else Test(found.ratio, verdict(found.ratio), found.p)


def _held(context: Context, result: Result) -> float | None:
    return None if result.number("memory_peak_bytes") is None else bar_of(context, result).total or None


LATENCY = Cost("latency", "time", "ms", lambda _, result: result.ms, _paired, lambda value: show("latency_ms", value))
MEMORY = Cost("memory", "memory", "bytes", _held, _exact, show_bytes)
ENERGY = Cost("energy", "energy", "J/Mtoken", lambda _, result: result.number("energy_j_per_mtoken") or None, _windows,
              lambda value: show("energy_j_per_mtoken", value).removesuffix("/Mtoken"))  # fmt: skip
PARAMS = Capacity("params", "parameters", lambda result: result.params)
FLOPS = Capacity("flops", "active FLOPs", lambda result: result.flops)
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
        finding=_finding(fronts[0]),
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
    points = [_point(context, cost, *one, place, results) for one, place in zip(known, found, strict=True)]
    return Front(
        cost=cost.name,
        capacity=capacity.name,
        title=f"{capital(cost.noun)} against {capacity.noun}",
        where=context.words(setting),
        points=tuple(sorted(points, key=lambda point: (point.cost, -point.capacity))),
    )


def _point(
    context: Context, cost: Cost, result: Result, value: float, got: int, place: Place, results: list[Result]
) -> Point:
    ends = result.interval("latency_ms") if cost is LATENCY else None
    return Point(
        subject=context.subject(result),
        cost=value,
        low=ends.low if ends else None,
        high=ends.high if ends else None,
        capacity=got,
        standing=place.standing,
        rival=None if place.rival is None else context.subject(results[place.rival]),
        ratio=place.test.ratio if place.test else None,
    )


def _finding(front: Front) -> Sentence:
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
    unsure = f"; of {join([_name(family) for family in maybe])} nobody can tell" if maybe else ""
    return sentence(capital(f"{only}{names} {verb} on {what}{rest}{unsure}."))


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


def label(point: Point | Subject) -> str:
    """Return a case in few letters: `soft E32 s2`."""
    subject = point.subject if isinstance(point, Point) else point
    name = subject.variant if len(subject.variant) <= LONGEST else f"{subject.variant[: LONGEST - 1]}…"
    return " ".join([name, *filter(None, map(_letters, subject.detail.split(", ")))])


def _letters(part: str) -> str:
    """Return `E32` of `32 experts`, `s2` of `2 slots`, `c1.25` of `capacity 1.25`; what has no letter as it stands."""
    first, _, noun = part.partition(" ")
    letter = {"expert": "E", "experts": "E", "slot": "s", "slots": "s"}.get(noun)
    return f"{letter}{first}" if letter else part.replace("k = ", "k").replace("capacity ", "c").replace("d_ff ", "F")


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


def standing(point: Point) -> str:
    """Return where a point stands, in words: `front`, `by soft E8 s1`, `not told from top-1 E8`."""
    rival = label(point.rival) if point.rival else ""
    return {"front": "on the front", "level": f"level with {rival}", "undecided": f"not told from {rival}",
            "dominated": f"by {rival}"}[point.standing]  # fmt: skip


def show_cost(name: str, value: float) -> str:
    """Return a cost as people read it."""
    return next(cost for cost in (LATENCY, MEMORY, ENERGY) if cost.name == name).show(value)


def show_capacity(value: int) -> str:
    """Return parameters or FLOPs in few digits: `38.5 M`."""
    return show_scaled(value, "").strip()
