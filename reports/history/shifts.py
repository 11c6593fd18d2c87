"""Shifts: what a history is made of: lines of points with their levels, and what changed in them, since which run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from harness.judge.compare import WORSE, Change, Word
from harness.judge.verdict import MARGIN
from harness.metrics import METRICS
from reports.subjects import Subject

How = Literal["step", "drift", "exact", "unsteady", "status", "plan"]
"""A new level, a line without one, a number without noise that is another, one that keeps changing back, a case that
came to fail or to run, and one that the suite took up, dropped or redefined."""


@dataclass(frozen=True, slots=True)
class Shift:
    """One change in one case's history."""

    subject: Subject
    where: str
    metric: str | None
    """None where it is about the case as a whole."""
    how: How
    word: Word
    run: int
    """Since which run: its place in the order of time."""
    earliest: int
    latest: int
    """Between these it happened, with 95 %; both are `run` where nothing is left open."""
    before: float | str | None = None
    after: float | str | None = None
    change: Change | None = None
    """After over before; None where there is no noise to judge."""
    why: str | None = None

    @property
    def weight(self) -> tuple[int, bool, float]:
        """What sorts the list: what is worse first, then by the effect over its noise; what the suite did is last.

        A few bytes or FLOPs have no noise that they could drown in, and stand behind what matters.
        """
        rank = 3 if self.how == "plan" else 0 if self.word in WORSE else 1 if self.word != "changed" else 2
        return rank, self._is_small, -(self.change.factor if self.change else float("inf"))

    @property
    def _is_small(self) -> bool:
        if self.metric is None or METRICS[self.metric].unit not in ("B", "FLOP"):
            return False
        numbers = isinstance(self.before, (int, float)) and isinstance(self.after, (int, float))
        return numbers and abs(float(self.after or 0) - float(self.before or 0)) <= MARGIN * abs(
            float(self.before or 0)
        )


@dataclass(frozen=True, slots=True)
class Point:
    """One run's estimate of a number."""

    run: int
    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Level:
    """Runs in a row that share a level."""

    first: int
    last: int
    value: float


@dataclass(frozen=True, slots=True)
class Line:
    """One number of one case through all runs."""

    subject: Subject
    where: str
    metric: str
    points: tuple[Point, ...]
    levels: tuple[Level, ...]
    """None of a number without noise: its values are their own levels."""
    apart: tuple[int, ...]
    """Runs that stand alone."""
    shifts: tuple[Shift, ...]

    @property
    def level_at(self) -> dict[int, float]:
        """The level of each run."""
        return {run: each.value for each in self.levels for run in range(each.first, each.last + 1)}
