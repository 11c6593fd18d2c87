"""The CPU: the host's clock, the allocator as the profiler sees it, psutil's facts."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil
import torch
from torch.profiler import ProfilerActivity, profile

from harness.devices.interface import Block, Device, Fact, Peak
from harness.devices.names import cpu_flags, cpu_name, memory_bytes

ISA_FLAGS = ("avx2", "fma", "avx512f", "avx512_bf16", "avx512_fp16", "avx512_vnni", "amx_tile", "amx_bf16", "amx_int8")
"""The flags that decide which matmul kernels oneDNN and MKL can pick."""
MIN_USAGE_S = 0.02
"""Linux counts cores' time in steps of 10 ms: a share of less is noise."""


class CpuDevice(Device):
    """This machine's CPU, with the threads that torch is set to."""

    kind = "cpu"
    torch_name = "cpu"
    timed_metrics = ("latency_ms",)

    def __init__(self) -> None:
        self._usage = _Usage.now()

    def synchronize(self) -> None:
        """Return at once: CPU operators are done when they return."""

    def time(self, run: Callable[[], object], calls: int, *, cold: bool) -> Block:
        """Time `calls` calls with the host's monotonic clock; `cold` has no effect."""
        start = time.perf_counter_ns()
        for _ in range(calls):
            run()
        each = (time.perf_counter_ns() - start) / calls * 1e-9
        return Block(device_s=each, host_s=each, calls=calls)

    def peak(self, run: Callable[[], object]) -> Peak:
        """Return the highest running sum over the allocator's own events during one call.

        Unlike dispatch-level trackers this sees what kernels allocate inside themselves, such as the contiguous copy
        of an expanded operand.
        """
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
            run()
        results = profiler.profiler.kineto_results if profiler.profiler is not None else None
        assert results is not None
        held = peak = 0
        for event in results.events():
            if event.name() == "[memory]":
                held += event.nbytes()
                peak = max(peak, held)
        return Peak(peak_bytes=peak, reserved_bytes=None)

    def memory_bytes(self) -> int:
        """Return the machine's memory, or the container's limit where that is less."""
        return memory_bytes("cpu")

    def facts(self) -> dict[str, Fact]:
        """Return name, cores, threads, affinity, memory, instruction sets and torch's build."""
        flags = cpu_flags()
        return {
            "name": cpu_name(),
            "cores": psutil.cpu_count(),
            "cores_physical": psutil.cpu_count(logical=False),
            "threads": torch.get_num_threads(),
            "affinity": ",".join(map(str, affinity())),
            "memory_bytes": self.memory_bytes(),
            "isa": " ".join(flag for flag in ISA_FLAGS if flag in flags),
            "torch": torch.__version__,
            "torch_isa": torch.backends.cpu.get_cpu_capability(),
            "mkl": bool(torch.backends.mkl.is_available()),  # type: ignore[no-untyped-call]
            "onednn": bool(torch.backends.mkldnn.is_available()),  # type: ignore[no-untyped-call]
            "openmp": bool(torch.backends.openmp.is_available()),  # type: ignore[no-untyped-call]
        }

    def state(self) -> dict[str, Fact]:
        """Return load, clock, swap, and who had the cores since the last call: whether the machine was ours alone."""
        clock_mhz: float | None = getattr(psutil.cpu_freq(), "current", None)  # None in many virtual machines
        before, self._usage = self._usage, _Usage.now()
        return {
            "load_1min": round(psutil.getloadavg()[0], 2),
            "others_percent": self._usage.share_since(before, lambda usage: usage.busy - usage.own),
            "steal_percent": self._usage.share_since(before, lambda usage: usage.stolen),
            "clock_mhz": None if clock_mhz is None else round(clock_mhz),
            "swap_used_bytes": psutil.swap_memory().used,
        }


@dataclass(frozen=True, slots=True)
class _Usage:
    """Seconds of all cores since the machine started."""

    total: float
    busy: float
    own: float
    """Of the busy ones, this process's."""
    stolen: float
    """Taken by the hypervisor for other machines."""

    @classmethod
    def now(cls) -> _Usage:
        times, own = psutil.cpu_times(), psutil.Process().cpu_times()
        stolen, waiting = getattr(times, "steal", 0.0), getattr(times, "iowait", 0.0)
        total = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)  # user has these too
        return cls(total, total - times.idle - waiting - stolen, own.user + own.system, stolen)

    def share_since(self, before: _Usage, part: Callable[[_Usage], float]) -> float | None:
        """Return the share in percent of all cores' time; None where the clock, of 10 ms, has hardly moved."""
        passed = self.total - before.total
        return None if passed < MIN_USAGE_S else round(max(0.0, 100 * (part(self) - part(before)) / passed), 1)


def affinity() -> list[int]:
    """Return the cores that this process may run on."""
    try:
        return sorted(os.sched_getaffinity(0))
    except AttributeError:  # macOS has none
        return list(range(psutil.cpu_count() or 1))
