"""Groups: changes of one variant's metric that one run explains; a reader looks for a cause, and a cause hits many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from harness.judge.compare import Word, drift
from reports.history.shifts import How, Line, Shift
from reports.history.tracks import Track

WHOLE = 1 / 3
"""Share of the cases from which what befalls them in one run is the run's, not theirs."""


@dataclass(frozen=True, slots=True)
class Group:
    """Changes of one variant's metric, of one kind and direction, that may all have begun with one run."""

    shifts: tuple[Shift, ...]
    """What matters most first."""
    run: int
    of: int
    """Cases of the variant that have the metric."""
    ratio: float | None
    """Median of new over old; None where these are no numbers above 0."""

    @property
    def first(self) -> Shift:
        """The one that matters most."""
        return self.shifts[0]

    @property
    def metric(self) -> str | None:
        """The metric that changed."""
        return self.first.metric

    @property
    def word(self) -> Word:
        """The verdict that all share."""
        return self.first.word

    @property
    def how(self) -> How:
        """The kind of change that all share."""
        return self.first.how


@dataclass(frozen=True, slots=True)
class Together:
    """Latencies that changed with the same run."""

    run: int
    cases: int
    of: int
    ratio: float
    """Median of their changes."""


def groups(shifts: Sequence[Shift], tracks: Sequence[Track]) -> tuple[Group, ...]:
    """Return the changes in groups, what matters most first."""
    alike: dict[tuple[str, str | None, How, Word], list[Shift]] = {}
    for shift in sorted(shifts, key=lambda each: each.weight):
        alike.setdefault((shift.subject.variant, shift.metric, shift.how, shift.word), []).append(shift)
    found = [
        Group(tuple(some), run, _cases(tracks, variant, metric), _median(some))
        for (variant, metric, _, _), each in alike.items()
        for run, some in _by_run(each)
    ]
    return tuple(sorted(found, key=lambda group: (group.first.weight, -len(group.shifts))))


def together(lines: Iterable[Line]) -> tuple[Together, ...]:
    """Return the runs with which the latency of more than WHOLE of all cases changed, in the order of time."""
    timed = [line for line in lines if line.metric == "latency_ms"]
    by_run: dict[int, list[float]] = {}
    for shift in (shift for line in timed for shift in line.shifts):
        if shift.how == "step" and shift.change is not None:
            by_run.setdefault(shift.run, []).append(shift.change.ratio.value)
    return tuple(
        Together(run, len(ratios), len(timed), drift(ratios) or 1.0)
        for run, ratios in sorted(by_run.items())
        if len(ratios) >= max(2, WHOLE * len(timed))
    )


def _by_run(shifts: Sequence[Shift]) -> list[tuple[int, list[Shift]]]:
    """Return the changes by the run that explains most of them: where noise leaves the place open, others decide it."""
    left, out = list(shifts), []
    while left:
        votes = Counter(run for shift in left for run in range(shift.earliest, shift.latest + 1))
        own = Counter(shift.run for shift in left)
        run = max(votes, key=lambda each: (votes[each], own[each], -each))
        out.append((run, [shift for shift in left if shift.earliest <= run <= shift.latest]))
        left = [shift for shift in left if not shift.earliest <= run <= shift.latest]
    return out


def _cases(tracks: Sequence[Track], variant: str, metric: str | None) -> int:
    return sum(track.subject.variant == variant and (metric is None or track.has(metric)) for track in tracks)


def _median(shifts: Sequence[Shift]) -> float | None:
    ratios = [each.after / each.before for each in shifts
              if isinstance(each.before, (int, float)) and isinstance(each.after, (int, float))
              and each.before > 0 and each.after > 0]  # fmt: skip
    return float(np.median(ratios)) if len(ratios) == len(shifts) else None
