"""Stops: the runs of one suite in the order of time, and where their circumstances change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import combinations, pairwise
from pathlib import Path

from reports.read import ReportError
from reports.results import Run
from reports.sections.noise_floor import DIFFER
from reports.versus.machines import FORBIDDING, Difference, differences
from reports.words import count

SPLITTING = {
    "environment.torch",
    "environment.packages.torch",
    "environment.triton",
    "environment.packages.triton",
    "device.cuda",
    "device.driver",
    *FORBIDDING,
}
"""Facts that begin a new era: what forbids a ratio of two runs, and the software that every kernel comes from. Between
two runs a ratio across a change of torch is the answer to a question; in a history it would blame a commit for it."""


@dataclass(frozen=True, slots=True)
class Stop:
    """One run on the axis of time."""

    name: str
    started: str
    """ISO time."""
    commit: str
    """Seven digits of the harness's commit, or of what is known in its place; `+` where there were changes on it."""
    era: int
    ok: int
    planned: int
    told: tuple[str, ...]
    """What a reader should know of this run."""

    @property
    def day(self) -> str:
        """`2026-11-21`."""
        return self.started[:10]

    @property
    def time(self) -> str:
        """`02:14`."""
        return self.started[11:16]

    @property
    def phrase(self) -> str:
        """The run in a sentence: `run quick-20261121 (commit 9f3c1ab, 2026-11-21)`."""
        return f"run {self.name} (commit {self.commit}, {self.day})"


@dataclass(frozen=True, slots=True)
class Era:
    """Runs in a row under circumstances that allow to compare their times."""

    first: int
    last: int
    changed: tuple[str, ...]
    """In what it differs from the one before: `torch: 2.11.0, then 2.13.0`; empty for the first."""


def in_order(runs: Sequence[tuple[Path, Run]]) -> list[Run]:
    """Return the runs in the order in which they were started.

    Raises:
        ReportError: They are of different suites, one is there twice, or one does not say when it was started.
    """
    _refuse_other_suites(runs)
    _refuse_twice(runs)
    return [run for _, run in sorted(runs, key=lambda each: _moment(*each))]


def eras(runs: Sequence[Run]) -> list[Era]:
    """Return the eras of runs that are in order."""
    starts = [(0, ())] + [
        (at, tuple(dict.fromkeys(one.words for one in found)))
        for at, (before, after) in enumerate(pairwise(runs), start=1)
        if (found := _splitting(before, after))
    ]
    ends = [at - 1 for at, _ in starts[1:]] + [len(runs) - 1]
    return [Era(first, last, changed) for (first, changed), last in zip(starts, ends, strict=True)]


def stops(runs: Sequence[Run], of: Sequence[Era], unselected: Sequence[int]) -> list[Stop]:
    """Return what is said of each run; `unselected` counts the cases that its --select left out."""
    return [
        Stop(
            name=run.name,
            started=run.file.started,
            commit=_commit(run),
            era=next(number for number, era in enumerate(of) if era.first <= at <= era.last),
            ok=sum(result.ok for result in run.results),
            planned=len(run.results),
            told=tuple(_told(run, unselected[at])),
        )
        for at, run in enumerate(runs)
    ]


def _splitting(before: Run, after: Run) -> list[Difference]:
    return [one for one in differences(before, after) if one.name in SPLITTING]


def _told(run: Run, unselected: int) -> Iterator[str]:
    if unselected:
        yield f"{count(unselected, 'case')} not selected (--select {run.file.suite.select})"
    if run.damage:
        yield run.damage
    if run.file.status != "complete":
        yield "it was not finished"
    if run.distrusted:
        yield DIFFER
    if failed := sum(not result.ok and not result.untried for result in run.results):
        yield f"{failed} failed"


def _commit(run: Run) -> str:
    harness = run.file.harness
    return (harness.commit or harness.source or harness.version)[:7] + ("+" if harness.dirty else "")


def _refuse_other_suites(runs: Sequence[tuple[Path, Run]]) -> None:
    first, expected = runs[0][0], runs[0][1].file.suite.name
    for folder, run in runs[1:]:
        if (name := run.file.suite.name) != expected:
            raise ReportError(
                f"{folder} is of suite {name}, {first} of {expected}: a history is of one suite; name the runs of one."
            )


def _refuse_twice(runs: Sequence[tuple[Path, Run]]) -> None:
    for (a, one), (b, other) in combinations(runs, 2):
        if a.resolve() == b.resolve():
            raise ReportError(f"{a} is named twice: a run counts once in a history.")
        if one.file.started == other.file.started and one.records == other.records:
            raise ReportError(f"{a} and {b} are the same run: same start, same records; a run counts once.")


def _moment(folder: Path, run: Run) -> datetime:
    try:
        moment = datetime.fromisoformat(run.file.started)
    except ValueError:
        raise ReportError(
            f"{folder / 'run.json'} does not say when the run was started: {run.file.started!r} is no ISO time."
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def dates(stops: Sequence[Stop]) -> list[str]:
    """Return short labels of runs: the day, and the time of day too where two of them are of one."""
    days = [stop.day[5:] for stop in stops]
    if len(set(days)) == len(days):
        return days
    if len(set(days)) == 1:
        return [stop.time for stop in stops]
    return [f"{day} {stop.time}" for day, stop in zip(days, stops, strict=True)]


def reach(stops: Sequence[Stop]) -> str:
    """Return from when to when the runs are: days, or of one day the times."""
    first, last = stops[0], stops[-1]
    if first.day != last.day:
        return f"{first.day} to {last.day}"
    return f"{first.day}, {first.time} to {last.time}" if first is not last else f"{first.day}, {first.time}"
