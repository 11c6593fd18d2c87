"""What 2,000 visits take: the runner and its worker looked at after each visit, and the windows that are compared."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from statistics import median

import psutil

from harness.engine.journal import Line
from harness.engine.progress import Silent

WINDOW = 100
"""Visits whose medians are compared."""
MOST = 0.05
"""Growth that is allowed."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The state after one visit."""

    overhead_ms: float
    """From the end of the visit before to the end of this one, less what building and the probe took."""
    processor_ms: float
    """What the runner took of a processor in that time; unlike the former it does not hang on who else is busy."""
    worker_mb: float
    worker_handles: float
    runner_mb: float
    runner_handles: float


class Watch(Silent):
    """A progress that looks at both processes after each visit; its own looking is not counted."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self._runner = psutil.Process()
        self._before, self._used_before = time.perf_counter(), time.process_time()

    def visited(self, line: Line) -> None:
        """Take a sample."""
        overhead = time.perf_counter() - self._before - line.inside - line.build
        used = time.process_time() - self._used_before
        with suppress(psutil.NoSuchProcess):
            worker = psutil.Process(line.worker)
            self.samples.append(Sample(1e3 * overhead, 1e3 * used, *_holds(worker), *_holds(self._runner)))
        self._before, self._used_before = time.perf_counter(), time.process_time()


@dataclass(frozen=True, slots=True)
class Growth:
    """One figure at the beginning and at the end."""

    what: str
    begin: float
    end: float

    @property
    def share(self) -> float:
        """How much more it is at the end."""
        return self.end / self.begin - 1

    @property
    def row(self) -> tuple[str, ...]:
        """The figure as a row of a table."""
        return (self.what, f"{self.begin:.4g}", f"{self.end:.4g}", f"{100 * self.share:+.1f} %")


FIGURES: dict[str, Callable[[Sample], float]] = {
    "worker's memory, MB": lambda sample: sample.worker_mb,
    "worker's file handles": lambda sample: sample.worker_handles,
    "runner's memory, MB": lambda sample: sample.runner_mb,
    "runner's file handles": lambda sample: sample.runner_handles,
    "engine's time a visit, ms": lambda sample: sample.overhead_ms,
    "of that the runner's processor time, ms": lambda sample: sample.processor_ms,
}


def growth(samples: Sequence[Sample], begin: int) -> list[Growth]:
    """Return the medians of the window that begins at visit `begin`, and of the last one."""
    first, last = samples[begin : begin + WINDOW], samples[-WINDOW:]
    return [Growth(name, median(map(read, first)), median(map(read, last))) for name, read in FIGURES.items()]


def _holds(process: psutil.Process) -> tuple[float, float]:
    """Return the memory in MB and the number of open files that a process holds."""
    return process.memory_info().rss / 1e6, float(process.num_fds())
