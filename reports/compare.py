"""Fair pairs: the same setting, the nearest budget, times judged round by round."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from harness.judge.multiple import Correction, counted, p_value
from harness.judge.stats import Interval, paired_ratio
from harness.judge.verdict import Verdict, verdict
from harness.metrics import show_ratio
from reports.context import Context
from reports.results import Result
from reports.settings import Setting, setting_of
from reports.subjects import Subject

EQUAL = 0.1
"""Budgets within 10 % of each other are called equal: a router or Soft MoE's mixing is worth about that much. The
realised ratio stands beside every comparison."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One case's time over another's, both at the same setting."""

    candidate: Subject
    reference: Subject
    setting: Setting
    where: str
    """The setting in words."""
    flops: float | None
    """Candidate's model FLOPs over the reference's."""
    params: float | None
    equal: str | None
    """The budget that both share: `FLOPs` or `parameters`; None where they share neither."""
    value: float
    """Candidate's time over the reference's; below 1 the candidate is faster."""
    interval: Interval | None
    """Over paired rounds; None with fewer than two common rounds."""
    verdict: Verdict
    """faster, slower, same or undecided; in a list, after all its comparisons were counted."""
    p: float | None = None
    """The chance of such rounds if both took the same time; None with fewer than two common rounds."""
    in_noise: bool = False
    """Whether it would be faster or slower, but for the run's noise floor."""

    @property
    def budget(self) -> str:
        """`equal FLOPs`, or by how much they differ."""
        return budget_words(self.flops, self.equal)


def budget_words(flops: float | None, equal: str | None) -> str:
    """Return `equal FLOPs`, or by how much they differ, given their ratio and the budget that is equal, if any."""
    if equal == "FLOPs":
        return "equal FLOPs"
    times = "FLOPs unknown" if flops is None else f"{show_ratio(flops)} the FLOPs"
    return f"equal parameters and {times}" if equal == "parameters" else times


def compare(context: Context, candidate: Result, reference: Result) -> Comparison | None:
    """Return the comparison of two timed cases, or None where their settings differ or one has no time."""
    setting = setting_of(candidate.case)
    if setting != setting_of(reference.case) or not candidate.ms or not reference.ms:
        return None
    interval = paired_ratio(candidate.rounds(), reference.rounds())
    flops, params = _over(candidate.flops, reference.flops), _over(candidate.params, reference.params)
    return Comparison(
        candidate=context.subject(candidate),
        reference=context.subject(reference),
        setting=setting,
        where=context.words(setting),
        flops=flops,
        params=params,
        equal="FLOPs" if is_equal(flops) else "parameters" if is_equal(params) else None,
        value=interval.value if interval else candidate.ms / reference.ms,
        interval=interval,
        verdict=verdict(interval, floor=context.floor),
        p=p_value(candidate.rounds(), reference.rounds()),
        in_noise=verdict(interval) in ("faster", "slower") and verdict(interval, floor=context.floor) == "undecided",
    )


def counted_together(rows: Sequence[Comparison], correction: Correction) -> list[Comparison]:
    """Return the comparisons of one list: what is no longer different when all are counted becomes undecided."""
    words = counted([row.verdict for row in rows], [row.p for row in rows], correction)
    return [replace(row, verdict=word) for row, word in zip(rows, words, strict=True)]


def rivals(context: Context, leader: Comparison, rows: Iterable[Comparison]) -> list[Comparison]:
    """Return those of `rows` whose candidate has the leader's FLOPs, and may be as fast as the leader's candidate."""
    best = context.by_id[leader.candidate.id]

    def holds(other: Result) -> bool:
        alike = is_equal(_over(best.flops, other.flops))
        ratio = paired_ratio(best.rounds(), other.rounds())
        return alike and verdict(ratio, floor=context.floor) != "faster"

    return [row for row in rows if row is not leader and holds(context.by_id[row.candidate.id])]


def nearest(result: Result, others: Iterable[Result], budget: str = "flops") -> Result | None:
    """Return the one of `others` whose budget (`flops` or `params`) is nearest to that of `result`.

    Of a layer whose FLOPs nobody knows it is the first of them, and the comparison says so.
    """
    others = list(others)
    known = [(abs(math.log(distance)), other) for other in others if (distance := budget_ratio(result, other, budget))]
    if not known and budget == "flops" and not result.flops:
        return next(iter(others), None)
    return min(known, key=lambda pair: pair[0])[1] if known else None


def distance(row: Comparison) -> tuple[float, float]:
    """The nearest budget first; of those that share one, the fastest."""
    return (0.0 if row.equal == "FLOPs" else abs(math.log(row.flops or 1e-3)), row.value)


def budget_ratio(a: Result, b: Result, budget: str) -> float | None:
    """Return the budget (`flops` or `params`) of `a` over that of `b`, or None where it is not known."""
    return _over(a.params, b.params) if budget == "params" else _over(a.flops, b.flops)


def _over(a: int | None, b: int | None) -> float | None:
    return a / b if a and b else None


def is_equal(value: float | None) -> bool:
    """Return whether a ratio of two budgets lets them be called equal."""
    return value is not None and abs(math.log(value)) <= math.log(1 + EQUAL)
