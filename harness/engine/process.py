"""A worker from the runner's side: started, asked, watched, ended with everything that it started."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

import psutil

from harness.devices.cgroup import Cgroup
from harness.devices.interface import NoSuchDevice
from harness.engine.conditions import measuring_environment
from harness.engine.family import descendants, held_bytes
from harness.engine.protocol import VERSION, ProtocolError, Ready, Refused, Request, Result, read, write
from harness.metrics import show_bytes
from harness.parallel import folder
from harness.record import End, reason_of

START_TIMEOUT_S = 180.0
"""Importing torch from a cold disk can take a minute."""
GRACE_S = 2.0
"""Between SIGTERM and SIGKILL."""
LOOK_S = 0.25
"""How often a wait looks up: whether the run is to stop, and whether the worker still lives (a process that it left
behind may hold its pipe open), and how much memory it holds. An answer is seen at once all the same."""
CLOSE_LOOK_S = 0.05
"""The same for one that holds half of what it may: two cores fill 100 MB in that time."""
QUICK_S = 0.02
"""An answer that comes within this has cost no look at the worker's memory: it can fill some 40 MB in that time."""
LOG_TAIL_BYTES = 4000

Stopped = Callable[[], bool]
"""Whether the run is to stop."""


class WorkerDied(Exception):
    """The worker ended, was ended for its memory, or said what is no answer; the message says how.

    Args:
        end: Why.
        detail: The end of its stderr.
        code: Its exit code, where it ended by itself or was killed by somebody else.
        facts: What the sentence of `end` needs.
    """

    def __init__(self, end: End, detail: str, code: int | None = None, **facts: object) -> None:
        super().__init__(reason_of(end, **facts))
        self.end, self.detail, self.code = end, detail, code
        self._facts = facts

    def reason(self, where: str) -> str:
        """Return the sentence, saying where it was."""
        return reason_of(self.end, where=where, **self._facts)


class TimedOut(Exception):
    """The worker did not answer in time."""


class Interrupted(Exception):
    """The run is to stop."""


class WorkerProcess:
    """One worker, from start to end.

    Args:
        command: The program and its arguments.
        log: File that its stderr is appended to.
        stopped: Asked while waiting; True raises Interrupted.
        memory_bytes: What it may hold with all that it starts; more of it, and it has died. None: any.
        environment: Its variables; None: those of every process that measures.
    """

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        stopped: Stopped,
        memory_bytes: int | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._stopped = stopped
        self._memory_bytes = memory_bytes
        self._log = log
        self._unread = bytearray()
        self._oom_kills = _oom_kills()
        with log.open("ab") as stderr:
            self._log_start = stderr.tell()
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=measuring_environment() if environment is None else environment,
                bufsize=0,
                start_new_session=True,  # Ctrl-C is the runner's alone, and the whole group can be ended
            )
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._stdout, selectors.EVENT_READ)

    @property
    def pid(self) -> int:
        """Process id, and the id of its group."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def hello(self) -> Ready:
        """Return the worker's greeting.

        Raises:
            NoSuchDevice: It has no such device.
            WorkerDied: It ended before it was up, or is no worker of this version.
            TimedOut: It was not up in time.
            Interrupted: The run is to stop.
        """
        message = self._receive(START_TIMEOUT_S)
        if isinstance(message, Refused):
            raise NoSuchDevice(message.reason)
        if not isinstance(message, Ready) or message.version != VERSION:
            raise self._death(f"it speaks another protocol than version {VERSION}")
        return message

    def ask(self, request: Request, timeout: float) -> Result:
        """Send one visit and return its result.

        Raises:
            WorkerDied: It ended in the visit, held too much memory, or answered what is no answer.
            TimedOut: It did not answer within `timeout` seconds.
            Interrupted: The run is to stop.
        """
        try:
            self._stdin.write(write(request))
        except BrokenPipeError:
            raise self._death() from None
        message = self._receive(timeout)
        if not isinstance(message, Result) or message.visit != request.visit:
            raise self._death(f"it answered visit {request.visit} with something else")
        return message

    def end(self, *, politely: bool = False) -> None:
        """End the worker and all that it started; `politely` lets it see its stdin close first."""
        family = descendants(self.pid)
        self._stdin.close()
        if politely:
            self._wait(GRACE_S)
        if self.alive:
            self._signal_group(signal.SIGTERM)
            self._wait(GRACE_S)
        self._signal_group(signal.SIGKILL)
        for process in family:  # also those that left the group
            with suppress(psutil.Error):
                process.kill()
        self._wait(GRACE_S)  # one that hangs in the kernel, as on a device that is gone, is left to it
        folder.clear(self.pid)  # of ranks, by a worker that had no time to
        self._selector.close()
        self._stdout.close()

    def held_bytes(self) -> int:
        """Return the memory that it and all that it started hold."""
        return held_bytes(self.pid, self._memory_bytes or 0)

    def log_tail(self) -> str:
        """Return the end of what it has written to stderr."""
        with self._log.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(self._log_start, size - LOG_TAIL_BYTES))
            return log.read().decode("utf-8", "replace")

    @property
    def _stdin(self) -> IO[bytes]:
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def _stdout(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    def _receive(self, timeout: float) -> Ready | Refused | Result:
        line = self._line(time.monotonic() + timeout)
        try:
            message = read(line)
        except ProtocolError as error:
            raise self._death(str(error)) from None
        assert not isinstance(message, Request)
        return message

    def _line(self, deadline: float) -> bytes:
        """Return the next line that the worker writes, without its line end."""
        pause = QUICK_S
        while b"\n" not in self._unread:
            if self._stopped():
                raise Interrupted
            if (left := deadline - time.monotonic()) <= 0:
                raise TimedOut
            alive = self.alive  # asked first: what it wrote before it ended is then already in the pipe
            if self._selector.select(min(pause or self._look(), left) if alive else 0):
                piece = os.read(self._stdout.fileno(), 1 << 16)
                self._unread += piece
                if piece:
                    continue
                raise self._death()
            if not alive:
                raise self._death()
            pause = 0.0
        line, _, self._unread = self._unread.partition(b"\n")
        return bytes(line)

    def _look(self) -> float:
        """Return for how long the worker may be left alone; raise WorkerDied where it holds more than it may."""
        if self._memory_bytes is None:
            return LOOK_S
        held = self.held_bytes()
        if held > self._memory_bytes:
            what = f"the worker held {show_bytes(held)}, and may hold {show_bytes(self._memory_bytes)} (--memory)"
            raise WorkerDied("oom_host", self.log_tail(), what=what)
        return LOOK_S if held < self._memory_bytes / 2 else CLOSE_LOOK_S

    def _death(self, fault: str | None = None) -> WorkerDied:
        """Return how the worker came to its end; a `fault` is one that it did not end by itself after."""
        if fault is None:
            self._wait(GRACE_S)  # its pipe closes a moment before its exit code can be had
        code = self._process.poll()
        if fault is not None or code is None:
            return WorkerDied("crashed_protocol", self.log_tail(), what=fault or "it closed its output")
        if code == -signal.SIGKILL and _oom_kills() > self._oom_kills:
            return WorkerDied(
                "oom_host", self.log_tail(), code, what="the system had none left, and killed the worker (SIGKILL)"
            )
        if code < 0:
            return WorkerDied("crashed_signal", self.log_tail(), code, number=-code, name=_signal_name(-code))
        return WorkerDied("crashed_exit", self.log_tail(), code, exit=code)

    def _signal_group(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def _wait(self, seconds: float) -> None:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"


def _oom_kills() -> int:
    """Return how many processes Linux has killed for want of memory, of the machine's or of a container's."""
    in_groups = Cgroup().state().get("oom_kills", 0)
    return _oom_kills_of_machine() + (in_groups if isinstance(in_groups, int) else 0)


def _oom_kills_of_machine() -> int:
    """Return how many since it started; 0 where it does not say."""
    with suppress(OSError, ValueError):
        for line in Path("/proc/vmstat").read_text("ascii").splitlines():
            name, _, count = line.partition(" ")
            if name == "oom_kill":
                return int(count)
    return 0
