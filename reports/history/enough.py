"""Enough: of how much the runs are too few to tell whether it changed, which is not the same as that it did not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.judge.trend import MIN_RUNS
from reports.history.shifts import Line
from reports.history.stops import Era
from reports.history.tracks import Track
from reports.versus.versus import TIMED


@dataclass(frozen=True, slots=True)
class Enough:
    """What the runs can tell a change of."""

    shared: int
    """Cases that have numbers in two runs."""
    judged: int
    """Series of noisy numbers with runs enough to tell a change."""
    short: int
    """Those with too few."""

    @property
    def lacking(self) -> str:
        """How many series have too few runs, as a clause; empty where none has."""
        if not self.short:
            return ""
        series = f"{self.short} of {self.judged + self.short} noisy series {'has' if self.short == 1 else 'have'}"
        return f"{series} fewer than the {MIN_RUNS} runs in one environment that it takes to tell a change"

    @property
    def nothing(self) -> str:
        """What is to be said where no change was found, as a clause."""
        if not self.shared:
            return "no case has numbers in two runs"
        if not self.judged:
            return (f"no number without noise changed; to tell it of a time takes {MIN_RUNS} runs in one environment,"
                    " and --beside compares fewer")  # fmt: skip
        return f"no number changed by more than its noise{f'; {self.lacking}' if self.short else ''}"


def enough(lines: Sequence[Line], tracks: Sequence[Track], eras: Sequence[Era]) -> Enough:
    """Return what the runs can tell a change of."""
    noisy = [line for line in lines if line.metric in TIMED and line.points]
    judged = sum(any(_usual(line, era) >= MIN_RUNS for era in eras) for line in noisy)
    measured = [sum(result is not None and result.ok for result in track.results) for track in tracks]
    return Enough(sum(runs > 1 for runs in measured), judged, len(noisy) - judged)


def _usual(line: Line, era: Era) -> int:
    """Return of how many runs of the era the line has a number that does not stand alone."""
    return sum(era.first <= point.run <= era.last and point.run not in line.apart for point in line.points)
