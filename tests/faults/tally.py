"""What a fault cost: the run that it befell is held against the run that nothing disturbed, and the witness."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import psutil

from harness.engine.fold import AnyRecord
from harness.engine.folder import JOURNAL, read_run
from harness.engine.journal import read_journal
from harness.metrics import METRICS
from harness.record import SPOILED
from tests.faults.sweeps import witness_of

MARK = "MOE_HARNESS_FAULTS"
"""Environment variable that all processes of one test inherit, so that what outlives the test is found."""
TIMED = {name for name, metric in METRICS.items() if not metric.exact}
"""Metrics that a clock gave; all others are exact, and come out equal however often they are measured."""
FADE_S = 5.0
"""What a process that was told to end may take for it."""


@dataclass(slots=True)
class Counts:
    """What one fault did; all but the first two must be 0."""

    injected: int = 0
    compared: int = 0
    """Records held against the undisturbed run's."""
    lost: int = 0
    """Records that are missing, or no longer hold what the undisturbed run measured."""
    twice: int = 0
    """Visits made again, beyond one in flight for each fault."""
    wrong: int = 0
    """Records with another status than the fault should have given its case."""
    left: int = 0
    """Processes that outlived the run, zombies among them."""

    def __iadd__(self, other: Counts) -> Counts:
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))
        return self

    @property
    def harm(self) -> int:
        """What must be 0."""
        return self.lost + self.twice + self.wrong + self.left


class Tally:
    """The counts by kind of fault, over a whole session."""

    def __init__(self) -> None:
        self.counts: dict[str, Counts] = {}
        self.remarks: list[str] = []

    def add(self, kind: str, counts: Counts) -> None:
        """Count in, and fail where a fault did harm."""
        self.counts.setdefault(kind, Counts())
        self.counts[kind] += counts
        assert not counts.harm, f"{kind}: {counts}"

    def rows(self) -> Iterator[tuple[str, ...]]:
        """Yield the table: its head, a row a kind, the sum."""
        yield ("fault", "injected", "records compared", "lost", "measured twice", "wrong status", "processes left")
        total = Counts()
        for kind, counts in self.counts.items():
            total += counts
            yield (kind, *map(str, astuple(counts)))
        yield ("all", *map(str, astuple(total)))


Truth = Mapping[str, AnyRecord]
"""The undisturbed run's records by key."""


def count(
    folder: Path,
    truth: Truth,
    *,
    injected: int,
    in_flight: int | None = None,
    statuses: Mapping[str, Collection[str]] | None = None,
    again: int = 0,
) -> Counts:
    """Hold the run in `folder` against the undisturbed one.

    Args:
        folder: The run, with its witness beside it.
        truth: What a run of the same plan gives where nothing disturbs it.
        injected: Faults.
        in_flight: Visits that they may have cut short, to be made again; None: one each.
        statuses: By variant, what its cases may be; the undisturbed run's status for those that are not named.
        again: Visits that were seen to be made again although the journal had them.
    """
    records = {record.key: record for record in read_run(folder).records}
    wrong = lost = 0
    for key, true in truth.items():
        mine = records.get(key)
        allowed = (statuses or {}).get(true.variant, (true.status,))
        if mine is None:
            lost += 1
        elif mine.status not in allowed:
            wrong += 1
        elif mine.status == "ok" and exact(mine, wrapped := true.variant in (statuses or {})) != exact(true, wrapped):
            lost += 1
    twice = again + _twice(folder, injected if in_flight is None else in_flight)
    return Counts(injected, len(truth), lost, twice, wrong, len(leftovers()))


def exact(record: AnyRecord, wrapped: bool = False) -> dict[str, object]:
    """Return the metrics that no clock gave, and of the latency whether it is there and from how many rounds.

    A layer whose forward a fault has `wrapped` cannot be copied to fake tensors, and has no peak under them.
    """
    assert record.metrics is not None
    latency = record.metrics.get("latency_ms")
    own = {name: value for name, value in record.metrics.items() if name not in TIMED}
    if wrapped:
        own.pop("memory_fake_bytes", None)
    return own | {"rounds": None if latency is None else len(latency.rounds or [])}


def begun(folder: Path) -> Counter[int]:
    """Return how often each visit was begun, as the witness saw it."""
    return Counter(int(visit) for what, visit, _ in _witnessed(folder) if what == "begin")


def journaled(folder: Path) -> set[int]:
    """Return the visits that the journal has, and that say something about their cases."""
    return {line.visit for line in read_journal(folder / JOURNAL) if line.end not in SPOILED}


def begun_again(before: Counter[int], kept: Iterable[int], folder: Path) -> int:
    """Return how many of the visits that the journal had (`kept`) were begun since the witness saw `before`."""
    now = begun(folder)
    return sum(now[visit] - before[visit] for visit in kept)


def leftovers() -> list[psutil.Process]:
    """Return the processes of this test that still live, after the time that an ended one may take, and zombies."""
    deadline = time.monotonic() + FADE_S
    while (found := [*_marked(), *_zombies()]) and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


def end_leftovers() -> None:
    """End them: the next test's count is its own."""
    for process in _marked():
        with suppress(psutil.Error):
            process.kill()


def _twice(folder: Path, in_flight: int) -> int:
    """Return the visits begun again beyond those in flight, and the lines that the journal has twice."""
    places = [line.place for line in read_journal(folder / JOURNAL) if line.end not in SPOILED]
    extra = sum(begun(folder).values()) - len(begun(folder))
    return max(0, extra - in_flight) + len(places) - len(set(places))


def _witnessed(folder: Path) -> list[list[str]]:
    path = witness_of(folder)
    return [line.split() for line in path.read_text("utf-8").splitlines()] if path.exists() else []


def _marked() -> list[psutil.Process]:
    mark = os.environ[MARK].encode()
    found = []
    for pid in psutil.pids():
        with suppress(OSError):
            if pid != os.getpid() and mark in Path(f"/proc/{pid}/environ").read_bytes():
                found.append(psutil.Process(pid))
    return found


def _zombies() -> list[psutil.Process]:
    """Return children of this process that nobody has waited for."""
    children = psutil.Process().children()
    return [child for child in children if _is_zombie(child)]


def _is_zombie(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False
