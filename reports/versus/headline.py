"""Headlines: the few sentences of a comparison that a reader takes home, judged together and strictly.

Of times they are means over many cases, a round at a time: of all cases, and of each ratio of two variants that the
suite's `headline` names, in which a drift of the whole machine cancels. Every one of them stands after Holm's
procedure: that any is wrong has a chance of 5 %.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from harness.judge.compare import Change, Rounds, Word, changes, timed
from harness.judge.multiple import ALPHA, holm
from harness.judge.stats import geometric_mean
from harness.judge.verdict import MARGIN
from reports.results import Result, Run
from reports.versus.pairs import Pair

METRIC = "latency_ms"
ALL = "all cases"
Judge = Callable[[Sequence[tuple[Rounds, Rounds]]], list[Change | None]]
"""Finds the change of every (base, candidate) from the rounds of both."""


@dataclass(frozen=True, slots=True)
class Headline:
    """What became of one mean over cases."""

    name: str
    """`all cases`, or `soft / dense-1`: the one variant's time over the other's."""
    verdict: Word
    cases: int
    """Timed on both sides, over which the mean is taken."""
    change: Change


def headlines(candidate: Run, both: Sequence[Pair], floor: float, judge: Judge = changes) -> tuple[Headline, ...]:
    """Return the headlines of the pairs that have numbers on both sides; `floor` as `harness.judge.compare.timed`.

    `judge` finds the changes: of two runs, or of one paired run.
    """
    asked = list(_asked(candidate.file.suite.headline, [pair for pair in both if _is_timed(pair)]))
    found = judge([(base, after) for _, _, base, after in asked])
    known = [(name, cases, one) for (name, cases, _, _), one in zip(asked, found, strict=True) if one is not None]
    adjusted = holm([one.p for _, _, one in known])
    return tuple(
        Headline(name, timed(one, significant=p <= ALPHA, margin=MARGIN, floor=floor), cases, one)
        for (name, cases, one), p in zip(known, adjusted, strict=True)
    )


def _asked(wanted: Sequence[str], both: Sequence[Pair]) -> Iterator[tuple[str, int, Rounds, Rounds]]:
    """Yield name, number of cases, and the rounds of either side."""
    if len(both) > 1:
        yield ALL, len(both), _mean(_sides(both, 0)), _mean(_sides(both, 1))
    for text in dict.fromkeys(wanted):
        over, _, under = (part.strip() for part in text.partition("/"))
        upper, lower = _of(both, over), _of(both, under)
        if upper and lower:
            ratios = [_over(_mean(_sides(upper, side)), _mean(_sides(lower, side))) for side in (0, 1)]
            yield f"{over} / {under}", len(upper) + len(lower), ratios[0], ratios[1]


def _is_timed(pair: Pair) -> bool:
    return all(side is not None and len(side.rounds(METRIC)) > 1 for side in (pair.base, pair.candidate))


def _of(both: Sequence[Pair], variant: str) -> list[Pair]:
    return [pair for pair in both if pair.candidate is not None and pair.candidate.case.variant == variant]


def _sides(both: Sequence[Pair], side: int) -> list[Result]:
    return [result for pair in both if (result := (pair.base, pair.candidate)[side]) is not None]


def _mean(results: Sequence[Result]) -> list[float | None]:
    """Return the geometric mean over cases of every round that all of them have; None for the others."""
    rounds = zip(*(result.rounds(METRIC) for result in results), strict=False)
    whole = ([time for time in each if time is not None] for each in rounds)
    return [geometric_mean(times) if len(times) == len(results) else None for times in whole]


def _over(upper: Rounds, lower: Rounds) -> list[float | None]:
    return [a / b if a and b else None for a, b in zip(upper, lower, strict=False)]
