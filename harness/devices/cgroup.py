"""The control groups around this process: what they let it have of cores and memory, and how often they held it back.

Linux kernel documentation, admin-guide/cgroup-v2 (cpu.max, cpu.stat, memory.max, memory.events) and cgroup-v1
(cpu.cfs_quota_us, memory.limit_in_bytes, memory.failcnt). A limit of any group above this one holds too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from harness.devices.interface import Fact

ROOT = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")
COUNTS: dict[str, tuple[tuple[str, str, str | None], ...]] = {
    "quota_throttles": (("", "cpu.stat", "nr_throttled"), ("cpu", "cpu.stat", "nr_throttled")),
    "memory_limit_hits": (("", "memory.events", "max"), ("memory", "memory.failcnt", None)),
    "oom_kills": (("", "memory.events", "oom_kill"), ("memory", "memory.oom_control", "oom_kill")),
}
"""By count: the controller of version 1 (none for version 2), its file, and the field in it."""
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
        self._counts = [(name, self._places(files)) for name, files in COUNTS.items()]
        """Where there is anything to read, looked up once: a state is read before and after every visit."""

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
        found = {name: [n for path, field in places for n in _count(path, field)] for name, places in self._counts}
        return {name: sum(numbers) for name, numbers in found.items() if numbers}

    def _places(self, files: Iterable[tuple[str, str, str | None]]) -> list[tuple[Path, str | None]]:
        folders = {"": self._unified, "cpu": self._cpu, "memory": self._memory}
        found = [(folder / name, field) for controller, name, field in files for folder in folders[controller]]
        return [(path, field) for path, field in found if path.exists()]

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


def _count(path: Path, field: str | None) -> Iterator[int]:
    """Yield the number that a file holds, or that stands beside `field` in it."""
    with suppress(OSError, ValueError):
        text = path.read_text("ascii")
        if field is None:
            yield int(text)
        else:
            yield from (int(line.split()[1]) for line in text.splitlines() if line.startswith(f"{field} "))
