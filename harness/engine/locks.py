"""One run a device and one run a folder: a lock that says who holds it, and is free the moment its holder dies."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from platformdirs import user_cache_path

from harness.engine.journal import utc_now


class Busy(Exception):
    """Another run holds what this one needs; the message says which."""


@contextmanager
def device_lock(name: str, folder: Path) -> Iterator[None]:
    """Hold the device named `name` for a run in `folder`: two runs at once would measure each other.

    Raises:
        Busy: Another run of this user holds it.
    """
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    path = user_cache_path("moe-harness") / "locks" / f"{slug}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with _held(path, f"the device {name}", folder):
        yield


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold the run folder, so that one journal has one writer.

    Raises:
        Busy: Another run writes there.
    """
    with _held(folder / ".lock", f"the folder {folder}", folder):
        yield


@contextmanager
def _held(path: Path, what: str, folder: Path) -> Iterator[None]:
    holder = path.with_suffix(".holder.json")  # beside the lock: opening a lock file empties it
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise Busy(f"{what} is in use by {_who(holder)}; wait for it to end, or end it") from None
    try:
        holder.write_text(json.dumps({"pid": os.getpid(), "folder": str(folder), "since": utc_now()}), "utf-8")
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def _who(holder: Path) -> str:
    try:
        data = json.loads(holder.read_text("utf-8"))
        return f"process {data['pid']}, which has run in {data['folder']} since {data['since']}"
    except (OSError, ValueError, KeyError):
        return "another run"
