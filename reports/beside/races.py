"""Races: which run is fastest at each case, among runs whose times may be compared; a tie where noise hides it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from harness.judge.compare import Change, changes, together
from harness.judge.stats import Interval
from reports.results import Result, Run
from reports.versus.floor import noise_of
from reports.versus.machines import FORBIDDING, facts

At = tuple[int, str]
"""Number of a run, and content key of a case."""


@dataclass(frozen=True, slots=True)
class Rival:
    """A run that is not the fastest at a case."""

    run: int
    change: Change
    """Its time over the leader's."""
    known: bool
    """Whether this very pair of times is compared elsewhere on the page, and counted there."""
    floor: float


@dataclass(frozen=True, slots=True)
class Race:
    """One case in all comparable runs that have its time."""

    key: str
    leader: int
    """Number of the run with the least time."""
    rivals: tuple[Rival, ...]


def classes(runs: Sequence[Run]) -> list[list[int]]:
    """Return the numbers of the runs, those whose times may be compared with each other together."""
    found: dict[tuple[str | None, ...], list[int]] = {}
    for number, run in enumerate(runs):
        told = facts(run)
        found.setdefault(tuple(told.get(name) for name in FORBIDDING), []).append(number)
    return list(found.values())


def races(runs: Sequence[Run], to_first: Mapping[At, Change]) -> list[Race]:
    """Return a race for each case that two comparable runs or more have timed, in the runs' order."""
    found: list[tuple[str, int, list[tuple[int, Change | None]]]] = []
    open_: list[tuple[Result, Result]] = []
    for some in classes(runs):
        by_key = [{result.key: result for result in runs[number].results if _timed(result)} for number in some]
        for key in dict.fromkeys(key for results in by_key for key in results):
            here = {number: results[key] for number, results in zip(some, by_key, strict=True) if key in results}
            if len(here) > 1:
                leader = min(here, key=lambda number: here[number].ms or math.inf)
                pairs = [(other, _known(leader, other, key, to_first)) for other in here if other != leader]
                found.append((key, leader, pairs))
                open_ += [(here[leader], here[other]) for other, known in pairs if known is None]
    return _finished(runs, found, _judged(open_))


def _timed(result: Result) -> bool:
    return len([time for time in result.rounds() if time is not None]) > 1


def _known(leader: int, other: int, key: str, to_first: Mapping[At, Change]) -> Change | None:
    """Return the change of `other` over the leader, where one of the two is the first run."""
    if leader == 0:
        return to_first.get((other, key))
    found = to_first.get((leader, key)) if other == 0 else None
    return None if found is None else _inverse(found)


def _inverse(change: Change) -> Change:
    ratio = change.ratio
    return replace(change, ratio=Interval(1 / ratio.value, 1 / ratio.high, 1 / ratio.low), samples=None)


def _judged(pairs: Sequence[tuple[Result, Result]]) -> list[Change | None]:
    """Return each rival's change over its leader; all are latencies, and share what is known of their noise."""
    found = changes([(leader.rounds(), other.rounds()) for leader, other in pairs])
    known = iter(together([one for one in found if one is not None]))
    return [None if one is None else next(known) for one in found]


def _finished(
    runs: Sequence[Run], found: Sequence[tuple[str, int, list[tuple[int, Change | None]]]], new: Sequence[Change | None]
) -> list[Race]:
    fresh = iter(new)
    out = []
    for key, leader, pairs in found:
        rivals = []
        for other, known in pairs:
            change = known if known is not None else next(fresh)
            if change is not None:
                floor = noise_of(runs[leader], runs[other]).floor
                rivals.append(Rival(other, change, known is not None, floor))
        out.append(Race(key, leader, tuple(rivals)))
    return out
