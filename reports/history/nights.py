"""Nights: runs whose times stand alone, contradicted by the runs before and after them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.judge.compare import drift
from reports.history.groups import WHOLE
from reports.history.shifts import Line


@dataclass(frozen=True, slots=True)
class Night:
    """A run in which latencies stand alone."""

    run: int
    cases: int
    of: int
    """Cases that have a latency in it."""
    ratio: float
    """Median over those cases of their latency over its level."""
    first: tuple[str, ...]
    """Ids of the first of them."""
    last: bool
    """Whether no run came after it, so that it may be the first of a new level."""

    @property
    def whole(self) -> bool:
        """Whether it is the run that stands apart, and not some of its cases."""
        return self.cases >= max(2, WHOLE * self.of)


def nights(lines: Sequence[Line], runs: int) -> tuple[Night, ...]:
    """Return the runs with latencies that stand alone, in the order of time."""
    timed = [line for line in lines if line.metric == "latency_ms"]
    found = ((run, _alone(timed, run)) for run in range(runs))
    return tuple(
        Night(
            run=run,
            cases=len(alone),
            of=sum(any(point.run == run for point in line.points) for line in timed),
            ratio=drift(alone.values()) or 1.0,
            first=tuple(alone)[:3],
            last=run == runs - 1,
        )
        for run, alone in found
        if alone
    )


def _alone(timed: Sequence[Line], run: int) -> dict[str, float]:
    """Return the cases whose latency stands alone in a run, by id, each with its ratio to its level."""
    return {
        line.subject.id: next(point.value for point in line.points if point.run == run) / line.level_at[run]
        for line in timed
        if run in line.apart and run in line.level_at
    }
