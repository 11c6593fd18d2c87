"""The sections of a history's page, as data: what changed, how it came, and of which runs all that is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reports.history.enough import Enough
from reports.history.groups import Group, Together, together
from reports.history.nights import Night, nights
from reports.history.shifts import Line
from reports.history.stops import Era, Stop
from reports.history.words import alike, alone, changed
from reports.sections.base import Section
from reports.words import capital, count, join, sentence

DRAWN = 24
"""Trends that are drawn."""
JUDGED = (
    "Sorted by the effect over its noise, what is worse first; changes of one variant’s metric that one run explains "
    "stand together. A time has changed where two levels of at least two runs differ beyond the noise between runs "
    "(Student’s t, counted for every place it could be at, and over all series by Benjamini and Hochberg) and by more "
    "than 2 %. What has no noise changes exactly. No change is told across a change of environment."
)
READ = (
    "One chart a trend, one mark a run with its 95 % interval; the level line is the mean of its runs, a hollow mark a "
    "run that stands alone, an upright line a change, a dotted one a change of environment."
)
ALONE = (
    "A time stands alone where the runs beside it contradict it by more than its own error and the noise between runs; "
    "it has no say in any level."
)


@dataclass(frozen=True, kw_only=True)
class Changes(Section):
    """The section's data."""

    id: str = "changes"
    name: str = "Changes"
    question: str = "What changed, by how much, since which run?"
    groups: tuple[Group, ...]
    together: tuple[Together, ...]


@dataclass(frozen=True, kw_only=True)
class Trends(Section):
    """The section's data."""

    id: str = "trends"
    name: str = "Trends"
    question: str = "How did each number come to be what it is?"
    lines: tuple[Line, ...]
    """Every noisy number, and each exact one that changed; those that are drawn stand first."""
    drawn: int


@dataclass(frozen=True, kw_only=True)
class Runs(Section):
    """The section's data."""

    id: str = "runs"
    name: str = "Runs"
    question: str = "Which runs is this made of, and can they be compared?"
    stops: tuple[Stop, ...]
    eras: tuple[Era, ...]
    nights: tuple[Night, ...]
    per_run: tuple[int, ...]
    """Cases that changed with each run."""


def changes(groups: tuple[Group, ...], lines: Sequence[Line], stops: Sequence[Stop], known: Enough) -> Changes:
    """Return what changed."""
    found = together(lines)
    number = sum(len(group.shifts) for group in groups)
    latest = max((group.run for group in groups if group.how != "drift"), default=None)
    what = f"{capital(count(number, 'change'))} in {count(len(groups), 'row')}"
    when = "" if latest is None else f"; the latest came with {stops[latest].phrase}"
    said = f"{what}{when}." if groups else f"{capital(known.nothing)}."
    return Changes(
        finding=sentence(said),
        missing=None if groups else "There is no change to list.",
        caption=sentence(
            f"{said} ",
            f"{capital(known.lacking)}. " if groups and known.short else "",
            *(f"{alike(each, stops)} " for each in found),
            JUDGED,
        ),
        groups=groups,
        together=found,
    )


def trends(groups: Sequence[Group], lines: Sequence[Line], known: Enough) -> Trends:
    """Return the lines, those to be drawn first: what changed, by weight, then one latency of every variant."""
    moved = _moved(groups, lines)
    still = [line for line in lines if not line.shifts and len(line.points) > 1 and line.metric == "latency_ms"]
    firsts = list({line.subject.variant: line for line in reversed(still)}.values())[::-1]
    shown = [*moved, *firsts][:DRAWN]
    taken = set(map(id, shown))
    rest = [line for line in lines if id(line) not in taken]
    cut = max(0, len(moved) - DRAWN)
    finding = f"{len(moved)} of {len(lines)} series changed their level" if moved else _kept(known)
    left = f" Drawn are {len(shown)} of {len(lines)}: those that changed most, then one latency a variant."
    more = f" {cut} more that changed, and all others, stand in the data." if cut else ""
    return Trends(
        finding=sentence(f"{finding}."),
        missing=None if shown else "No number was taken in two runs.",
        caption=sentence(f"{finding}.{left}{more} {READ}"),
        lines=tuple(shown + rest),
        drawn=len(shown),
    )


def runs(
    groups: Sequence[Group], lines: Sequence[Line], stops: Sequence[Stop], eras: Sequence[Era], known: Enough
) -> Runs:
    """Return of which runs the history is made."""
    found = nights(lines, len(stops))
    said = [f"{changed(era)}, since {stops[era.first].phrase}" for era in eras[1:]]
    said += [alone(night, stops) for night in found if night.whole]
    per_run = [{s.subject.id for g in groups if g.run == run and g.how != "drift" for s in g.shifts}
               for run in range(len(stops))]  # fmt: skip
    return Runs(
        finding=sentence(f"{capital(_of_runs(eras, found, known))}."),
        caption=sentence(*(f"{capital(each)}. " for each in said), ALONE),
        stops=tuple(stops),
        eras=tuple(eras),
        nights=found,
        per_run=tuple(map(len, per_run)),
    )


def _kept(known: Enough) -> str:
    if not known.judged:
        return "Too few runs to tell whether a series keeps its level"
    if known.short:
        return f"Every series of which it can be told keeps its level; {known.lacking}"
    return "Every series keeps its level"


def _of_runs(eras: Sequence[Era], found: Sequence[Night], known: Enough) -> str:
    whole, some = sum(night.whole for night in found), sum(not night.whole for night in found)
    parts = [f"{count(len(eras) - 1, 'change')} of environment"] if len(eras) > 1 else []
    parts += [f"{count(whole, 'run')} that {'stands' if whole == 1 else 'stand'} alone"] if whole else []
    parts += [f"{count(some, 'run')} in which single cases stand alone"] if some else []
    if parts:
        return join(parts)
    if not known.shared:
        return "no case has numbers in two runs"
    return f"all runs can be compared{', and none stands alone' if known.judged else ''}"


def _moved(groups: Sequence[Group], lines: Sequence[Line]) -> list[Line]:
    """Return the lines that changed, one of every group first, so that no group with many cases hides the others."""
    turns = [(turn, number, shift) for number, group in enumerate(groups) for turn, shift in enumerate(group.shifts)]
    place = {id(shift): (turn, number) for turn, number, shift in turns}
    moved = [line for line in lines if line.shifts and len(line.points) > 1]
    return sorted(moved, key=lambda line: min(place[id(shift)] for shift in line.shifts))
