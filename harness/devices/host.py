"""The state of the machine around a device: who had its cores, how long its queue is, whether it swaps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import psutil

from harness.devices.cgroup import Cgroup
from harness.devices.interface import Fact

MIN_USAGE_S = 0.02
"""Linux counts cores' time in steps of 10 ms: a share of less is noise."""


class Host:
    """The machine that this process runs on; each reading covers the time since the last one."""

    def __init__(self) -> None:
        self._usage = Usage.now()
        self._cgroup = Cgroup()

    def state(self) -> dict[str, Fact]:
        """Return load, who had the cores since the last call, swap, and how often the container was held back.

        Shares are in percent of all cores' time.
        """
        before, self._usage = self._usage, Usage.now()
        swap = psutil.swap_memory()
        return {
            "load_1min": round(psutil.getloadavg()[0], 2),
            "load_per_core": round(psutil.getloadavg()[0] / (psutil.cpu_count() or 1), 2),
            "core_seconds": round(self._usage.total - before.total, 2),
            "others_percent": self._usage.share_since(before, lambda usage: usage.busy - usage.own),
            "steal_percent": self._usage.share_since(before, lambda usage: usage.stolen),
            "swap_used_bytes": swap.used,
            "swap_moved_bytes": swap.sin + swap.sout,
            **self._cgroup.state(),
        }


@dataclass(frozen=True, slots=True)
class Usage:
    """Seconds of all cores since the machine started."""

    total: float
    busy: float
    own: float
    """Of the busy ones, this process's."""
    stolen: float
    """Taken by the hypervisor for other machines."""

    @classmethod
    def now(cls) -> Usage:
        """Return what Linux has counted up to now."""
        times, own = psutil.cpu_times(), psutil.Process().cpu_times()
        stolen, waiting = getattr(times, "steal", 0.0), getattr(times, "iowait", 0.0)
        total = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)  # user has these too
        return cls(total, total - times.idle - waiting - stolen, own.user + own.system, stolen)

    def share_since(self, before: Usage, part: Callable[[Usage], float]) -> float | None:
        """Return the share in percent of all cores' time; None where the clock, of 10 ms, has hardly moved."""
        passed = self.total - before.total
        return None if passed < MIN_USAGE_S else round(max(0.0, 100 * (part(self) - part(before)) / passed), 1)
