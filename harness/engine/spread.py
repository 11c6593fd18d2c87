"""A run over many devices: its shares are pulled by stations, the longest first, and never dealt out.

Each station has a thread. What a lost one was asked for, and what is left of its share, go to others; the journal, the
ledger and the records are those of any run.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from harness.declare.cut import Share
from harness.declare.visits import Visit
from harness.engine.fleet import Fleet, Terms
from harness.engine.keeper import WorkerFailed
from harness.engine.process import Interrupted
from harness.engine.progress import Progress
from harness.engine.station import Station, StationLost
from harness.engine.sweep import DeviceLost, RunResult, Sweep
from harness.record import End

LOOK_S = 0.1
"""How often the run looks whether devices have come, and whether it is over."""
MOST_LOST = 3
"""Devices that one visit may lose before that is the case's doing: a node that disappears takes whatever visit it was
at, and the same one three times in a row only where the visit is the reason."""


class Spread:
    """One sweep over the stations of a fleet.

    Args:
        sweep: What is measured, begun.
        shares: Its visits, the longest share first.
        fleet: Whose stations measure them, open.
        progress: Is told of devices that come and go.
    """

    def __init__(self, sweep: Sweep, shares: Sequence[Share], fleet: Fleet, progress: Progress) -> None:
        self._sweep, self._fleet, self._progress = sweep, fleet, progress
        self._todo = deque(shares)
        self._busy = 0
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._losses: Counter[Visit] = Counter()
        self._round_of: dict[tuple[str, int], str | None] = {}
        """Where each round of each share was begun, by the share's first case."""
        self._expected: set[tuple[str, int]] = set()
        self._fault: Exception | None = None
        self._last_loss: Exception | None = None

    def run(self) -> End:
        """Make all visits and return why that ended.

        Raises:
            NoSuchDevice: The device is not here, and was not when the run began.
            WorkerFailed: No worker can be started on any device.
            RunFolderError: A file of the run cannot be written.
        """
        alone_since: float | None = None
        while self._is_going_on():
            self._welcome()
            alive = any(thread.is_alive() for thread in self._threads)
            alone_since = None if alive else alone_since or time.monotonic()
            if alone_since is not None and time.monotonic() - alone_since > self._fleet.patience_s:
                break
            with self._changed:
                self._changed.wait(LOOK_S)
        left = bool(self._todo)
        if self._fault is not None:
            self._sweep.halt()
        for thread in self._threads:
            thread.join()
        return self._ended(left)

    def _is_going_on(self) -> bool:
        with self._changed:
            return bool(self._todo or self._busy) and self._fault is None and not self._sweep.stopped()

    def _ended(self, left: bool) -> End:
        if self._fault is not None:
            raise self._fault
        if self._sweep.stopped():
            return self._sweep.cut_short
        if left:
            if isinstance(self._last_loss, WorkerFailed):
                raise self._last_loss
            return "no_device"
        self._sweep.finish()
        return "ok"

    def _welcome(self) -> None:
        """Let devices that have come join."""
        for station in self._fleet.new():
            self._sweep.logbook.note_devices(self._fleet.devices)
            thread = threading.Thread(target=self._serve, args=(station,), name=f"station {station.name}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, station: Station) -> None:
        """Measure one share after another on a station, for as long as there are any.

        One thread from a station's first worker to its last: Linux ends a worker with the thread that started it.
        """
        try:
            while (share := self._pull()) is not None:
                self._measure(share, station)
        except Interrupted:
            pass
        except Exception as error:  # it is the run's: `run` raises it
            self._fault = self._fault or error
        finally:
            station.close(politely=not self._sweep.stopped())
            with self._changed:
                self._changed.notify_all()

    def _pull(self) -> Share | None:
        """Return the next share; None where none is left, and none can come back from a device that is lost."""
        with self._changed:
            while not self._todo and self._busy and not self._sweep.stopped() and self._fault is None:
                self._changed.wait(LOOK_S)
            if not self._todo or self._sweep.stopped() or self._fault is not None:
                return None
            self._busy += 1
            return self._todo.popleft()

    def _measure(self, share: Share, station: Station) -> None:
        """Make a share's visits, or give back what is left of it and stop where the station is lost."""
        try:
            self._make_all(share, station)
        except (StationLost, WorkerFailed) as loss:
            with self._changed:
                self._todo.appendleft(share)
            self._last_loss = loss
            self._fleet.lost(station)
            self._progress.remark(f"{station.name} is lost ({_first_line(loss)}); what it was at goes elsewhere")
            raise Interrupted from None
        finally:
            with self._changed:
                self._busy -= 1
                self._changed.notify_all()

    def _make_all(self, share: Share, station: Station) -> None:
        for visit in share.visits:
            self._make(visit, share, station)

        def is_wanting(key: str, rounds: int) -> bool:
            wanting = self._sweep.is_wanting(key, rounds)
            if not wanting:
                self._sweep.finish(key)
            return wanting

        for round_ in share.further(is_wanting):
            self._expect(share, round_)
            for visit in round_:
                self._make(visit, share, station)

    def _expect(self, share: Share, round_: list[Visit]) -> None:
        """Count in a further round, once: a share that changes hands comes to it again."""
        place = share.keys[0], round_[0].round or 0
        if place not in self._expected:
            self._expected.add(place)
            self._sweep.expect(round_)

    def _make(self, visit: Visit, share: Share, station: Station) -> None:
        moved = False
        if visit.round is not None:
            began = self._round_of.setdefault((share.keys[0], visit.round), station.name)
            moved = began != station.name
        try:
            line = self._sweep.ask(visit, station, moved=moved)
            if line is not None and line.end == "device_lost":
                raise StationLost(line.reason or "its device has gone")
        except (StationLost, DeviceLost) as loss:
            self._losses[visit] += 1
            if self._losses[visit] >= MOST_LOST:
                self._sweep.keep(self._sweep.lost(visit, station, f"{MOST_LOST} devices in a row disappeared in it"))
            raise StationLost(_first_line(loss)) from loss
        if line is not None:
            self._sweep.keep(line)


def take_shares(
    sweep: Sweep, shares: Sequence[Share], fleet: Fleet, terms: Callable[[Sweep], Terms], progress: Progress
) -> RunResult:
    """Make all visits that are left on a fleet's stations and write the run down, whatever ends it.

    Raises what `turns.take_turns` raises. The fleet is let go in any case.
    """
    with ExitStack() as ending:
        ending.callback(fleet.close)
        sweep.take_up()
        sweep.begin()
        ending.callback(sweep.close)
        fleet.open(terms(sweep))
        sweep.end = Spread(sweep, shares, fleet, progress).run()
    return sweep.result


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or "its device has gone"
