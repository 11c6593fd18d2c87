"""One run's visits, from the first to the last: sent to a worker, journaled, folded.

Whatever happens to one case, the sweep goes on to the next. `turns.py` says which visit comes when.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, count
from pathlib import Path
from typing import Any

from harness.declare.cut import Share
from harness.declare.frontier import Frontier
from harness.declare.planned import Plan
from harness.declare.plugins import names_code, search_folders
from harness.declare.rounds import A_A, LABEL, measured_by
from harness.declare.visits import Visit, Visits, a_a_cells, further_rounds, seconds_allowed
from harness.devices.interface import NoSuchDevice
from harness.devices.names import Detected
from harness.engine.cells import fewest_rounds, noise_document
from harness.engine.family import Orphans
from harness.engine.fold import AnyRecord, Circumstances, fold
from harness.engine.folder import JOURNAL, LOG, TRACES
from harness.engine.journal import Journal, Line, read_journal
from harness.engine.keeper import Keeper, WorkerOptions
from harness.engine.kept import Kept, Records
from harness.engine.ledger import Ledger
from harness.engine.lines import line_of, lost_answer
from harness.engine.logbook import Logbook, status
from harness.engine.marks import MOVED
from harness.engine.precision import is_precise
from harness.engine.process import Interrupted, Stopped
from harness.engine.progress import Progress
from harness.engine.protocol import Request
from harness.engine.sources import Sources
from harness.engine.standing import standing
from harness.engine.station import Station
from harness.record import End

SETTINGS = ("seconds_per_visit", "min_samples", "seed", "energy_seconds", "timeout")
"""What a worker is told of a suite's `[measure]`."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """What came of a run."""

    folder: Path
    status: str
    """complete or interrupted."""
    end: End
    """Why the run ended: ok, or what CUT_SHORT lists."""
    records: Sequence[AnyRecord]
    """One for every planned case, as in records.jsonl."""
    visited: int
    """Visits made."""
    reused: int
    """Finished visits of the resumed run that were not made again."""


class DeviceLost(Exception):
    """The device that the run is on has gone in the midst of it."""


class Sweep:
    """One run from its first visit to its records.

    It may be asked by several threads, each for a station of its own: one visit of each is in flight, and all that is
    counted and kept is under one lock.

    Args:
        plan: What is measured.
        folder: Where to.
        document: What run.json says.
        device: What is measured on, or one of several that are alike.
        options: How workers are started.
        progress: Is told of every visit and case.
        stopped: Whether the run is to stop.
        budget: Seconds after which it ends with what it has; None: no end.
        orphans: Shared with runs whose workers live at the same time.
        shares: The visits, cut for stations that others keep; None: all of them are for one worker, kept here.
    """

    def __init__(
        self,
        plan: Plan,
        folder: Path,
        document: dict[str, Any],
        device: Detected,
        options: WorkerOptions,
        progress: Progress,
        stopped: Stopped,
        budget: float | None = None,
        orphans: Orphans | None = None,
        shares: Sequence[Share] | None = None,
    ) -> None:
        self._lock = threading.RLock()
        self._folder = folder
        self.logbook = Logbook(folder, document, device)
        """run.json."""
        self._progress = progress
        self._asked = stopped
        self._deadline = None if budget is None else time.monotonic() + budget
        self._measure = plan.suite.measure
        self._halted = False
        self._keeper = None if shares is not None else self._own_keeper(plan, device, options, orphans)
        self._cases = {planned.case.key: planned for planned in plan.cases}
        self._plan, self._cache, self._hurried = plan, options.cache_bytes, budget is not None
        if shares is None:
            self._visits, cells = [Visits(plan, self._cache, self._hurried)], a_a_cells(plan, self._cache)
        else:
            self._visits = [share.visits for share in shares]
            cells = frozenset[str]().union(*(share.cells for share in shares))
        self._ledger = Ledger(cells, self._read)
        self._ledger.expect(self.visits)
        self._rounds: dict[str | None, int | None] = {}
        """The round that each station is in."""
        self._records = Kept(folder)
        self._written: Records | None = None
        self._sources = Sources.of(plan, device.kind, options.root)
        self._frontier = Frontier()
        self._journal: Journal | None = None
        self._reused = 0
        self.workers = 0
        """How many workers the run had before this sitting."""
        self.end: End = "interrupted"
        """Why the run ended; whoever sees it end says so."""

    def take_up(self) -> None:
        """Take over the visits of an earlier sitting that still stand."""
        cases = {key: planned.case for key, planned in self._cases.items()}
        lines = read_journal(self._folder / JOURNAL)
        found = standing(lines, cases, self._sources, resuming=True)
        self.workers = 1 + max((line.setup.get("worker", -1) for line in lines), default=-1)
        if self._keeper is not None:
            self._keeper.numbers = count(self.workers)
        for line in found.lines:
            self._take(line)
        if found.lines or found.stale:
            self._progress.remark(f"resumed: {found.sentence}")
        self._reused = len(found.lines)
        self.logbook.sit_down(self._sources, self._reused, found.stale)

    def begin(self) -> None:
        """Open the journal; cases that need no visit have their records now."""
        self._journal = Journal(self._folder / JOURNAL)
        self._progress.begin(len(self._cases), filter(self._ledger.is_left, self.visits))
        for key in self._cases:
            if self._ledger.has_failed(key) or self._has_all(key):
                self._finish_case(key)

    def stopped(self) -> bool:
        """Return whether the run is to stop: somebody asked for it, its time is up, or it cannot go on."""
        return self._halted or self._asked() or (self._deadline is not None and time.monotonic() >= self._deadline)

    def halt(self) -> None:
        """Let all stations stop."""
        self._halted = True

    @property
    def cut_short(self) -> End:
        """Why it was interrupted: somebody asked for it, or its time is up."""
        return "interrupted" if self._asked() else "over_budget"

    @property
    def visits(self) -> Iterator[Visit]:
        """The visits that are known beforehand, in order."""
        return chain.from_iterable(self._visits)

    def further(self, is_wanting: Callable[[str, int], bool]) -> Iterator[list[Visit]]:
        """Yield the rounds beyond `visits`, of a suite with a precision; `is_wanting` is asked at each look."""
        yield from further_rounds(self._plan, sum(map(len, self._visits)), is_wanting, self._cache, self._hurried)

    def expect(self, round_: list[Visit]) -> None:
        """Count in a further round."""
        with self._lock:
            self._ledger.expect(round_)
            self._progress.more(self._ledger.left(round_))

    def make(self, visit: Visit) -> None:
        """Make a visit with the run's own worker, if it was not made and still has a point.

        Raises:
            Interrupted: The run is to stop.
            DeviceLost: The device has gone in it.
            NoSuchDevice: The device is not here, and was not when the run began.
            WorkerFailed: No worker can be started.
        """
        assert self._keeper is not None
        line = self.ask(visit, self._keeper)
        if line is not None:
            self.keep(line)
            if line.end == "device_lost":
                raise DeviceLost

    def ask(self, visit: Visit, station: Station, *, moved: bool = False) -> Line | None:
        """Return what came of a visit on a station, not yet kept; None where it was made, or has no point any more.

        `moved` says that its round was begun on another device. Raises what `make` raises, and StationLost.
        """
        with self._lock:
            if self.stopped():
                raise Interrupted
            if not self._ledger.is_left(visit):
                return None
            if not self._ledger.has(visit.key) and self._frontier.before(self._cases[visit.key].case):
                self.finish(visit.key)
                return None
        if visit.round not in (None, self._rounds.get(station.name)):
            # Each round has a worker of its own: where a process happens to lie in memory moves its times by more
            # than all noise within it, so that an interval over rounds of one process would be too narrow.
            station.end(politely=True)
        self._rounds[station.name] = visit.round
        return self._visit(visit, station, moved)

    def lost(self, visit: Visit, station: Station, what: str) -> Line:
        """Return what stands for a visit that no device has lived to answer."""
        case = self._cases[visit.key].case
        digests = self._sources.of_visit(case, visit.probe)
        return line_of(visit, case.id, lost_answer(visit, what), *digests, station.name)

    def keep(self, line: Line) -> None:
        """Journal a visit, count it, and give its case its record where it needs no more."""
        with self._lock:
            assert self._journal is not None
            self._take(line, self._journal.write(line))
            self._progress.visited(line)
            if line.probe != A_A and (line.status != "ok" or self._has_all(line.key)):
                self._finish_case(line.key)
        self._journal.sync()  # before this station's next visit; others need not wait for it

    def close(self) -> None:
        """End the worker and write the run down, whatever ended it."""
        if self._keeper is not None:
            self._keeper.close(politely=self.end == "ok")
        self._progress.end()
        try:
            self._write_down()
        finally:
            self._records.close()
            if self._journal is not None:
                self._journal.close()

    @property
    def result(self) -> RunResult:
        """What came of the run, once it is closed."""
        assert self._written is not None
        made = len(self._ledger) - self._reused
        return RunResult(self._folder, status(self.end), self.end, self._written, made, self._reused)

    def _has_all(self, key: str) -> bool:
        """Return whether a case has all its visits; with a precision only a look at it can tell."""
        return self._measure.precision is None and self._ledger.is_whole(key)

    def is_wanting(self, key: str, rounds: int) -> bool:
        """Return whether a case is not yet precise after so many rounds."""
        assert self._measure.precision is not None
        with self._lock:
            return key not in self._records and not is_precise(self._ledger.of(key), rounds, self._measure.precision)

    def finish(self, key: str | None = None) -> None:
        """Give a case its record, where it has none: no visit of it is to come; None: all cases."""
        with self._lock:
            for each in self._cases if key is None else (key,):
                if each not in self._records:
                    self._finish_case(each)

    def _own_keeper(self, plan: Plan, device: Detected, options: WorkerOptions, orphans: Orphans | None) -> Keeper:
        traces = self._folder.absolute() / TRACES
        return Keeper(
            options.command(device.kind, own_folders(plan, options.root), traces),
            self._folder / LOG,
            self.stopped,
            self.logbook.meet_device,
            options.memory_bytes,
            seed=self._measure.seed,
            orphans=orphans,
        )

    def _visit(self, visit: Visit, station: Station, moved: bool) -> Line:
        case = self._cases[visit.key].case
        variant = case.variant + LABEL if visit.probe == A_A else case.variant
        request = Request(visit.index, variant, case.as_dict(), measured_by(visit.probe), self._settings())
        try:
            answer = station.ask(request, seconds_allowed(case, self._measure.timeout, visit.seconds))
        except NoSuchDevice:
            if self.logbook.met_device:  # it was here when the run began
                raise DeviceLost from None
            raise
        if moved:
            answer = replace(answer, result=replace(answer.result, before={**answer.result.before, MOVED: True}))
        return line_of(visit, case.id, answer, *self._sources.of_visit(case, visit.probe), station.name)

    def _read(self, place: int) -> Line:
        assert self._journal is not None
        return self._journal.read(place)

    def _take(self, line: Line, place: int | None = None) -> None:
        """Count a visit that was made."""
        self._ledger.take(line, place)
        if line.status == "oom" and self.logbook.prunes and line.probe != A_A:
            self._frontier.add(self._cases[line.key].case)

    def _settings(self) -> dict[str, float | int]:
        return {name: getattr(self._measure, name) for name in SETTINGS}

    def _finish_case(self, key: str) -> None:
        record = self._fold(key)
        self._records.keep(record)
        self._progress.finished(record)

    def _fold(self, key: str) -> AnyRecord:
        where = Circumstances.of(self.logbook.document, visits=self._ledger.due(key), stopped=self.end)
        return fold(self._cases[key], self._ledger.of(key), where, self._frontier)

    def _write_down(self) -> None:
        for key in self._cases:
            if key not in self._records:
                self._records.keep(self._fold(key))
        self._written = self._records.write_down(self._cases)
        noise = noise_document(self._ledger.paired, fewest_rounds(self._written, self._measure.rounds))
        self.logbook.finish(self.end, noise)


def own_folders(plan: Plan, root: Path | None = None) -> list[str]:
    """Return where the worker finds the code and the assignments that the suite names; nothing where it names none."""
    if not any(names_code(planned.case.layer) or planned.case.assignment for planned in plan.cases):
        return []
    return [*([] if root is None else [str(root)]), *search_folders(plan.suite.path.parent)]
