"""The folder that ranks and their owner share, named after the owner: who ends that one can clear it away as well.

A worker that is killed in a visit has no say in what becomes of its ranks' folder.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

PREFIX = "moe-ranks-"


def make(owner: int) -> Path:
    """Return a new folder for ranks of the process `owner`."""
    return Path(tempfile.mkdtemp(prefix=f"{PREFIX}{owner}-"))


def clear(owner: int) -> None:
    """Remove all folders of the process `owner`, which has ended."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}{owner}-*"):
        shutil.rmtree(folder, ignore_errors=True)
