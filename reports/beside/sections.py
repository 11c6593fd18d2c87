"""The sections of the page of several runs, as data: how they stand, and which case is how fast where."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from harness.declare.policy import USUAL_THRESHOLD
from harness.judge.compare import WORSE, Word
from reports.beside.columns import Column
from reports.beside.judged import METRIC, Judged
from reports.beside.panels import Multiple
from reports.beside.table import CaseRow
from reports.glyph import Glyph, Scale, glyph, ratio_scale
from reports.sections.base import Section
from reports.versus.headline import Headline
from reports.versus.versus import TIMED
from reports.words import Sentence, Span, capital, count, join, ratio, sentence

QUIET: tuple[Word, ...] = ("same", "cannot tell")
READ = (
    " The first run is the reference. A ratio is a time over the first run’s, with its 95 % interval; left of the heavy"
    " line is faster, the grey band counts as the same."
)


@dataclass(frozen=True, slots=True)
class Standing:
    """How one run stands."""

    column: Column
    whole: Headline | None
    """Its time over the first run's, over all cases; None for the first, and where there is no ratio."""
    glyph: Glyph | None
    tally: dict[str, int]
    """Latencies by verdict."""
    worse: int
    """Cases in which a number without noise is worse than in the first run."""
    otherwise: int
    """Cases in which one is better or another."""
    fastest: int
    """Cases at which it is faster than every other comparable run."""
    raced: int
    """Cases at which it met another comparable run."""


@dataclass(frozen=True, kw_only=True)
class Standings(Section):
    """The section's data."""

    id: str = "standings"
    name: str = "Standing"
    question: str = "How does each run stand to the first?"

    rows: tuple[Standing, ...]
    scale: Scale
    comparisons: int
    """Comparisons of times that are counted together."""


@dataclass(frozen=True, kw_only=True)
class Table(Section):
    """The section's data."""

    id: str = "table"
    name: str = "Cases"
    question: str = "Which case takes how long in which run?"

    columns: tuple[str, ...]
    rows: tuple[CaseRow, ...]
    """Those in which a run differs from the first come first."""
    differing: int
    scale: Scale
    band: float = USUAL_THRESHOLD
    """The change of a time, as a share, up to which no case differs: the gate's threshold."""


@dataclass(frozen=True, kw_only=True)
class Multiples(Section):
    """The section's data."""

    id: str = "scaling"
    name: str = "Scaling"
    question: str = "Does every run grow alike?"

    panels: tuple[Multiple, ...] = ()


def standings(columns: Sequence[Column], found: Judged) -> Standings:
    """Return how each run stands to the first."""
    ratios = [one.change.ratio.value for one in found.whole if one is not None]
    scale = ratio_scale(ratios, held=ratios)
    rows = tuple(_standing(number, column, found, scale) for number, column in enumerate(columns))
    return Standings(
        finding=sentence(races_words(rows, found), "."),
        caption=sentence(Span(f"{races_words(rows, found)}. ", "strong"), _counted(found.comparisons), READ),
        rows=rows,
        scale=scale,
        comparisons=found.comparisons,
    )


def table(columns: Sequence[Column], rows: tuple[CaseRow, ...], scale: Scale) -> Table:
    """Return the cases."""
    differing = sum(not row.quiet for row in rows)
    words = (
        f"{differing} of {count(len(rows), 'case')} {'differs' if differing == 1 else 'differ'} between the runs"
        if differing
        else f"no case of {len(rows)} differs between the runs beyond noise"
    )
    return Table(
        finding=sentence(f"{capital(words)}."),
        caption=sentence(
            Span(f"{capital(words)}. ", "strong"),
            "What differs stands first, by its largest ratio; a ★"
            " marks a run that is faster than every other at that case. ± is half the 95 % interval of a"
            " time, which ratios, judged by all rounds, are surer than.",
        ),
        missing=None if rows else "No case was planned.",
        columns=tuple(column.name for column in columns),
        rows=rows,
        differing=differing,
        scale=scale,
    )


def multiples(panels: tuple[Multiple, ...], columns: Sequence[Column], rows: Sequence[CaseRow]) -> Multiples:
    """Return the small multiples."""
    if not panels:
        why = "No layer was swept along an axis in two runs."
        return Multiples(finding=sentence("No scaling to show."), missing=why)
    apart = [column.name for column in columns if column.forbids]
    verb = "is" if len(apart) == 1 else "are"
    drawn = f" {join(apart)} {verb} drawn beside the others, and no ratio is meant." if apart else ""
    words = farthest(panels, columns, rows)
    return Multiples(
        finding=words,
        caption=sentence(*words, " One line a run, one panel a layer and axis, both axes logarithmic;"
                         f" bars are 95 % intervals of a time.{drawn}"),
        panels=panels,
    )  # fmt: skip


def farthest(panels: Sequence[Multiple], columns: Sequence[Column], rows: Sequence[CaseRow]) -> Sentence:
    """Return which case of the panels is farthest from the first run's beyond noise, and in which run."""
    drawn = {point.id for panel in panels for line in panel.lines for point in line.points}
    cells = [(row.subject.id, column.name, cell.ratio, cell.verdict) for row in rows if row.subject.id in drawn
             for column, cell in zip(columns, row.cells, strict=True) if cell is not None and cell.ratio]  # fmt: skip
    first = columns[0].name
    if not cells:
        return sentence(f"No time along these axes may be compared with that of {first}.")
    told = [(id_, name, over) for id_, name, over, verdict in cells if verdict not in QUIET]
    if not told:
        return sentence(f"No time along these axes differs from that of {first} beyond noise.")
    id_, name, over = max(told, key=lambda each: abs(math.log(each[2].value)))
    return sentence(f"{name} is farthest from {first} at {id_}: ", ratio(over.value, over), " its time.")


def races_words(rows: Sequence[Standing], found: Judged) -> str:
    """Return who is fastest at how many cases, as it begins a sentence: `b is fastest at 12 of 144 cases, a at 3`.

    A run's name stands as it is: a commit's digits in upper case are none that anybody could look for.
    """
    raced, won = len(found.races), sum(found.alone)
    if not raced:
        return "No two runs have times that may be compared"
    leaders = sorted((row for row in rows if row.fastest), key=lambda row: -row.fastest)
    if not leaders:
        return f"No run is fastest beyond noise at any of {count(raced, 'case')}"
    first = f"{leaders[0].column.name} is fastest at {leaders[0].fastest} of {count(raced, 'case')}"
    rest = [f"{row.column.name} at {row.fastest}" for row in leaders[1:]]
    ties = raced - won
    tied = f"; {ties} {'is a tie' if ties == 1 else 'are ties'}" if ties else ""
    return f"{join([first, *rest])}{tied}"


def whole_words(row: Standing, first: str) -> Sentence:
    """Return a run's time over all cases: `b takes 0.95× [0.93, 0.97] the time of a over 144 cases`."""
    assert row.whole is not None
    over = row.whole.change.ratio
    hidden = ", which noise would explain" if row.whole.verdict == "cannot tell" else ""
    return sentence(f"{row.column.name} takes ", ratio(over.value, over),
                    f" the time of {first} over {count(row.whole.cases, 'case')}{hidden}")  # fmt: skip


def _standing(number: int, column: Column, found: Judged, scale: Scale) -> Standing:
    versus = found.versus[number - 1] if number else None
    whole = found.whole[number - 1] if number else None
    rows = versus.rows if versus else ()
    exact = [row for row in rows if row.metric not in (*TIMED, None) or (row.metric is None and row.verdict != "same")]
    worse = {row.id for row in exact if row.verdict in WORSE}
    otherwise = {row.id for row in exact if row.verdict not in (*WORSE, *QUIET)} - worse
    return Standing(
        column=column,
        whole=whole,
        glyph=glyph(scale, whole.change.ratio.value, whole.change.ratio) if whole else None,
        tally=dict(Counter(row.verdict for row in rows if row.metric == METRIC)),
        worse=len(worse),
        otherwise=len(otherwise),
        fastest=sum(alone and race.leader == number for race, alone in zip(found.races, found.alone, strict=True)),
        raced=sum(number in (race.leader, *(rival.run for rival in race.rivals)) for race in found.races),
    )


def _counted(comparisons: int) -> str:
    if not comparisons:
        return "No times were compared."
    return (
        f"All {count(comparisons, 'comparison')} of times on this page are counted together: of those called faster or"
        " slower one in twenty may be wrong (Benjamini and Hochberg); the ratios over all cases, by Holm’s procedure."
    )
