"""Traces: the profile that phases stand on, kept as a Chrome trace that Perfetto opens."""

from __future__ import annotations

import gzip
import json
import os
import re
from contextlib import suppress
from pathlib import Path

from torch.profiler import profile

from harness.case import Case
from harness.record import TRACE_NOTE

LONGEST = 150
"""Characters of a case's id in a file's name; file systems take 255 bytes."""


def keep(profiler: profile, case: Case, folder: Path) -> str:
    """Write the trace of a finished profiler to `folder`, and return the note that says where, or why it could not be.

    A trace is an extra: a full disk or a folder that cannot be written costs the case nothing.
    """
    path = folder / f"{file_name(case)}.json.gz"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(profiler, path)
    except OSError as error:
        return f"no trace was kept: {path.parent.name}/{path.name} cannot be written ({error.strerror or error})"
    return f"{TRACE_NOTE}{folder.name}/{path.name}"


def file_name(case: Case) -> str:
    """Return the case's id as a file's name; where that changes it, with a piece of its key, so that no two are one."""
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", case.id).strip(".-")[:LONGEST]
    return safe if safe == case.id else f"{safe}-{case.key[:8]}"


def _write(profiler: profile, path: Path) -> None:
    """Write the trace: whole or not at all. Kineto itself says nothing where it cannot write, or not all."""
    stem = path.parent / f".{os.getpid()}"
    plain, packed = stem.with_suffix(".json"), stem.with_suffix(".part")
    try:
        plain.touch()
        profiler.export_chrome_trace(str(plain))
        content = plain.read_bytes()
        if not _is_whole(content):
            raise OSError("the profiler could not write all of it; is the disk full?")
        packed.write_bytes(gzip.compress(content))
        packed.replace(path)
    finally:
        for part in (plain, packed):
            with suppress(OSError):
                part.unlink(missing_ok=True)


def _is_whole(content: bytes) -> bool:
    """Return whether this is a document: one that breaks off may well end in a brace."""
    try:
        json.loads(content)
    except ValueError:
        return False
    return True
