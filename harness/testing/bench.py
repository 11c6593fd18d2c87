"""Bench: makes the visits of a case in this very process, in a run's order; its rounds of time are pytest-benchmark's.

A run gives each round a process of its own and puts the cases of a comparison in turns. Here one process takes all
rounds of a case one after another, so the interval holds the noise within this process alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import pytest

from harness.case import Case
from harness.declare.format import Measure
from harness.declare.planned import PlannedCase
from harness.declare.rounds import LATENCY
from harness.declare.visits import CACHE_BYTES, CHECK, PROBES
from harness.devices import open_device
from harness.devices.ceilings import load
from harness.devices.interface import Fact
from harness.devices.names import Detected
from harness.engine.fold import Circumstances, fold
from harness.engine.journal import Line, utc_now
from harness.engine.locks import device_lock
from harness.engine.marks import marks
from harness.engine.protocol import Request
from harness.engine.sweep import SETTINGS
from harness.engine.worker import SPENT, Worker
from harness.layers.interface import Layer
from harness.testing.clock import RoundClock
from harness.testing.outcome import Spoiled, Taken

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

LETS_THROUGH = (KeyboardInterrupt, pytest.exit.Exception, pytest.fail.Exception, pytest.skip.Exception)
"""What is pytest's and not the layer's."""


class Bench:
    """One device, and all that was learnt of it; `clock` is moved on by each round.

    Raises:
        NoSuchDevice: This torch has no such device.
    """

    def __init__(self, found: Detected, clock: RoundClock) -> None:
        self.found = found
        self.device = open_device(found.kind)
        self.facts: dict[str, Fact] = {"kind": found.kind, **self.device.facts()}
        self._clock = clock
        self._ceilings = load(found.name)
        self._spoiled: str | None = None

    def worker(self, folders: Sequence[str] = (), make: Callable[[Case, int], Layer] | None = None) -> Worker:
        """Return a worker on this device; `make` gives the layer where `harness.layers` does not."""
        return Worker(self.device, CACHE_BYTES, folders, make=make, lets_through=LETS_THROUGH)

    def measure(
        self, planned: PlannedCase, wanted: Measure, worker: Worker, benchmark: BenchmarkFixture | None
    ) -> Taken:
        """Return what came of one case; its rounds go to `benchmark`, where one is given that was not yet used.

        Raises:
            Spoiled: An earlier case has left the device unfit.
            Busy: A run, or another session, holds the device.
            RunFolderError: No lock for the device can be made.
        """
        try:
            return self._measure(planned, wanted, worker, benchmark)
        except Exception as error:
            _leave_untimed(benchmark, error)
            raise

    def _measure(
        self, planned: PlannedCase, wanted: Measure, worker: Worker, benchmark: BenchmarkFixture | None
    ) -> Taken:
        if self._spoiled is not None:
            raise Spoiled(f"not measured: {self._spoiled}, in an earlier case")
        visits = Visits(worker, planned.case, wanted)
        with self._alone(timed=LATENCY in wanted.probes and (benchmark is None or benchmark.enabled)):
            try:
                for probe in _single(wanted, planned.case):
                    visits.make(probe)
                if LATENCY in wanted.probes:
                    self._time(visits, wanted.rounds, benchmark)
            except Ended as ended:
                _leave_untimed(benchmark, ended)
                self._spoiled = SPENT.get(visits.lines[-1].end or "")
        return Taken(fold(planned, visits.lines, self._circumstances(visits)), visits.lines[-1].detail)

    def _time(self, visits: Visits, rounds: int, benchmark: BenchmarkFixture | None) -> None:
        def take_round() -> None:
            self._clock.advance(visits.take_round())

        if benchmark is None:
            for _ in range(rounds):
                take_round()
            return
        try:
            benchmark.pedantic(take_round, rounds=rounds)  # type: ignore[no-untyped-call]
        except BaseException:
            benchmark.has_error = True  # what was timed before it is no benchmark
            raise

    @contextmanager
    def _alone(self, *, timed: bool) -> Iterator[None]:
        """Hold the device while something is timed on it: two at once would measure each other."""
        if not timed:
            yield
            return
        with device_lock(self.found.name, Path.cwd()):
            yield

    def _circumstances(self, visits: Visits) -> Circumstances:
        cache = self.facts.get("l2_bytes") or self.facts.get("cache_bytes")
        return Circumstances(
            rounds=max(1, visits.rounds),
            ceilings=self._ceilings,
            cache_bytes=cache if isinstance(cache, int) else None,
        )


class Ended(Exception):
    """A visit gave no numbers; its line says why."""


class Visits:
    """The visits of one case, as a journal has them."""

    def __init__(self, worker: Worker, case: Case, wanted: Measure) -> None:
        self.lines: list[Line] = []
        self.rounds = 0
        self._worker, self._case = worker, case
        self._settings = {name: getattr(wanted, name) for name in SETTINGS}

    def make(self, probe: str, round_: int | None = None) -> Line:
        """Make one visit and return its line; raise Ended where it has no numbers."""
        case, started, before = self._case, utc_now(), time.perf_counter()
        result = self._worker.visit(Request(len(self.lines), case.variant, case.as_dict(), probe, self._settings))
        told = asdict(result) | {"key": case.key, "id": case.id, "probe": probe, "round": round_, "started": started}
        del told["spent"]  # there is no other process to go on with
        told["seconds"] = time.perf_counter() - before
        told["marks"] = marks(result.before, result.state, result.series)
        line = Line.model_validate(told)
        self.lines.append(line)
        if line.status != "ok":
            raise Ended
        return line

    def take_round(self) -> float:
        """Make one round of latency and return its time of a pass in seconds."""
        line = self.make(LATENCY, self.rounds)
        self.rounds += 1
        samples = line.values["latency_ms"]
        assert isinstance(samples, list)
        return median(samples) * 1e-3


def _leave_untimed(benchmark: BenchmarkFixture | None, why: Exception) -> None:
    """Have pytest-benchmark see a benchmark that failed: of one that nobody began it says that it was forgotten."""

    def end() -> None:
        raise why

    if benchmark is not None:
        with suppress(Exception):  # `why`, or that it was begun
            benchmark.pedantic(end)  # type: ignore[no-untyped-call]


def _single(wanted: Measure, case: Case) -> list[str]:
    """Return the probes that visit `case` once, in a run's order."""
    asked = [probe for probe in PROBES if probe in wanted.probes and (probe != "compile" or case.compile)]
    return [CHECK, *asked]
