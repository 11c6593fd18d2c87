"""Real disks that are small, and real folders that cannot be written, for as long as a test needs them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest


@contextmanager
def small_disk(path: Path, kibibytes: int) -> Iterator[Callable[[int], None]]:
    """Mount a tmpfs of that size at `path`; yield what gives it another size. Skips where mounting is not allowed."""
    path.mkdir(parents=True)
    if not _mount("-t", "tmpfs", "-o", f"size={kibibytes}k", "tmpfs", path):
        pytest.skip("this process may not mount a small disk; a file that may not grow stands for it")
    try:
        yield lambda size: _resize(path, size)
    finally:
        subprocess.run(["umount", "--lazy", path], check=True)


@cache
def may_mount() -> bool:
    """Return whether this process may mount a disk."""
    with TemporaryDirectory() as folder:
        mounted = _mount("-t", "tmpfs", "-o", "size=4k", "tmpfs", folder)
        if mounted:
            subprocess.run(["umount", folder], check=True)
    return mounted


def limit_file_size(num_bytes: int) -> list[str]:
    """Return what stands before a command so that no file of its may grow beyond `num_bytes`."""
    if shutil.which("prlimit") is None:
        pytest.skip("no prlimit (Debian: util-linux)")
    return ["prlimit", f"--fsize={num_bytes}", "--"]


def bound_by_modes() -> list[str]:
    """Return what stands before a command so that the modes of files bind it, as they bind any user but root."""
    if os.geteuid() != 0:
        return []
    without = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--"]
    if shutil.which("setpriv") is None or subprocess.run([*without, "true"], check=False).returncode:
        pytest.skip("modes do not bind root, and setpriv may not take that from it here")
    return without


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Take the right to write in `folder` for the length of the block."""
    mode = folder.stat().st_mode
    folder.chmod(0o555)
    try:
        yield
    finally:
        folder.chmod(mode)


def _mount(*arguments: str | Path) -> bool:
    if shutil.which("mount") is None:
        return False
    return subprocess.run(["mount", *map(str, arguments)], check=False, capture_output=True).returncode == 0


def _resize(path: Path, kibibytes: int) -> None:
    assert _mount("-o", f"remount,size={kibibytes}k", path)
