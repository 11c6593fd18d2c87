"""What 2,000 visits take: the runner and its worker looked at after each visit, and the windows that are compared."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from statistics import median, quantiles

import psutil

from harness.engine.fold import AnyRecord
from harness.engine.journal import Line
from harness.engine.progress import Silent

WINDOW = 100
"""Visits that are summed up."""
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
    """A progress that looks at both processes after each visit.

    Its own looking is not counted, and neither is the record that a case gets after its last visit.
    """

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self._runner = psutil.Process()
        self._begin()

    def visited(self, line: Line) -> None:
        """Take a sample."""
        overhead = time.perf_counter() - self._before - line.inside - line.build
        used = time.process_time() - self._used_before
        with suppress(psutil.NoSuchProcess):
            worker = psutil.Process(line.worker)
            self.samples.append(Sample(1e3 * overhead, 1e3 * used, *_holds(worker), *_holds(self._runner)))
        self._begin()

    def finished(self, record: AnyRecord) -> None:
        """Let what the record took go."""
        self._begin()

    def _begin(self) -> None:
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
    def too_much(self) -> bool:
        """Whether it grew by more than it may."""
        return self.what not in TOLD and self.share > MOST

    @property
    def row(self) -> tuple[str, ...]:
        """The figure as a row of a table."""
        return (self.what, f"{self.begin:.4g}", f"{self.end:.4g}", f"{100 * self.share:+.1f} %")


def undisturbed(values: Iterable[float]) -> float:
    """Return the first decile: what a visit takes where no other process comes between."""
    return quantiles(values, n=10)[0]


FIGURES: dict[str, tuple[Callable[[Sample], float], Callable[[Iterable[float]], float]]] = {
    "worker's memory, MB": (lambda sample: sample.worker_mb, median),
    "worker's file handles": (lambda sample: sample.worker_handles, median),
    "runner's memory, MB": (lambda sample: sample.runner_mb, median),
    "runner's file handles": (lambda sample: sample.runner_handles, median),
    "engine's time a visit, ms": (lambda sample: sample.overhead_ms, undisturbed),
    "of that the runner's processor time, ms": (lambda sample: sample.processor_ms, undisturbed),
}
"""What is read off a sample, and how a window is summed up."""
TOLD = ("runner's memory, MB", "of that the runner's processor time, ms")
"""Told, not judged: the runner keeps every visit until its case is done, some kilobytes each, and so grows by design;
the processor time is a part of the engine's, which is judged."""


def least(repeats: Sequence[Sequence[Growth]]) -> list[Growth]:
    """Return each figure as the least that it was, over repeats, at either end.

    What others do on the machine can only add to a time, in one repeat or another; what grows does so in all of them.
    """
    of_each = [list(figures) for figures in zip(*repeats, strict=True)]
    return [
        Growth(figures[0].what, min(one.begin for one in figures), min(one.end for one in figures))
        for figures in of_each
    ]


def growth(samples: Sequence[Sample], begin: int, end: int) -> list[Growth]:
    """Return the figures of the windows that begin at the visits `begin` and `end`."""
    first, last = samples[begin : begin + WINDOW], samples[end : end + WINDOW]
    return [Growth(name, sum_up(map(read, first)), sum_up(map(read, last))) for name, (read, sum_up) in FIGURES.items()]


def _holds(process: psutil.Process) -> tuple[float, float]:
    """Return the memory in MB and the number of open files that a process holds."""
    return process.memory_info().rss / 1e6, float(process.num_fds())
