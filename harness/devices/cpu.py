"""The CPU: the host's clock, the allocator as the profiler sees it, psutil's facts."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import torch
from torch.profiler import ProfilerActivity, profile

from harness.devices.clock import LOOKS, resolution
from harness.devices.interface import Block, Device, Fact, Peak
from harness.devices.names import cpu_flags, cpu_name, memory_bytes
from harness.devices.rapl import Rapl

ISA_FLAGS = ("avx2", "fma", "avx512f", "avx512_bf16", "avx512_fp16", "avx512_vnni", "amx_tile", "amx_bf16", "amx_int8")
"""The flags that decide which matmul kernels oneDNN and MKL can pick."""
HWMON = Path("/sys/class/hwmon")
CPU_SENSORS = ("coretemp", "k10temp", "zenpower")
"""Linux's drivers of processors' thermometers. Only theirs are read: a board's others may take 100 ms to answer."""
CPUS = Path("/sys/devices/system/cpu")
THROTTLE_COUNT = Path("/sys/devices/system/cpu/cpu0/thermal_throttle/package_throttle_count")


class CpuDevice(Device):
    """This machine's CPU, with the threads that torch is set to."""

    kind = "cpu"
    torch_name = "cpu"
    timed_metrics = ("latency_ms",)

    def __init__(self) -> None:
        self._sensors = _sensors()
        self._rapl = Rapl()
        self.no_energy = self._rapl.missing

    def synchronize(self) -> None:
        """Return at once: CPU operators are done when they return."""

    def time(self, run: Callable[[], object], calls: int, *, cold: bool) -> Block:
        """Time `calls` calls with the host's monotonic clock; `cold` has no effect."""
        start = time.perf_counter_ns()
        for _ in range(calls):
            run()
        each = (time.perf_counter_ns() - start) / calls * 1e-9
        return Block(device_s=each, host_s=each, calls=calls)

    def resolution_s(self) -> float:
        """Return the least step that the host's clock was seen to make between two readings."""
        readings = [time.perf_counter() for _ in range(LOOKS)]
        return resolution(readings, fallback=time.get_clock_info("perf_counter").resolution)

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
            "cache_bytes": cache_bytes(),
            "isa": " ".join(flag for flag in ISA_FLAGS if flag in flags),
            "torch": torch.__version__,
            "torch_isa": torch.backends.cpu.get_cpu_capability(),
            "mkl": bool(torch.backends.mkl.is_available()),  # type: ignore[no-untyped-call]
            "onednn": bool(torch.backends.mkldnn.is_available()),  # type: ignore[no-untyped-call]
            "openmp": bool(torch.backends.openmp.is_available()),  # type: ignore[no-untyped-call]
        }

    def state(self) -> dict[str, Fact]:
        """Return clock, temperature, and how often the processor was slowed down for its heat, where they are told."""
        clock_mhz: float | None = getattr(psutil.cpu_freq(), "current", None)  # None in many virtual machines
        readings: dict[str, Fact] = {"clock_mhz": None if clock_mhz is None else round(clock_mhz)}
        for name, (path, unit) in self._sensors.items():
            with suppress(OSError, ValueError):
                readings[name] = int(path.read_text("ascii")) / unit
        return readings

    def energy_joules(self) -> float | None:
        """Return what the processor's packages have taken since this was made, others' work included; None: no RAPL."""
        return self._rapl.joules()


def _sensors() -> dict[str, tuple[Path, int]]:
    """Return the files that tell this processor's heat, and by what to divide what they say."""
    found = {"throttle_count": (THROTTLE_COUNT, 1)} if THROTTLE_COUNT.exists() else {}
    for name in HWMON.glob("*/name"):
        with suppress(OSError):
            if name.read_text("utf-8").strip() in CPU_SENSORS:
                found |= {"temperature_c": (name.with_name("temp1_input"), 1000)}
                found |= {"temperature_limit_c": (name.with_name("temp1_crit"), 1000)}
    return found


def cache_bytes(cpus: Path = CPUS) -> int | None:
    """Return the bytes of the last caches of the cores that this process may run on; None where Linux does not say."""
    held: dict[tuple[str, str], int] = {}
    last = 0
    for core in affinity():
        for cache in (cpus / f"cpu{core}" / "cache").glob("index*"):
            with suppress(OSError, ValueError):
                level = int((cache / "level").read_text("ascii"))
                if level > last:
                    last, held = level, {}
                if level == last:
                    own = str(level), (cache / "shared_cpu_list").read_text("ascii").strip()
                    held[own] = int((cache / "size").read_text("ascii").strip().removesuffix("K")) << 10
    return sum(held.values()) or None


def affinity() -> list[int]:
    """Return the cores that this process may run on."""
    try:
        return sorted(os.sched_getaffinity(0))
    except AttributeError:  # macOS has none
        return list(range(psutil.cpu_count() or 1))
