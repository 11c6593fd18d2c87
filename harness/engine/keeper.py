"""Keeps one worker alive: starts it, asks it, replaces it when it dies or takes too long."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.declare.visits import CACHE_BYTES
from harness.engine.journal import utc_now
from harness.engine.process import Stopped, TimedOut, WorkerDied, WorkerProcess
from harness.engine.protocol import Ready, Request, Result

START_ATTEMPTS = 3
START_PAUSE_S = 1.0
"""Before the second attempt, and twice that before the third: a machine that is full may be so for a moment."""
VISIT_ATTEMPTS = 2
"""A worker that dies in a visit may have been killed by something else: the visit is made once more in a new one.
If that dies too, it is the case's doing."""


class WorkerFailed(Exception):
    """No worker can be started; the message holds the end of its stderr."""


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """How workers are started."""

    threads: int = 0
    """CPU threads of torch; 0 leaves the choice to torch."""
    cache_bytes: int = CACHE_BYTES
    """Memory for built layers between visits."""
    program: tuple[str, ...] | None = None
    """Another program than this interpreter's worker: anything that speaks the protocol."""

    def command(self, device_kind: str, import_from: Sequence[str] = ()) -> list[str]:
        """Return the worker's command line; `import_from` are folders of a suite's own code."""
        program = self.program or (sys.executable, "-m", "harness.engine.worker")
        arguments = ("--device", device_kind, "--threads", str(self.threads), "--cache-bytes", str(self.cache_bytes))
        folders = (word for folder in import_from for word in ("--import-from", folder))
        return [*program, *arguments, *folders]


@dataclass(frozen=True, slots=True)
class Answer:
    """A visit as the runner sees it."""

    result: Result
    started: str
    seconds: float
    """From the request's first byte to the answer's last."""
    worker: int
    """Process id."""


class Keeper:
    """Answers every visit, whatever it does to the worker.

    Args:
        command: Starts a worker.
        log: Takes what workers, and the layers in them, write to stdout and stderr.
        stopped: Says whether the run is to stop.
        greeted: Is told of each worker's greeting.
    """

    def __init__(self, command: Sequence[str], log: Path, stopped: Stopped, greeted: Callable[[Ready], None]) -> None:
        self._command = command
        self._log = log
        self._stopped = stopped
        self._greeted = greeted
        self._worker: WorkerProcess | None = None
        self._device_kind = ""

    def ask(self, request: Request, timeout: float) -> Answer:
        """Return what came of the visit.

        Raises:
            NoSuchDevice: The worker's torch has no such device.
            WorkerFailed: No worker can be started.
            Interrupted: The run is to stop.
        """
        answer, death = self._attempt(request, timeout)
        for _ in range(VISIT_ATTEMPTS - 1):
            if death is None:
                break
            note = f"{death}; the visit was made again in a new one"
            answer, death = self._attempt(request, timeout)
            answer = replace(answer, result=replace(answer.result, notes=[*answer.result.notes, note]))
        if answer.result.status == "crashed" and self._device_kind == "cuda":
            self.end()  # a CUDA error poisons the context: it must not be charged to the next case
        return answer

    def end(self, *, politely: bool = False) -> None:
        """End the worker, if there is one; `politely` lets it see its stdin close first."""
        if self._worker is not None:
            self._worker.end(politely=politely)
            self._worker = None

    def _attempt(self, request: Request, timeout: float) -> tuple[Answer, WorkerDied | None]:
        """Return the answer of one attempt, and how the worker died if it did."""
        worker = self._ready()
        started, start = utc_now(), time.perf_counter()
        death = None
        try:
            result = worker.ask(request, timeout)
        except TimedOut:
            reason = f"no answer within {timeout:g} s in {request.probe}; the worker was ended"
            result = Result(request.visit, "timeout", reason)
        except WorkerDied as error:
            death = error
            status = "oom" if error.out_of_memory else "crashed"
            result = Result(request.visit, status, f"{error}, in {request.probe}", error.detail)
        answer = Answer(result, started, time.perf_counter() - start, worker.pid)
        if death is not None or result.status == "timeout":
            self.end()
        return answer, death

    def _ready(self) -> WorkerProcess:
        """Return a worker that waits for a visit, a new one if need be."""
        if self._worker is not None and self._worker.alive:
            return self._worker
        self.end()
        fault = ""
        for attempt in range(START_ATTEMPTS):
            time.sleep(attempt * START_PAUSE_S)
            try:
                worker = self._worker = WorkerProcess(self._command, self._log, self._stopped)
                ready = worker.hello()
            except OSError as error:  # no process to be had, or no memory for one
                fault = str(error)
            except WorkerDied as death:
                fault = f"{death}\n{death.detail}"
            except TimedOut:
                fault = "it did not come up in time"
            else:
                self._device_kind = str(ready.device.get("kind"))
                self._greeted(ready)
                return worker
            self.end()
        raise WorkerFailed(f"no worker can be started ({START_ATTEMPTS} were tried): {fault}".rstrip())
