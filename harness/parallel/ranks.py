"""The ranks from their owner's side: started, asked, watched, ended with everything that they started.

Without torch: the owner is a worker, but a test or another program can own ranks as well.
"""

from __future__ import annotations

import os
import selectors
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress

import psutil

from harness.parallel import folder
from harness.parallel.lines import Ask, Failure, Line, Lost, Told, Up, read
from harness.parallel.lines import write as write_line
from harness.parallel.pulse import Pulse

START_S = 180.0
"""Every rank imports torch, from a cold disk and all at once."""
ENDED_S = 5.0
SHUTDOWN = {"TORCH_ELASTIC_SHUTDOWN_TIMEOUT": "1"}
"""Seconds between SIGTERM and SIGKILL, for ranks whose peer was lost."""


class RankLost(Exception):
    """A rank has ended, and with it all; `failure` is the word that it left, where it could."""

    def __init__(self, rank: int | None, code: int, failure: Failure | None) -> None:
        super().__init__(f"rank {rank} ended with code {code}")
        self.rank, self.code, self.failure = rank, code, failure


class RanksHang(Exception):
    """The ranks did not answer in time; `missing` are those that the others wait for."""

    def __init__(self, missing: list[int]) -> None:
        super().__init__(f"ranks {missing} hang")
        self.missing = missing


class Ranks:
    """Ranks that measure together, from their start to their end.

    Args:
        count: How many.
        device: cpu or cuda; on CUDA each has a device of its own.
        threads: CPU threads of each.
        cache_bytes: Memory of each for built layers.
        folders: Where stored assignments are looked for.
        traces: Folder for Chrome traces; None: none is kept.
        program: Module that each rank runs instead of `harness.parallel.rank`.

    Raises:
        RankLost: One ended before all were up.
        RanksHang: They were not up in time.
    """

    def __init__(
        self,
        count: int,
        device: str,
        threads: int,
        cache_bytes: int,
        folders: Sequence[str] = (),
        traces: str | None = None,
        program: str | None = None,
    ) -> None:
        self.count = count
        self._folder = folder.make(os.getpid())
        self._pulse = Pulse(self._folder, count, new=True)
        self._unread = b""
        words = [
            "--ranks",
            str(count),
            "--device",
            device,
            "--threads",
            str(threads),
            "--cache-bytes",
            str(cache_bytes),
        ]
        words += [word for folder in folders for word in ("--import-from", folder)]
        words += [] if traces is None else ["--traces", traces]
        words += [] if program is None else ["--program", program]
        self._agent = subprocess.Popen(
            [sys.executable, "-m", "harness.parallel.agent", str(self._folder), *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | SHUTDOWN,
            bufsize=0,
        )
        assert self._agent.stdout is not None
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._agent.stdout, selectors.EVENT_READ)
        try:
            up = self._receive(START_S)
            assert isinstance(up, Up)
        except BaseException:
            self.end()
            raise
        self.pids = up.pids
        """Process ids, by rank."""

    def ask(self, ask: Ask, timeout: float) -> Told:
        """Return what came of one visit.

        Raises:
            RankLost: A rank ended in it.
            RanksHang: They did not answer within `timeout` seconds.
        """
        assert self._agent.stdin is not None
        with suppress(BrokenPipeError):  # what has become of them stands in the answer
            self._agent.stdin.write(write_line(ask))
        told = self._receive(timeout)
        assert isinstance(told, Told)
        return told

    def end(self) -> None:
        """End the ranks and their agent, at once, and all that they have started."""
        with suppress(psutil.Error):
            family = psutil.Process(self._agent.pid).children(recursive=True)
            self._agent.kill()
            for process in family:
                with suppress(psutil.Error):
                    process.kill()
            psutil.wait_procs(family, timeout=ENDED_S)
        self._agent.wait(ENDED_S)
        self._selector.close()
        for pipe in (self._agent.stdin, self._agent.stdout):
            assert pipe is not None
            with suppress(BrokenPipeError):
                pipe.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _receive(self, timeout: float) -> Up | Told:
        line = self._line(time.monotonic() + timeout)
        if isinstance(line, Up | Told):
            return line
        code = line.code if isinstance(line, Lost) else self._agent.wait(ENDED_S)
        raise RankLost(line.rank if isinstance(line, Lost) else None, code, self._failure())

    def _line(self, deadline: float) -> Line | None:
        """Return the next line; None where there is no further one."""
        assert self._agent.stdout is not None
        while b"\n" not in self._unread:
            if not self._selector.select(max(0.0, deadline - time.monotonic())):
                raise RanksHang(self._pulse.missing())
            if not (piece := os.read(self._agent.stdout.fileno(), 1 << 16)):
                return None
            self._unread += piece
        line, _, self._unread = self._unread.partition(b"\n")
        return read(line)

    def _failure(self) -> Failure | None:
        """Return the word that was left first; ranks that failed for another's sake leave none."""
        found = sorted(self._folder.glob("failure-*.json"), key=lambda path: path.stat().st_mtime_ns)
        left = read(found[0].read_bytes()) if found else None
        return left if isinstance(left, Failure) else None
