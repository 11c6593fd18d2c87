"""Crossovers: where one layer overtakes another along a swept axis, as an interval of the axis, or never within it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations, islice

from harness.judge.crossing import Course, Crossing, crossings
from harness.judge.multiple import benjamini_hochberg
from harness.judge.stats import Interval
from harness.metrics import show_interval, show_number
from reports.compare import Comparison, compare, counted_together
from reports.context import Context
from reports.sections.base import Section
from reports.sections.scaling import Scaling
from reports.sections.scaling_lines import Line, Overtaking, Panel
from reports.sections.scaling_words import alt
from reports.subjects import Subject
from reports.words import Sentence, Span, capital, count, join, sentence

LINES = 10
"""Lines of one axis that are held against each other, in the suite's order."""
MARKED = 2
"""Crossovers that a scaling chart marks."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two lines along one axis."""

    first: Subject
    second: Subject
    low: float
    """First and last place that both lines have."""
    high: float
    course: Course
    crossings: tuple[Crossing, ...]
    ahead: bool | None
    """Where they never cross: whether the first is the faster one."""


@dataclass(frozen=True, slots=True)
class Told:
    """One crossing, told."""

    winner: Subject
    """Who is ahead beyond it."""
    other: Subject
    text: Sentence
    """`24 experts [20, 29]`."""
    at: Interval


@dataclass(frozen=True, slots=True)
class Along:
    """What pairs of lines do to each other along one axis, over one range of it."""

    title: str
    unit: str
    """What the axis counts: `experts`."""
    where: str
    low: float
    high: float
    pairs: tuple[Pair, ...]
    overtakings: tuple[Told, ...] = ()
    never: str = ""
    """Who is ahead of whom over the whole range, in words."""
    level: str = ""
    """Which pairs are level, in words."""
    undecided: str = ""
    """Of which pairs nobody can tell, in words."""

    def of(self, course: Course) -> list[Pair]:
        """Return the pairs that do as `course` says."""
        return [pair for pair in self.pairs if pair.course == course]

    def at(self, x: float) -> float:
        """Return the position of `x` between the ends of the range, in per cent of its logarithm."""
        return 100 * math.log(x / self.low) / math.log(self.high / self.low)


@dataclass(frozen=True, kw_only=True)
class Crossovers(Section):
    """The section's data."""

    id: str = "crossovers"
    name: str = "Crossovers"
    question: str = "Where does one layer overtake another?"

    axes: tuple[Along, ...] = ()
    comparisons: int = 0


def build(context: Context, scaling: Scaling) -> Crossovers:
    """Return what each two lines of the scaling charts do to each other."""
    held = [one for panel in scaling.panels for one in _held(context, panel)]
    if not held:
        return Crossovers(finding=sentence("No crossovers to show."), missing=_why_nothing(context))
    words = iter(counted_together([row for *_, rows in held for row in rows], benjamini_hochberg))
    found: dict[tuple[str, str, str, float, float], list[Pair]] = {}
    for panel, first, second, xs, rows in held:
        key = panel.title, panel.x_title, panel.where, xs[0], xs[-1]
        found.setdefault(key, []).append(_pair(first, second, xs, list(islice(words, len(rows)))))
    axes = tuple(_told(Along(*key, tuple(pairs))) for key, pairs in found.items())
    comparisons = sum(len(rows) for *_, rows in held)
    return Crossovers(finding=_finding(axes), caption=_caption(axes, comparisons), axes=axes, comparisons=comparisons)


def marked(scaling: Scaling, crossovers: Crossovers) -> Scaling:
    """Return the scaling charts with the first crossovers of each, and a caption that says what their marks are."""
    if not any(along.of("crosses") for along in crossovers.axes):
        return scaling
    crossed = (replace(panel, crossings=_overtakings(panel, crossovers)) for panel in scaling.panels)
    panels = tuple(replace(panel, alt=alt(panel)) for panel in crossed)
    words = " A grey band is the 95 % interval of where one layer overtakes another; Crossovers has all of them."
    return replace(scaling, panels=panels, caption=sentence(scaling.caption, words))


def _overtakings(panel: Panel, crossovers: Crossovers) -> tuple[Overtaking, ...]:
    here = [along for along in crossovers.axes if (along.title, along.where) == (panel.title, panel.where)]
    found = [(pair, crossing) for along in here for pair in along.of("crosses") for crossing in pair.crossings]
    found.sort(key=lambda one: one[0].first.step + one[0].second.step)  # the first variants of two families first
    sides = [(*overtaker(pair, crossing), crossing) for pair, crossing in found[:MARKED]]
    sides.sort(key=lambda side: -side[2].at.value)
    return tuple(Overtaking(winner.variant, other.variant, crossing.at) for winner, other, crossing in sides)


Held = tuple[Panel, Line, Line, list[float], list[Comparison]]


def _held(context: Context, panel: Panel) -> list[Held]:
    """Return the lines of a panel in pairs, with the comparison at each place that both have."""
    out: list[Held] = []
    for first, second in combinations(panel.lines[:LINES], 2):
        if _level(first) and _level(second):
            continue
        xs = [x for x, _ in panel.ticks if _at(first, x) and _at(second, x)]
        cases = [(context.by_id[_at(first, x) or ""], context.by_id[_at(second, x) or ""]) for x in xs]
        rows = [row for a, b in cases if (row := compare(context, a, b)) and row.interval]
        if len(rows) == len(xs) > 1:
            out.append((panel, first, second, xs, rows))
    return out


def _level(line: Line) -> bool:
    return len({point.id for point in line.points}) == 1


def _at(line: Line, x: float) -> str | None:
    """Return the id of the line's case at `x`; a level line has its one case everywhere."""
    if _level(line):
        return line.points[0].id
    return next((point.id for point in line.points if point.x == x), None)


def _pair(first: Line, second: Line, xs: list[float], rows: Sequence[Comparison]) -> Pair:
    found = crossings(xs, [row.interval for row in rows if row.interval], [row.verdict for row in rows])
    return Pair(
        first=_subject(first),
        second=_subject(second),
        low=xs[0],
        high=xs[-1],
        course=found.course,
        crossings=found.crossings,
        ahead=found.ahead,
    )


def _subject(line: Line) -> Subject:
    return Subject(line.variant, line.family, line.step, line.detail, line.points[0].id)


def _told(along: Along) -> Along:
    """Return it with its words."""
    overtakings = [
        Told(*overtaker(pair, crossing), place(crossing, along.unit), crossing.at)
        for pair in along.of("crosses")
        for crossing in pair.crossings
    ]
    undecided = unsettled(along, "undecided")
    level = unsettled(along, "level")
    return replace(along, overtakings=tuple(overtakings), never=settled(along), level=level, undecided=undecided)


def overtaker(pair: Pair, crossing: Crossing) -> tuple[Subject, Subject]:
    """Return who is ahead beyond the crossing, and whom it overtakes there."""
    return (pair.first, pair.second) if crossing.ahead == "after" else (pair.second, pair.first)


def place(crossing: Crossing, unit: str) -> Sentence:
    """Return `24 experts [20, 29]`."""
    at = crossing.at
    tail = show_interval(at.value, at.low, at.high)
    return Span(f"{show_number(at.value, at.low, at.high)} {unit}", "strong"), Span(" "), Span(tail, "interval")


def settled(along: Along) -> str:
    """Return who is ahead of whom over the whole range: `dense-1 of top-1 and top-2; soft of top-1`."""
    behind: dict[str, list[str]] = {}
    for pair in along.of("never"):
        ahead, other = (pair.first, pair.second) if pair.ahead else (pair.second, pair.first)
        behind.setdefault(ahead.variant, []).append(other.variant)
    return "; ".join(f"{name} of {join(others)}" for name, others in behind.items())


def unsettled(along: Along, course: Course) -> str:
    """Return the pairs of a course in which nobody is ahead: `top-1 and top-2; soft and top-1`."""
    return "; ".join(f"{pair.first.variant} and {pair.second.variant}" for pair in along.of(course))


def _finding(axes: Sequence[Along]) -> Sentence:
    pairs = sum(len(along.pairs) for along in axes)
    unsure = sum(len(along.of("undecided")) for along in axes)
    cross = [(pair, along) for along in axes for pair in along.of("crosses")]
    if cross:
        (pair, along), *rest = cross
        winner, other = overtaker(pair, pair.crossings[0])
        where = place(pair.crossings[0], along.unit)
        more = f", and {len(rest)} more {'pair crosses' if len(rest) == 1 else 'pairs cross'}" if rest else ""
        return sentence(
            f"{capital(winner.variant)} overtakes {other.variant} at {where[0].text} {where[2].text}{more}."
        )
    if unsure:
        return sentence(f"No crossover is certain; of {unsure} of {count(pairs, 'pair')} the rounds cannot tell.")
    return sentence(f"None of {count(pairs, 'pair')} of lines crosses within the ranges that were swept.")


def _caption(axes: Sequence[Along], comparisons: int) -> Sentence:
    verbs: dict[Course, tuple[str, str]] = {
        "crosses": ("crosses", "cross"), "never": ("never does", "never do"), "level": ("is level", "are level"),
        "undecided": ("cannot be told", "cannot be told"),
    }  # fmt: skip
    tally = {course: sum(len(along.of(course)) for along in axes) for course in verbs}
    told = join([f"{number} {verbs[course][number != 1]}" for course, number in tally.items() if number])
    return sentence(
        Span(f"Of {count(sum(tally.values()), 'pair')} of lines {told}. ", "strong"),
        "Lines are those of the scaling charts. A crossing needs a sure verdict on either side; between two places the"
        " ratio, judged round by round, and the ends of its 95 % interval are taken as straight in log and log, and the"
        " interval of the crossing is where they hold 1. Nothing is said beyond the range."
        f" All {comparisons} comparisons are counted together (Benjamini and Hochberg).",
    )


def _why_nothing(context: Context) -> str:
    if not context.timed:
        return context.why_without("latency", "latency")
    return "No two variants were timed at the same two places of an axis, in two rounds or more."
