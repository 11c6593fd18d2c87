"""The control groups around this process: what they let it have of cores and memory, and how often they held it back.

Linux kernel documentation, admin-guide/cgroup-v2 (cpu.max, cpu.stat, memory.max, memory.events) and cgroup-v1
(cpu.cfs_quota_us, memory.limit_in_bytes, memory.failcnt). A limit of any group above this one holds too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from harness.devices.interface import Fact

ROOT = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")
UNLIMITED = 1 << 60
"""Version 1 writes a number beyond any memory where there is no limit."""


class Cgroup:
    """The groups of this process, from its own up to the root.

    Args:
        root: Where the groups are mounted.
        membership: Where Linux says which of them this process is in.
    """

    def __init__(self, root: Path = ROOT, membership: Path = MEMBERSHIP) -> None:
        self._unified = list(_chain(root, _path(membership, "")))
        self._cpu = list(_chain(root / "cpu", _path(membership, "cpu")))
        self._memory = list(_chain(root / "memory", _path(membership, "memory")))

    def limits(self) -> dict[str, Fact]:
        """Return `cpu_quota_cores` and `memory_limit_bytes`; None where there is no limit."""
        quotas, limits = list(self._quotas()), list(self._memory_limits())
        return {
            "cpu_quota_cores": round(min(quotas), 3) if quotas else None,
            "memory_limit_bytes": min(limits) if limits else None,
        }

    def state(self) -> dict[str, Fact]:
        """Return how often the groups have held processes back since they were made; only what they count.

        `quota_throttles` is how often the share of the cores was used up, `memory_limit_hits` how often memory had to
        be given back to stay below the limit, `oom_kills` how many processes were killed for it.
        """
        counts = {
            "quota_throttles": [*_fields(self._unified, "cpu.stat", "nr_throttled"),
                                *_fields(self._cpu, "cpu.stat", "nr_throttled")],
            "memory_limit_hits": [*_fields(self._unified, "memory.events", "max"),
                                  *_numbers(self._memory, "memory.failcnt")],
            "oom_kills": [*_fields(self._unified, "memory.events", "oom_kill"),
                          *_fields(self._memory, "memory.oom_control", "oom_kill")],
        }  # fmt: skip
        return {name: sum(found) for name, found in counts.items() if found}

    def _quotas(self) -> Iterator[float]:
        for text in _texts(self._unified, "cpu.max"):
            quota, _, period = text.partition(" ")
            with suppress(ValueError, ZeroDivisionError):  # the word `max`
                yield int(quota) / int(period)
        for folder in self._cpu:
            share = [*_numbers([folder], "cpu.cfs_quota_us"), *_numbers([folder], "cpu.cfs_period_us")]
            if len(share) == 2 and min(share) > 0:
                yield share[0] / share[1]

    def _memory_limits(self) -> Iterator[int]:
        yield from _numbers(self._unified, "memory.max")
        yield from (limit for limit in _numbers(self._memory, "memory.limit_in_bytes") if limit < UNLIMITED)


def _path(membership: Path, controller: str) -> str:
    """Return the path of this process's group, of version 2 where `controller` is empty; the root's if none is told."""
    with suppress(OSError, UnicodeDecodeError):
        for line in membership.read_text("utf-8").splitlines():
            _, controllers, path = [*line.split(":", 2), "", ""][:3]
            if controller in controllers.split(","):
                return path
    return "/"


def _chain(root: Path, path: str) -> Iterator[Path]:
    """Yield the folders of a group and of all above it that are seen here; a container may see its own as the root."""
    folder = root / path.strip("/")
    while folder != root and root in folder.parents:
        yield folder
        folder = folder.parent
    yield root


def _texts(folders: list[Path], name: str) -> Iterator[str]:
    for folder in folders:
        with suppress(OSError, UnicodeDecodeError):
            yield (folder / name).read_text("ascii").strip()


def _numbers(folders: list[Path], name: str) -> Iterator[int]:
    for text in _texts(folders, name):
        with suppress(ValueError):  # the word `max`
            yield int(text)


def _fields(folders: list[Path], name: str, field: str) -> Iterator[int]:
    """Yield the number beside `field` in each folder's file of that name."""
    for text in _texts(folders, name):
        for line in text.splitlines():
            key, _, value = line.partition(" ")
            if key == field and value.isdecimal():
                yield int(value)
