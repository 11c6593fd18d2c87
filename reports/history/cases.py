"""What befell cases as wholes: the suite took them up, dropped or redefined them, they came to fail or to run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from harness.judge.compare import Word
from reports.history.shifts import Shift
from reports.history.tracks import Track
from reports.results import Result


def of_cases(tracks: Sequence[Track]) -> Iterator[Shift]:
    """Yield what befell cases as wholes: the suite took them up or dropped them, they came to fail or to run."""
    planned = list(_of_plan(tracks))
    yield from _redefined(planned)
    for track in tracks:
        yield from _of_status(track)


def _of_plan(tracks: Sequence[Track]) -> Iterator[tuple[Track, Shift]]:
    """Yield where the suite took a case up or dropped it; what a run's --select left out, it has all the same."""
    for track in tracks:
        there = [run for run, result in enumerate(track.results) if result is not None]
        lacking = sorted(set(range(len(track.results))) - set(there) - track.unselected)
        first, last = there[0], next((run for run in lacking if run > there[-1]), None)
        if lacking and lacking[0] < first:
            new = "it is new"
            yield track, Shift(track.subject, track.where, None, "plan", "changed", first, first, first, why=new)
        if last is not None:
            why = "the suite no longer has it"
            yield track, Shift(track.subject, track.where, None, "plan", "missing", last, last, last, why=why)


def _redefined(planned: Sequence[tuple[Track, Shift]]) -> Iterator[Shift]:
    """Yield the changes of the plan, a case that went and one that came under its name in the same run as one."""
    gone = {(shift.subject.id, shift.run): track for track, shift in planned if shift.word == "missing"}
    came = {(shift.subject.id, shift.run): track for track, shift in planned if shift.word != "missing"}
    for track, shift in planned:
        place = (shift.subject.id, shift.run)
        if place not in gone or place not in came:
            yield shift
        elif shift.word != "missing":
            what = _difference(_last(gone[place]), _last(track))
            yield Shift(shift.subject, shift.where, None, "plan", "not comparable", shift.run, shift.run, shift.run,
                        why=f"it is another case: {what}")  # fmt: skip


def _last(track: Track) -> Result:
    return next(result for result in reversed(track.results) if result is not None)


def _difference(before: Result, after: Result) -> str:
    old, new = before.case.as_dict(), after.case.as_dict()
    changed = [f"{name} was {old[name]} and is {new.get(name)}" for name in old if old[name] != new.get(name)]
    return ", ".join(changed) or "its content key"


def _of_status(track: Track) -> Iterator[Shift]:
    """Yield the last time at which the case came to fail, or to run."""
    tried = [(run, each) for run, each in enumerate(track.results) if each is not None and not each.untried]
    turns = [(run, old, new) for (_, old), (run, new) in pairwise(tried) if old.ok != new.ok]
    for run, old, new in turns[-1:]:
        word: Word = "better" if new.ok else "failed"
        why = f"it was {old.status} and runs" if new.ok else f"{new.status}: {new.reason}"
        yield Shift(track.subject, track.where, None, "status", word, run, run, run, old.status, new.status, why=why)
