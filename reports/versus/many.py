"""Many cases as one: the mean over cases of their times, a round at a time."""

from __future__ import annotations

from collections.abc import Sequence

from harness.judge.compare import Rounds
from harness.judge.stats import geometric_mean
from reports.versus.pairs import Pair

METRIC = "latency_ms"


def is_timed(pair: Pair) -> bool:
    """Return whether both sides have at least two rounds of it."""
    return all(side is not None and len(side.rounds(METRIC)) > 1 for side in (pair.base, pair.candidate))


def of_variant(both: Sequence[Pair], variant: str) -> list[Pair]:
    """Return the pairs whose candidate is a case of `variant`."""
    return [pair for pair in both if pair.candidate is not None and pair.candidate.case.variant == variant]


def mean_of(both: Sequence[Pair], side: int) -> list[float | None]:
    """Return the geometric mean of every round that all cases of a side have (0 the baseline); None for the others."""
    results = [result for pair in both if (result := (pair.base, pair.candidate)[side]) is not None]
    rounds = zip(*(result.rounds(METRIC) for result in results), strict=False)
    whole = ([time for time in each if time is not None] for each in rounds)
    return [geometric_mean(times) if len(times) == len(results) else None for times in whole]


def quotient(upper: Rounds, lower: Rounds) -> list[float | None]:
    """Return the ratio of every round that both have; None for the others."""
    return [a / b if a and b else None for a, b in zip(upper, lower, strict=False)]
