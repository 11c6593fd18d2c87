"""Rounds: whether the machine drifted while it measured, round by round; a part of `noise`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from harness.judge.verdict import MARGIN
from harness.metrics import show_percent, show_ratio
from reports.context import Context
from reports.journal import Timed
from reports.results import Result
from reports.sections.samples import kept, outliers_words
from reports.subjects import Subject
from reports.words import Sentence, Span, sentence

MOST = 720
"""Samples that a strip of all cases draws; of more every so many-th of each round."""
ROWS = 24
"""Rounds listed; the others stand in journal.jsonl."""


@dataclass(frozen=True, slots=True)
class Round:
    """What a round made of all times."""

    number: int
    """From 1."""
    cases: int
    middle: float
    """A case's time in this round over its median over rounds: the median over cases."""
    low: float
    """The same of the case that was the fastest for its median."""
    high: float
    clock_mhz: float | None
    """Median over the round's visits."""
    temperature_c: float | None


@dataclass(frozen=True, slots=True)
class Strip:
    """A case's samples, round by round."""

    subject: Subject
    samples: tuple[tuple[float, ...], ...]
    """By round each sample over the case's median over rounds, in order; empty for a round that it does not have."""


@dataclass(frozen=True, slots=True)
class Rounds:
    """All rounds, and the strips of the cases that the first screen speaks of."""

    finding: Sentence
    where: str
    rounds: tuple[Round, ...]
    left_out: int
    strips: tuple[Strip, ...]
    every: int
    """One in so many samples is in the strips."""


def build(context: Context) -> Rounds | None:
    """Return the rounds; None where fewer than two were taken."""
    timed = [result for result in context.timed if len(result.rounds()) > 1 and result.ms]
    rounds = [row for number in range(_most(timed)) if (row := _round(context, timed, number))]
    if len(rounds) < 2 or context.headline is None:
        return None
    drawn = [
        (result, visits)
        for result in context.some(context.at(context.headline))
        if (visits := kept(context.run, result))
    ]
    every = max(1, math.ceil(sum(len(visit.samples) for _, visits in drawn for visit in visits) / MOST))
    return Rounds(
        finding=sentence(*_finding(rounds, every if drawn else 0), outliers_words(context.run, timed)),
        where=context.words(context.headline),
        rounds=tuple(rounds[:ROWS]),
        left_out=max(0, len(rounds) - ROWS),
        strips=tuple(_strip(context, result, visits, every) for result, visits in drawn),
        every=every,
    )


def _most(timed: Sequence[Result]) -> int:
    return max((len(result.rounds()) for result in timed), default=0)


def _round(context: Context, timed: Sequence[Result], number: int) -> Round | None:
    ratios: list[float] = []
    visits: list[Timed] = []
    for result in timed:
        rounds = result.rounds()
        if number < len(rounds) and (ms := rounds[number]) is not None:
            ratios.append(ms / (result.ms or 1))
            visits += [v for v in context.run.timed.get(result.key, ()) if v.round == number and not v.second]
    if not ratios:
        return None
    clocks = [visit.clock_mhz for visit in visits if visit.clock_mhz is not None]
    heats = [visit.temperature_c for visit in visits if visit.temperature_c is not None]
    return Round(
        number=number + 1,
        cases=len(ratios),
        middle=median(ratios),
        low=min(ratios),
        high=max(ratios),
        clock_mhz=median(clocks) if clocks else None,
        temperature_c=median(heats) if heats else None,
    )


def _strip(context: Context, result: Result, visits: Sequence[Timed], every: int) -> Strip:
    ms = result.ms or 1.0
    own = {visit.round: tuple(sample / ms for sample in visit.samples[::every]) for visit in visits}
    return Strip(context.subject(result), tuple(own.get(number, ()) for number in range(len(result.rounds()))))


def _finding(rounds: Sequence[Round], every: int) -> Sentence:
    """Say which round was the slowest for all cases, or that none stands out; then how the picture is read."""
    slow = max(rounds, key=lambda row: row.middle)
    fast = min(rounds, key=lambda row: row.middle)
    if slow.middle <= 1 + MARGIN and fast.middle >= 1 - MARGIN:
        first = (
            f"No round was slower or faster throughout: each one’s median case is within {show_percent(MARGIN)} of 1×."
        )
    else:
        first = (
            f"Round {slow.number} was the slowest: its median case of {slow.cases} took {show_ratio(slow.middle)} its"
            f" own median time, and round {fast.number}, the fastest, {show_ratio(fast.middle)}."
        )
    drawn = "every sample" if every == 1 else f"one sample in {every}"
    marks = (
        f" A mark is {drawn}, over its case’s median; within a round samples go from left to right as they were taken,"
        " so that a warm-up that was not over leans, and a machine that drifts moves whole rounds. The grey line is"
        " the median over all cases."
    )
    return sentence(Span(first, "strong"), marks if every else "")
