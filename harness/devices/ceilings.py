"""A device's measured ceilings, kept in the user's cache folder by device; reading them needs no torch."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

SCHEMA = 1

Bank = Sequence[Any]
"""Bytes of a bank of experts, and pairs of rows and rate: `[4194304, [[1, 2.1e10], [16, 1.9e11]]]`, as JSON has it."""


@dataclass(frozen=True, slots=True)
class Ceilings:
    """What this device can do at best, measured by `harness doctor` or by the first run on it."""

    device: str
    """The device's name, as `devices.detect` gives it."""
    flops_per_s: dict[str, float]
    """Best matmul rate by dtype."""
    bytes_per_s: float
    """Best copy rate, read and written bytes together."""
    memory_bytes: int
    measured_at: str
    """ISO 8601, UTC."""
    torch: str
    launch_s: float | None = None
    """Seconds of the host for one operation of next to no work; None in a file of an older version, as the two below
    are empty there."""
    products: dict[str, list[Bank]] = field(default_factory=dict)
    """By dtype and bytes of a bank of experts: the matmul rate by the rows that each gets, from few to many."""
    copies: list[list[float]] = field(default_factory=list)
    """Bytes of both ends together, and the rate of copies of that size, again and again; of a CPU, whose caches are
    as they come."""

    def seconds(self, flops: float, num_bytes: float, dtype: str) -> float | None:
        """Return the roofline time of this work, or None where the dtype was not measured."""
        peak = self.flops_per_s.get(dtype)
        return None if not peak else max(flops / peak, num_bytes / self.bytes_per_s)


def path_of(device: str) -> Path:
    """Return where the ceilings of the device named `device` are kept."""
    slug = re.sub(r"[^a-z0-9]+", "-", device.lower()).strip("-")
    return user_cache_path("moe-harness") / "ceilings" / f"{slug}.json"


def load(device: str) -> Ceilings | None:
    """Return the ceilings of `device`, or None where none were measured or the file is not readable as such."""
    try:
        data = json.loads(path_of(device).read_text("utf-8"))
        return Ceilings(**data["ceilings"]) if data["schema"] == SCHEMA else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def save(ceilings: Ceilings) -> Path:
    """Write `ceilings` (replaced whole, never half-written) and return the file's path.

    Raises:
        OSError: The cache folder cannot be written; nothing is left there.
    """
    path = path_of(ceilings.device)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part")
    try:
        part.write_text(json.dumps({"schema": SCHEMA, "ceilings": asdict(ceilings)}, indent=2), "utf-8")
        part.replace(path)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    return path
