"""Pareto fronts where capacity is known to the last digit and cost has noise: who is beaten, and by whom.

A point is dominated only by one that has no less capacity and costs less beyond noise, or that costs the same within
the margin and has more. Capacities within `equal` of each other count as the same, as they do wherever budgets are
compared: a router's own parameters buy no place on a front.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from harness.judge.multiple import benjamini_hochberg, survives
from harness.judge.stats import Interval
from harness.judge.verdict import Verdict

Standing = Literal["front", "level", "undecided", "dominated"]
"""front: no other beats it; level: another costs the same within the margin at the same capacity, and a trifle less;
undecided: another may beat it, and noise hides whether; dominated: another does."""
TRIES = 3
"""Rivals held against a point, the cheapest first: where these do not beat it beyond noise, dearer ones hardly will."""
_RANK: tuple[Standing, ...] = ("dominated", "undecided", "level", "front")


@dataclass(frozen=True, slots=True)
class Test:
    """One point's cost over another's."""

    ratio: Interval | None
    verdict: Verdict
    p: float | None
    """The chance of such a ratio if both cost the same; None where nobody can tell, 0 where there is no noise."""

    __test__ = False  # pytest collects what is called Test


@dataclass(frozen=True, slots=True)
class Place:
    """Where a point stands."""

    standing: Standing
    rival: int | None = None
    """Index of the point that beats it, or may; None on the front."""
    test: Test | None = None
    """The rival's cost over the point's."""


Over = Callable[[int, int], Test]
"""Takes two indices, returns the first one's cost over the second's."""


def places(costs: Sequence[float], capacities: Sequence[float], over: Over, equal: float) -> list[Place]:
    """Return where each point stands, all that are called dominated counted together (Benjamini and Hochberg).

    Args:
        costs: Estimates, lower is better; they say whom to look at, and `over` what it shows.
        capacities: Exact and positive, higher is better.
        over: How one cost stands to another, with its noise.
        equal: Capacities within this share of each other are the same.
    """
    order = sorted(range(len(costs)), key=lambda index: (costs[index], -capacities[index]))
    found = [_place(index, order, costs, capacities, over, equal) for index in range(len(costs))]
    beaten = [index for index, place in enumerate(found) if place.test and place.test.verdict == "faster"]
    kept = survives([test.p if (test := found[index].test) else None for index in beaten], benjamini_hochberg)
    for index, keeps in zip(beaten, kept, strict=True):
        found[index] = found[index] if keeps else replace(found[index], standing="undecided")
    return found


def _place(
    index: int, order: Sequence[int], costs: Sequence[float], capacities: Sequence[float], over: Over, equal: float
) -> Place:
    worst = Place("front")
    for rival in _rivals(index, order, costs, capacities, equal):
        test = over(rival, index)
        more = capacities[rival] > capacities[index] * (1 + equal)
        standing = _standing(test.verdict, more=more, ahead=costs[rival] <= costs[index])
        if _RANK.index(standing) < _RANK.index(worst.standing):
            worst = Place(standing, rival, test)
        if standing == "dominated":
            break
    return worst


def _rivals(
    index: int, order: Sequence[int], costs: Sequence[float], capacities: Sequence[float], equal: float
) -> list[int]:
    """Return whom to hold a point against: the cheapest of no less capacity, and the next dearer one that has more."""
    at = order.index(index)
    enough = [other for other in order[:at] if capacities[other] * (1 + equal) >= capacities[index]]
    above = (other for other in order[at + 1 :] if capacities[other] > capacities[index] * (1 + equal))
    nearest = next(above, None)
    return enough[:TRIES] + ([] if nearest is None else [nearest])


def _standing(verdict: Verdict, *, more: bool, ahead: bool) -> Standing:
    """Return what one rival makes of a point; `more`: it has more capacity, `ahead`: its estimate is the lower one."""
    if verdict == "faster" or (verdict == "same" and more):
        return "dominated"
    if verdict == "undecided" and (more or ahead):
        return "undecided"
    return "level" if verdict == "same" and ahead else "front"
