"""Match: the width at which one layer costs what another one does, so that the two can be compared fairly."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from harness.case import Case
from harness.declare.costs import Cost, cost
from harness.declare.point import LARGEST

MULTIPLE = 8
"""A solved width is a multiple of it: what matmul kernels, and grouped_mm in 16-bit formats, need."""


@dataclass(frozen=True, slots=True)
class Match:
    """How well a case was matched."""

    to: str
    """Name of the variant that it was matched to."""
    on: str
    """flops or params."""
    ratio: float
    """This case's cost over that of the other variant's case; the farthest from 1 where several asked for one width."""


class MatchError(Exception):
    """No width makes the two layers cost the same; the message says why."""


price = lru_cache(maxsize=1 << 17)(cost)
"""The cost of a case. Kept, since a plan prices the cases again that a match has looked at."""

_BUDGET: dict[str, Callable[[Cost], int]] = {
    "flops": lambda cost: cost.flops_model,
    "params": lambda cost: cost.params,
}


def shared(case: Case) -> tuple[Any, ...]:
    """Return what two cases must have in common to be matched: the work that they are given."""
    around = case.scope, case.heads, case.causal, case.depth, case.vocabulary, case.patch
    return case.d_model, case.batch, case.tokens, case.dtype, case.pass_, *around


def matched(point: Case, targets: Iterable[Case], on: str) -> dict[Case, Match]:
    """Return the cases that match `point` to each of `targets`, one for each distinct width; raise MatchError."""
    budget = _BUDGET[on]
    goals = {budget(price(target)): target.variant for target in targets}
    cases: dict[Case, Match] = {}
    for goal, width in zip(goals, widths(point, goals, on), strict=True):
        case = replace(point, d_ff=width)
        match = Match(goals[goal], on, budget(price(case)) / goal)
        known = cases.get(case)
        if known is None or abs(match.ratio - 1) > abs(known.ratio - 1):
            cases[case] = match
    return cases


def widths(point: Case, goals: Iterable[int], on: str) -> list[int]:
    """Return for each of `goals` (FLOPs or parameters) the d_ff at which `point` costs it, to a multiple of 8.

    Every cost is a straight line in d_ff, so two points of it give the width. Raises MatchError where the layer
    costs more than a goal even at the smallest width, or less at the largest that an axis may have.
    """
    budget = _BUDGET[on]
    low, high = (budget(price(replace(point, d_ff=n * MULTIPLE))) for n in (1, 2))
    goals = list(goals)
    if goals and low > min(goals):
        raise MatchError(f"even with d_ff = {MULTIPLE} it costs {low / min(goals):.3g} times as much ({on})")
    solved = [MULTIPLE * (1 + round((goal - low) / (high - low))) for goal in goals]
    if solved and max(solved) > LARGEST:
        raise MatchError(f"it would take d_ff = {max(solved):,} ({on})")
    return solved
