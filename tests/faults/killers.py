"""Kills at random moments: of a worker while its run goes on in this process, and of a run in a process of its own."""

from __future__ import annotations

import random
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from tests.faults.sweeps import ROOT, command, variables
from tests.faults.tally import begun

LOOK_S = 0.005
START_S = 1.5
"""About what a worker takes to come up."""
WAIT_S = 300.0
"""No process here takes so long for anything."""


class WorkerKiller(threading.Thread):
    """Kills the workers of this process, `most` times at the most, each at a random moment.

    One in three dies while it starts. Any other has begun another visit since the last kill: a visit that takes two
    workers with it is, to the engine, the cause of their deaths, and rightly so.
    """

    def __init__(self, folder: Path, chance: random.Random, most: int) -> None:
        super().__init__(daemon=True)
        self.kills = 0
        self._most = most
        self._folder = folder
        self._chance = chance
        self._over = threading.Event()
        self._dead: set[int] = set()

    def run(self) -> None:
        while self.kills < self._most and not self._over.is_set():
            if self.kills and self._chance.random() < 1 / 2:
                self._kill_starting()
            self._wait_for_visits(2 + self._chance.randrange(12))
            self._over.wait(self._chance.uniform(0, 0.05))
            self._kill(self._worker())

    def end(self) -> int:
        """Stop, and return the number of kills."""
        self._over.set()
        self.join()
        return self.kills

    def _kill_starting(self) -> None:
        """Kill the next worker before its first visit."""
        seen = begun(self._folder).total()
        while (worker := self._worker()) is None and not self._over.wait(LOOK_S):
            pass
        self._over.wait(self._chance.uniform(0, START_S))
        if begun(self._folder).total() == seen:
            self._kill(worker)

    def _wait_for_visits(self, visits: int) -> None:
        seen = begun(self._folder).total()
        while begun(self._folder).total() < seen + visits and not self._over.wait(LOOK_S):
            pass

    def _worker(self) -> psutil.Process | None:
        for child in psutil.Process().children():
            with suppress(psutil.Error):
                if child.pid not in self._dead and any("tests.faults.serve" in word for word in child.cmdline()):
                    return child
        return None

    def _kill(self, worker: psutil.Process | None) -> None:
        if worker is not None and self.kills < self._most and not self._over.is_set():
            with suppress(psutil.NoSuchProcess):
                worker.kill()
                self._dead.add(worker.pid)
                self.kills += 1


@contextmanager
def killing_workers(folder: Path, chance: random.Random, most: int) -> Iterator[WorkerKiller]:
    """Kill the workers of this process for the length of the block, `most` times at the most."""
    killer = WorkerKiller(folder, chance, most)
    killer.start()
    try:
        yield killer
    finally:
        killer.end()


def start(
    folder: Path,
    *arguments: str | Path,
    under: Sequence[str] = (),
    **more: str,
) -> subprocess.Popen[str]:
    """Start `UNDER... harness ARGUMENTS...`, which writes to pipes."""
    return subprocess.Popen(
        [*under, *command(folder, *arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=variables(**more),
    )


def killed_after(process: subprocess.Popen[str], seconds: float) -> bool:
    """Wait so long, then kill the process; return False where it had come to its end."""
    with suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=seconds)
        return False
    process.kill()
    process.communicate()
    return True


def finished(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for the process; return its exit code and what it wrote to stderr."""
    _, errors = process.communicate(timeout=WAIT_S)
    return process.returncode, errors


def wait_until_begun(folder: Path, visits: int) -> None:
    """Wait until the witness of the run in `folder` has seen so many visits begin."""
    deadline = time.monotonic() + WAIT_S
    while begun(folder).total() < visits:
        assert time.monotonic() < deadline, "the run makes no visits"
        time.sleep(LOOK_S)
