"""Judges every run against the first, and at each case the fastest against the others: all counted together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from harness.declare.policy import USUAL
from harness.judge.compare import Change, Word, timed
from harness.judge.multiple import ALPHA, benjamini_hochberg, holm
from reports.beside.races import At, Race, Rival, races
from reports.results import Result, Run
from reports.versus import Versus
from reports.versus.gate import judge, threshold
from reports.versus.headline import ALL, Headline
from reports.versus.pairs import pairs
from reports.versus.versus import BY_FLOOR, Row

METRIC = "latency_ms"


@dataclass(frozen=True, slots=True)
class Judged:
    """What may be said of the runs."""

    versus: tuple[Versus, ...]
    """Each further run against the first."""
    whole: tuple[Headline | None, ...]
    """Each further run's time over the first run's, over all cases; None where no ratio is allowed or known."""
    races: tuple[Race, ...]
    alone: tuple[bool, ...]
    """Whether the leader of each race is faster than every other run in it."""
    comparisons: int
    """Comparisons of times that were counted together."""


def judged(runs: Sequence[Run]) -> Judged:
    """Return what may be said of `runs`, of which the first is the reference."""
    found = [judge(runs[0], run, USUAL).versus for run in runs[1:]]
    held = races(runs, _to_first(runs, found))
    new = [rival.change for race in held for rival in race.rivals if not rival.known]
    listed = [row.change for versus in found for row in versus.rows if row.change is not None]
    adjusted = iter(benjamini_hochberg([change.p for change in (*listed, *new)]))
    by_id = [{result.id: result for result in run.results} for run in runs[1:]]
    counted = [replace(versus, rows=tuple(_rows(versus, cases, adjusted)))
               for versus, cases in zip(found, by_id, strict=True)]  # fmt: skip
    return Judged(
        versus=tuple(counted),
        whole=tuple(_whole(found)),
        races=tuple(held),
        alone=tuple(_alone(held, adjusted, _words(runs, counted))),
        comparisons=len(listed) + len(new),
    )


def _to_first(runs: Sequence[Run], found: Sequence[Versus]) -> dict[At, Change]:
    """Return each run's change of latency over the first run."""
    return {at: row.change for at, row in _latencies(runs, found) if row.change is not None}


def _words(runs: Sequence[Run], found: Sequence[Versus]) -> dict[At, Word]:
    return {at: row.verdict for at, row in _latencies(runs, found)}


def _latencies(runs: Sequence[Run], found: Sequence[Versus]) -> Iterator[tuple[At, Row]]:
    """Yield the rows of latencies that were compared with the first run's."""
    for number, versus in enumerate(found, start=1):
        keys = {pair.id: pair.candidate.key for pair in pairs(runs[0], runs[number]) if pair.alike and pair.candidate}
        yield from (((number, keys[row.id]), row) for row in versus.rows if row.metric == METRIC and row.change)


def _rows(versus: Versus, cases: dict[str, Result], adjusted: Iterator[float]) -> Iterator[Row]:
    """Yield the rows with the words that they keep when the comparisons of all runs are counted."""
    for row in versus.rows:
        if row.change is None or row.metric is None:
            yield row
            continue
        least = versus.noise.floor if row.metric in BY_FLOOR else 0.0
        margin = threshold(USUAL, row.metric, cases[row.id])
        yield replace(row, verdict=timed(row.change, significant=next(adjusted) <= ALPHA, margin=margin, floor=least))


def _alone(held: Sequence[Race], adjusted: Iterator[float], words: dict[At, Word]) -> Iterator[bool]:
    """Yield of each race whether every rival is slower than the leader."""
    for race in held:
        told = [_word(race, rival, words) if rival.known else
                timed(rival.change, significant=next(adjusted) <= ALPHA, floor=rival.floor)
                for rival in race.rivals]  # fmt: skip
        yield bool(told) and all(word == "slower" for word in told)


def _word(race: Race, rival: Rival, words: dict[At, Word]) -> Word:
    """Return what a rival is to the leader, one of them being the first run."""
    if race.leader == 0:
        return words[rival.run, race.key]
    return "slower" if words[race.leader, race.key] == "faster" else "cannot tell"


def _whole(found: Sequence[Versus]) -> Iterator[Headline | None]:
    """Yield each run's time over all cases to the first run's: few numbers, judged together by Holm's procedure."""
    headlines = [next((one for one in versus.headlines if one.name == ALL), None) for versus in found]
    known = [one for one in headlines if one is not None]
    adjusted = iter(holm([one.change.p for one in known]))
    for versus, one in zip(found, headlines, strict=True):
        if one is None:
            yield None
        else:
            word = timed(one.change, significant=next(adjusted) <= ALPHA, floor=versus.noise.floor)
            yield replace(one, verdict=word)
