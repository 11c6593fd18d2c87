"""Noise: how small a difference this run could have seen, and what it remarked."""

from __future__ import annotations

import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from harness.metrics import show_spread
from harness.record import MARKS, ROUNDS_ENDED
from reports.context import Context
from reports.families import NAMES, Family
from reports.results import Result
from reports.sections import a_a, noise_floor, noise_method, rounds
from reports.sections.base import Section
from reports.sections.provenance import Fact
from reports.words import Sentence, Span, count, sentence

_NUMBER = re.compile(r"\d[\d.,]*")
NOTES = 40
"""Remarks listed on the page; the others stand in records.jsonl."""


@dataclass(frozen=True, slots=True)
class Row:
    """One family's spread."""

    name: str
    family: Family
    cases: int
    rounds: int
    median: float
    """Median over cases of the interval's half width over the estimate."""
    worst: float
    worst_id: str


@dataclass(frozen=True, slots=True)
class Note:
    """A remark of the run, and the cases that it was made of."""

    text: str
    cases: int
    first: str


@dataclass(frozen=True, slots=True)
class Marked:
    """Rounds that were taken under a state of the machine that may have moved them."""

    text: str
    """`while other processes had the cores`."""
    rounds: int
    cases: int
    first: str


@dataclass(frozen=True, slots=True)
class Ended:
    """Why cases have no more rounds than they have."""

    text: str
    cases: int
    rounds: str
    """How many: `6`, or `6 to 19`."""


@dataclass(frozen=True, kw_only=True)
class Noise(Section):
    """The section's data."""

    id: str = "noise"
    name: str = "Noise"
    question: str = "How sure are these numbers?"

    rows: tuple[Row, ...] = ()
    floor: Sentence = ()
    """The noise floor and the smallest change that this run could have told, in one sentence."""
    twice: tuple[noise_floor.Twice, ...] = ()
    taken: tuple[Fact, ...] = ()
    """How the times were taken."""
    ended: tuple[Ended, ...] = ()
    marked: tuple[Marked, ...] = ()
    marked_rounds: int = 0
    """Rounds of all cases in all, marked or not."""
    rounds: rounds.Rounds | None = None
    """What each round made of all times; None where fewer than two were taken."""
    same: a_a.SameAgainstSame | None = None
    """The pairs of the A/A cells; None where the run has none, or no journal."""
    notes: tuple[Note, ...] = ()
    notes_left_out: int = 0


def build(context: Context) -> Noise:
    """Return the spread of each family's times, and the remarks."""
    notes = _notes(context.results)
    left_out = max(0, len(notes) - NOTES)
    found = [(result, half) for result in context.timed if (half := _half_width(result)) is not None]
    if not found:
        why = (
            "No latency has an interval: fewer than two rounds."
            if context.timed
            else context.why_without("latency", "latency")
        )
        return Noise(finding=sentence("No noise to show."), missing=why, notes=notes[:NOTES], notes_left_out=left_out)
    families: dict[Family, list[tuple[Result, float]]] = {}
    for result, half in found:
        families.setdefault(context.identity[result.case.variant].family, []).append((result, half))
    middle = statistics.median(half for _, half in found)
    return Noise(
        notes=notes[:NOTES],
        notes_left_out=left_out,
        finding=sentence(
            "The one time is known to " if len(found) == 1 else "Half of the times are known to ",
            f"±{show_spread(middle)}{'' if len(found) == 1 else ' or better'}{noise_floor.short(context)}.",
        ),
        caption=_caption(found),
        attention="!" if context.distrusted else None,
        floor=noise_floor.words(context),
        twice=noise_floor.twice(context.run.file.noise),
        taken=noise_method.build(context),
        ended=_ended(context.timed),
        marked=_marked(context.timed),
        marked_rounds=sum(len(result.rounds()) for result in context.timed),
        rounds=rounds.build(context),
        same=a_a.build(context),
        rows=tuple(_row(family, some) for family, some in families.items()),
    )


def _ended(results: Sequence[Result]) -> tuple[Ended, ...]:
    found = []
    for reason, words in ROUNDS_ENDED.items():
        made = [sum(time is not None for time in r.rounds()) for r in results if r.rounds_ended == reason]
        if made:
            span = f"{min(made)}" if min(made) == max(made) else f"{min(made)} to {max(made)}"
            found.append(Ended(words, len(made), span))
    return tuple(found)


def _half_width(result: Result) -> float | None:
    interval = result.interval("latency_ms")
    return None if interval is None or not interval.value else (interval.high - interval.low) / 2 / interval.value


def _row(family: Family, some: Sequence[tuple[Result, float]]) -> Row:
    worst, half = max(some, key=lambda pair: pair[1])
    most = max(len(result.rounds()) for result, _ in some)
    middle = statistics.median(half for _, half in some)
    return Row(NAMES[family], family, len(some), most, middle, half, worst.id)


def _marked(results: Sequence[Result]) -> tuple[Marked, ...]:
    found = []
    for mark, words in MARKS.items():
        some = [result for result in results if result.marks.get(mark)]
        if some:
            found.append(Marked(words, sum(result.marks[mark] for result in some), len(some), some[0].id))
    return tuple(found)


def _notes(results: list[Result]) -> tuple[Note, ...]:
    """Return the remarks, those that differ in their numbers alone as one."""
    found: dict[str, dict[str, list[str]]] = {}
    for result in results:
        for text in result.notes:
            if text.endswith(tuple(MARKS.values())):  # they have a table of their own
                continue
            found.setdefault(_NUMBER.sub("#", text), {}).setdefault(text, []).append(result.id)
    notes = [_note(texts) for texts in found.values()]
    return tuple(sorted(notes, key=lambda note: -note.cases))


def _note(texts: dict[str, list[str]]) -> Note:
    text, ids = next(iter(texts.items()))
    others = "; others with other numbers" if len(texts) > 1 else ""
    return Note(text + others, sum(map(len, texts.values())), ids[0])


def _caption(found: Sequence[tuple[Result, float]]) -> Sentence:
    worst, half = max(found, key=lambda pair: pair[1])
    return sentence(
        Span(f"The least certain time of {count(len(found), 'case')} is known to ±{show_spread(half)}: ", "strong"),
        Span(worst.id, "code"),
        Span(". ", "strong"),
        "The spread is half the 95 % interval of the median over rounds. Every round is a fresh process and visits all"
        " cases in random order, so a drift of the machine hits them alike, and ratios, which are judged round by"
        " round, are surer than the times that they are made of.",
    )
