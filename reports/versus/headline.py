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
from harness.judge.verdict import MARGIN
from reports.results import Run
from reports.versus.many import is_timed, mean_of, of_variant, quotient
from reports.versus.pairs import Pair

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
    asked = list(_asked(candidate.file.suite.headline, [pair for pair in both if is_timed(pair)]))
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
        yield ALL, len(both), mean_of(both, 0), mean_of(both, 1)
    for text in dict.fromkeys(wanted):
        over, _, under = (part.strip() for part in text.partition("/"))
        upper, lower = of_variant(both, over), of_variant(both, under)
        if upper and lower:
            ratios = [quotient(mean_of(upper, side), mean_of(lower, side)) for side in (0, 1)]
            yield f"{over} / {under}", len(upper) + len(lower), ratios[0], ratios[1]
