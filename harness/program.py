"""What a program that measures does before anything else: its pipes out of reach, its end tied to its parent's."""

from __future__ import annotations

import ctypes
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

PR_SET_PDEATHSIG = 1
"""Linux, sys/prctl.h."""
OOM_SCORE = 500
"""Where the machine runs out of memory, Linux is to take this process before all others of the user: as if it held half
of the machine's memory more than it does."""


def take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Return the pipes of the protocol, and leave an empty file at 0 and stderr at 1 in their places."""
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    os.dup2(2, 1)
    return requests, answers


def die_with_parent() -> None:
    """Ask Linux to end this process with its runner, also where the runner is killed and can close nothing."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def die_first() -> None:
    """Ask Linux to spare other processes where memory runs out."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(OOM_SCORE), "ascii")
