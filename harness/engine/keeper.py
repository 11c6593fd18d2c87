"""Keeps one worker alive: starts it, asks it, replaces it when it dies or takes too long."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from harness.declare.visits import CACHE_BYTES
from harness.devices.names import memory_bytes
from harness.engine.conditions import held_to, measuring_environment
from harness.engine.family import Orphans
from harness.engine.journal import utc_now
from harness.engine.process import LOOK_S, QUICK_S, Stopped, TimedOut, WorkerDied, WorkerProcess
from harness.engine.protocol import Ready, Request, Result
from harness.engine.setup import Setup
from harness.record import ENDS, End, reason_of

START_ATTEMPTS = 3
START_PAUSE_S = 1.0
"""Before the second attempt, and twice that before the third: a machine that is full may be so for a moment."""
VISIT_ATTEMPTS = 2
"""A worker that dies in a visit may have been killed by something else, and one that runs out of memory may hold what
earlier visits left there: the visit is made once more in a new one. If that ends alike, it is the case's doing."""
MEMORY_SHARE = 0.8
"""Of the machine's memory, what a worker and all that it starts may hold if nothing else is said. The rest is for the
system, the runner, and what a fast layer fills between two looks at it."""
FULL_SHARE = 0.5
"""Of what it may hold: a worker that holds more when a visit begins is replaced first, so that a case does not pay for
what others have left there."""

FROM_CHECKOUT = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); from harness.engine.worker import main; sys.exit(main())"
)
"""Starts the worker of a checkout, whose folder is the first argument."""


class WorkerFailed(Exception):
    """No worker can be started; the message holds the end of its stderr."""


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """How workers are started."""

    threads: int = 0
    """CPU threads of torch; 0 leaves the choice to torch."""
    cache_bytes: int = CACHE_BYTES
    """Memory for built layers between visits."""
    memory_bytes: int | None = None
    """What the worker and all that it starts may hold; None: MEMORY_SHARE of the machine's."""
    trace: bool = False
    """Keep a Chrome trace of each case whose phases are profiled."""
    program: tuple[str, ...] | None = None
    """Another program than this interpreter's worker: anything that speaks the protocol."""
    python: str = sys.executable
    """The interpreter of the worker."""
    root: Path | None = None
    """The checkout whose code the worker runs; None: this one's."""

    def command(self, device_kind: str, import_from: Sequence[str] = (), traces: Path | None = None) -> list[str]:
        """Return the worker's command line.

        `import_from` are folders of a suite's own code; `traces` is where traces go, if they are to be kept.
        """
        program = self.program or self._usual_program()
        arguments = ("--device", device_kind, "--threads", str(self.threads), "--cache-bytes", str(self.cache_bytes))
        folders = (word for folder in import_from for word in ("--import-from", folder))
        kept = ("--traces", str(traces)) if self.trace and traces is not None else ()
        return [*program, *arguments, *folders, *kept]

    def _usual_program(self) -> tuple[str, ...]:
        if self.root is None:
            return self.python, "-m", "harness.engine.worker"
        return self.python, "-P", "-c", FROM_CHECKOUT, str(self.root)  # -P: the working folder may be a checkout too


@dataclass(frozen=True, slots=True)
class Answer:
    """A visit as the runner sees it."""

    result: Result
    started: str
    seconds: float
    """From the request's first byte to the answer's last."""
    worker: int | None
    """Process id; None where none is known."""
    exit_code: int | None = None
    """Of a worker that ended in the visit."""
    setup: Setup | None = None
    """Of the worker."""


class Keeper:
    """Answers every visit, whatever it does to the worker.

    Args:
        command: Starts a worker.
        log: Takes what workers, and the layers in them, write to stdout and stderr.
        stopped: Says whether the run is to stop.
        greeted: Is told of each worker's greeting.
        memory_bytes: What a worker and all that it starts may hold; None: MEMORY_SHARE of the machine's.
        seed: Of the workers' set-ups.
        orphans: Shared by keepers whose workers live at the same time.
        name: Of the device, where the run has several.
        numbers: Of its workers among all of the run's, for their set-ups; None: from 0 on.
        variables: Of a worker's environment, beside those of every process that measures.
        cores: Those that its workers are held to; none: all.
    """

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        stopped: Stopped,
        greeted: Callable[[Ready], None],
        memory_bytes: int | None = None,
        *,
        seed: int = 0,
        orphans: Orphans | None = None,
        name: str | None = None,
        numbers: Iterator[int] | None = None,
        variables: Mapping[str, str] | None = None,
        cores: Sequence[int] = (),
    ) -> None:
        self.name = name
        self._command = command
        self._log = log
        self._stopped = stopped
        self._greeted = greeted
        self._memory_bytes = memory_limit() if memory_bytes is None else memory_bytes
        self._worker: WorkerProcess | None = None
        self._quick, self._looked = False, 0.0
        """Whether the last visit took next to no time, and when the worker's memory was looked at."""
        self._answers = 0
        """Visits that this worker has answered."""
        self._device_kind = ""
        self.numbers = numbers or count()
        """Those of the workers to come; one that goes on with a run is told."""
        self._variables = dict(variables or {})
        self._cores = cores
        self._seed = seed
        self._setup: Setup | None = None
        self._orphans = orphans or Orphans()

    def greet(self) -> None:
        """Start a worker, where there is none, so that its greeting is told before the first visit.

        Raises:
            NoSuchDevice, WorkerFailed, Interrupted: As `ask` raises them.
        """
        self._ready()

    def ask(self, request: Request, timeout: float) -> Answer:
        """Return what came of the visit.

        Raises:
            NoSuchDevice: The worker's torch has no such device.
            WorkerFailed: No worker can be started.
            Interrupted: The run is to stop.
        """
        if self._worker is not None and self._is_full(self._worker):
            self.end(politely=True)
        answer, doubt = self._attempt(request, timeout)
        for _ in range(VISIT_ATTEMPTS - 1):
            if doubt is None:
                break
            note = f"{doubt}; the visit was made again in a new one"
            answer, doubt = self._attempt(request, timeout)
            answer = replace(answer, result=replace(answer.result, notes=[*answer.result.notes, note]))
        return answer

    def _is_full(self, worker: WorkerProcess) -> bool:
        """Return whether a worker holds much; looked at after a visit that took a while, and now and then."""
        now = time.monotonic()
        if self._quick and now - self._looked < LOOK_S:
            return False
        self._looked = now
        return worker.held_bytes() > FULL_SHARE * self._memory_bytes

    def end(self, *, politely: bool = False) -> None:
        """End the worker, if there is one, and all that it started; `politely` lets it see its stdin close first."""
        if self._worker is not None:
            self._worker.end(politely=politely)
            self._orphans.forget(self._worker.pid)
            self._worker = None
            self._orphans.end()

    def close(self, *, politely: bool = False) -> None:
        """End the worker, and start no more."""
        self.end(politely=politely)
        self._orphans.release()

    def _attempt(self, request: Request, timeout: float) -> tuple[Answer, str | None]:
        """Return the answer of one attempt, and why it may not be the case's own doing; None where it is."""
        worker, used = self._ready(), self._answers > 0
        started, start = utc_now(), time.perf_counter()
        doubt, code = None, None
        try:
            result = self._told(worker.ask(request, timeout))
            self._answers += 1
        except TimedOut:
            result = _ended(request, "timeout", reason_of("timeout", seconds=timeout, where=f"in {request.probe}"))
        except WorkerDied as death:
            result = _ended(request, death.end, death.reason(f"in {request.probe}"), death.detail)
            doubt, code = str(death), death.code
        seconds = time.perf_counter() - start
        self._quick = seconds < QUICK_S
        if result.status == "oom" and used:
            doubt = doubt or result.reason or "the worker ran out of memory"
        if result.status == "timeout" or doubt is not None or result.spent is not None or self._poisoned(result):
            self.end()
        if result.status == "timeout":
            result = replace(result, detail=worker.log_tail())  # with the stacks that it wrote when it was ended
        return Answer(result, started, seconds, worker.pid, code, self._setup), doubt

    def _told(self, result: Result) -> Result:
        """Return the result with its end, which a simple worker may leave out."""
        if result.end is not None:
            return result
        by_status: dict[str, End] = {"crashed": "crashed_python", "skipped": "too_large"}
        by_status["oom"] = "oom_device" if self._device_kind == "cuda" else "oom_host"
        return replace(result, end=by_status.get(result.status, result.status))

    def _poisoned(self, result: Result) -> bool:
        """Return whether the device's context may be lost with this case: it must not be charged to the next one."""
        return result.status == "crashed" and self._device_kind == "cuda"

    def _ready(self) -> WorkerProcess:
        """Return a worker that waits for a visit, a new one if need be."""
        if self._worker is not None and self._worker.alive:
            return self._worker
        self.end()
        self._orphans.adopt()
        self._answers = 0
        fault = ""
        for attempt in range(START_ATTEMPTS):
            time.sleep(attempt * START_PAUSE_S)
            try:
                worker = self._worker = self._orphans.spared(self._start)
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

    def _start(self) -> WorkerProcess:
        """Return a worker that was started with a set-up of its own."""
        self._setup = Setup.draw(self._seed, next(self.numbers))
        command = [*self._command, *self._setup.arguments]
        variables = self._setup.environment(measuring_environment()) | self._variables
        with held_to(self._cores):
            return WorkerProcess(command, self._log, self._stopped, self._memory_bytes, variables)


def memory_limit() -> int:
    """Return what a worker may hold if nothing else is said, in bytes of the host's memory."""
    return int(MEMORY_SHARE * memory_bytes("cpu"))


def _ended(request: Request, end: End, reason: str, detail: str | None = None) -> Result:
    return Result(request.visit, ENDS[end].status, reason, detail, end=end)
