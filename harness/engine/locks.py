"""One run a device and one run a folder: a lock that says who holds it, and is free the moment its holder dies."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout
from platformdirs import user_cache_path

from harness.engine.journal import RunFolderError, utc_now

LOCK = ".lock"
HOLDER = ".lock.holder.json"
FOLDER_LOCKS = (LOCK, HOLDER)
"""What a lock leaves in a run folder; a folder that holds nothing else is empty."""
LONGEST_COMMAND = 120
"""Characters of a command line in the sentence on who holds a lock."""


class Busy(Exception):
    """Another run holds what this one needs; the message says which."""


@contextmanager
def device_lock(name: str, folder: Path) -> Iterator[None]:
    """Hold the device named `name` for a run in `folder`: two runs at once would measure each other.

    Raises:
        Busy: Another run of this user holds it.
        RunFolderError: Neither the user's cache folder nor the temporary folder can hold a lock.
    """
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    with _held(_lock_folder() / f"{slug}.lock", f"the device {name}", folder):
        yield


def _lock_folder() -> Path:
    """Return a folder for devices' locks: in the user's cache, or where that cannot be written, in the temporary one.

    All runs of a user on one machine come to the same answer, so that they meet at one lock.
    """
    for folder in (user_cache_path("moe-harness"), Path(tempfile.gettempdir()) / f"moe-harness-{os.getuid()}"):
        with suppress(OSError):
            (folder / "locks").mkdir(parents=True, exist_ok=True)
            if os.access(folder / "locks", os.W_OK):
                return folder / "locks"
    raise RunFolderError(f"no lock for the device can be made in {folder}; set TMPDIR to a folder that can be written")


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold the run folder, so that one journal has one writer.

    Raises:
        Busy: Another run writes there.
        RunFolderError: The folder cannot be written.
    """
    with _held(folder / LOCK, f"the folder {folder}", folder):
        yield


@contextmanager
def _held(path: Path, what: str, folder: Path) -> Iterator[None]:
    holder = path.with_suffix(".holder.json")  # beside the lock: opening a lock file empties it
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise Busy(f"{what} is in use by {_who(holder)}; wait for it to end, or end it") from None
    except (OSError, NotImplementedError) as error:  # the second: a file system without locks
        reason = getattr(error, "strerror", None) or str(error)
        raise RunFolderError(f"{path} cannot be locked: {reason}; a run needs a folder that can be written") from None
    try:
        with suppress(OSError):  # it only words a sentence
            told = {"pid": os.getpid(), "folder": str(folder), "since": utc_now(), "command": _command()}
            holder.write_text(json.dumps(told), "utf-8")
        yield
    finally:
        with suppress(OSError):
            holder.unlink(missing_ok=True)
        lock.release()


def _command() -> str:
    """Return this process's command line, as people know it."""
    program, *words = sys.argv or ["python"]
    text = shlex.join([Path(program).name, *words])
    return text if len(text) <= LONGEST_COMMAND else text[: LONGEST_COMMAND - 1] + "…"


def _who(holder: Path) -> str:
    try:
        data = json.loads(holder.read_text("utf-8"))
        return f"process {data['pid']}, which has run in {data['folder']} since {data['since']} ({data['command']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another run"
