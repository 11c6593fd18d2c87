"""All that a worker has started: how much memory it holds, and that nothing of it stays."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol, TypeVar

import psutil

PR_SET_CHILD_SUBREAPER = 36
"""Linux, sys/prctl.h."""
GENERATIONS = 100
"""How often what is left is looked for anew: each time the children of those that were ended come to light."""
KILLED_S = 2.0
"""How long a killed process may take to be gone; one that hangs in the kernel is left to it."""
PROC = Path("/proc")


class Started(Protocol):
    """A process that was started."""

    @property
    def pid(self) -> int:
        """Its id."""


T = TypeVar("T", bound=Started)


def descendants(pid: int) -> list[psutil.Process]:
    """Return all processes that `pid` has started and that still hang together with it."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []


def held_bytes(pid: int, limit: int) -> int:
    """Return the memory that `pid` and its descendants hold.

    Above `limit` pages that several of them share are counted once; below it they may count for each, which is quick.
    """
    pids = list(_tree(pid))
    held = sum(_resident(one) for one in pids)
    return held if held <= limit or len(pids) == 1 else sum(_proportional(one) for one in pids)


class Orphans:
    """Processes that outlive the worker which started them: adopted, ended, and reaped, so that no zombie stays.

    Linux gives an orphan to the nearest ancestor that asks for it. While it is asked for here, a child of this process
    that is in another session, and was not there before, can only be such an orphan, also one that left its group and
    its session. Elsewhere they go to the system, as they always did. Workers may be kept by several threads.
    """

    def __init__(self) -> None:
        self._before: set[int] | None = None
        self._workers: set[int] = set()
        self._lock = threading.RLock()
        """No orphan is looked for between a worker's start and its being known as one."""

    def spared(self, start: Callable[[], T]) -> T:
        """Return the worker that `start` starts, and take it for no orphan until `forget`."""
        with self._lock:
            worker = start()
            self._workers.add(worker.pid)
            return worker

    def forget(self, worker: int) -> None:
        """Hear that a worker has ended."""
        self._workers.discard(worker)

    def adopt(self) -> None:
        """Ask for orphans from now on."""
        with self._lock:
            if self._before is None and _ask_for_orphans(True):
                self._before = {child.pid for child in psutil.Process().children()}

    def end(self) -> None:
        """End all that were adopted and all that they started; a worker that is alive must have been spared."""
        with self._lock:
            for _ in range(GENERATIONS):
                if not (found := list(self._adopted())):
                    return
                for process in found:
                    with suppress(psutil.Error):
                        process.kill()
                psutil.wait_procs(found, timeout=KILLED_S)

    def release(self) -> None:
        """Ask for no more orphans, once no worker is alive."""
        with self._lock:
            if self._before is not None and not self._workers:
                _ask_for_orphans(False)
                self._before = None

    def _adopted(self) -> Iterator[psutil.Process]:
        if self._before is None:
            return
        ours = os.getsid(0)
        for child in psutil.Process().children():
            with suppress(OSError):
                if child.pid not in self._before | self._workers and os.getsid(child.pid) != ours:
                    yield child


def _ask_for_orphans(wanted: bool) -> bool:
    """Return whether the system does so."""
    with suppress(OSError, AttributeError):
        return bool(ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, int(wanted), 0, 0, 0) == 0)
    return False


def _tree(pid: int) -> Iterator[int]:
    """Yield `pid` and its descendants; where Linux lists a process's children, without looking at all processes."""
    yield pid
    threads = PROC / str(pid) / "task"
    if not (threads / str(pid) / "children").exists():
        yield from (process.pid for process in descendants(pid))
        return
    with suppress(OSError, ValueError):
        for thread in threads.iterdir():
            for child in (thread / "children").read_text("ascii").split():
                yield from _tree(int(child))


def _resident(pid: int) -> int:
    with suppress(psutil.Error):
        return int(psutil.Process(pid).memory_info().rss)
    return 0


def _proportional(pid: int) -> int:
    with suppress(psutil.Error):
        full = psutil.Process(pid).memory_full_info()
        return int(getattr(full, "pss", full.uss))
    return 0
