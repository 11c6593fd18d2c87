"""One NVIDIA GPU: its clock, graphs and caching allocator as torch has them, NVML's facts and states."""

from __future__ import annotations

import hashlib
import importlib
import os
from collections.abc import Callable
from typing import Any

import torch

from harness.devices.allocator import of_pass
from harness.devices.clock import ClockState
from harness.devices.cuda_clock import EventClock
from harness.devices.cuda_graph import capture
from harness.devices.interface import Block, Captured, Device, Fact, Fault, NoSuchDevice, Peak
from harness.devices.names import nvml_handle

FALLBACK_L2_BYTES = 64 << 20
"""Taken where the device reports no L2 size; an H200 reports 60 MB."""

EVENT_REASONS = {
    "GpuIdle": "idle",
    "ApplicationsClocksSetting": "clocks set by user",
    "SwPowerCap": "power cap",
    "HwSlowdown": "hardware slowdown",
    "SyncBoost": "sync boost",
    "SwThermalSlowdown": "software thermal slowdown",
    "HwThermalSlowdown": "hardware thermal slowdown",
    "HwPowerBrakeSlowdown": "power brake",
    "DisplayClockSetting": "display clock",
    "BoardLimit": "board limit",
    "Reliability": "reliability limit",
}
"""NVML's names for why clocks are not at their highest, and our words."""
THROTTLED = ("HwSlowdown", "SwThermalSlowdown", "HwThermalSlowdown", "HwPowerBrakeSlowdown")
"""The reasons that spoil a sample. A power cap is none: every large matmul runs at it."""

DEVICE_ERRORS = ("CUDA error", "CUDA driver error", "CUBLAS_STATUS_", "CUDNN_STATUS_", "Triton Error [CUDA]")
"""How torch, its libraries and Triton word an error of the device; new versions of torch raise AcceleratorError."""
DEVICE_FULL = ("CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")
"""Those of them that only want memory: what is allocated past torch's caching allocator fails so."""
DEVICE_GONE = ("busy or unavailable", "no CUDA-capable device", "GPU is lost", "GPU has fallen off the bus")
"""Those of them that say that the device is not there: cudaErrorDevicesUnavailable, cudaErrorNoDevice, the driver."""
NVML_SLOWDOWN_THRESHOLD = 1
"""NVML_TEMPERATURE_THRESHOLD_SLOWDOWN: where the hardware slows itself down."""
NVML_SUCCESS = 0
NVML_GPU_IS_LOST = 15
"""NVML_ERROR_GPU_IS_LOST: the GPU has fallen off the bus."""


class CudaDevice(Device):
    """The GPU with `index` among those that CUDA may see.

    Args:
        index: CUDA's number of the device.
        cuda: `torch.cuda`, or what stands in for it in a test.
        nvml: `pynvml`, or what stands in for it in a test.
        allocate: Makes a buffer of so many bytes that has `zero_()`; None: a tensor on the device.

    Raises:
        NoSuchDevice: This torch sees no GPU.
    """

    kind = "cuda"
    timed_metrics = ("latency_ms", "latency_hot_ms", "host_ms")
    wakes_s = 0.5

    def __init__(
        self, index: int = 0, cuda: Any = None, nvml: Any = None, allocate: Callable[[int], Any] | None = None
    ) -> None:
        self.torch_name = f"cuda:{index}"
        self._cuda = torch.cuda if cuda is None else cuda
        if not self._cuda.is_available():
            raise NoSuchDevice(
                f"no CUDA device: torch {torch.__version__} sees none (a build without CUDA, a driver too old for it, "
                "or no GPU); install a CUDA build of torch, or use --device cpu"
            )
        self._cuda.set_device(index)
        self._index = index
        self._properties = self._cuda.get_device_properties(index)
        self._l2_bytes = int(getattr(self._properties, "L2_cache_size", 0)) or FALLBACK_L2_BYTES
        self._clock = EventClock(self._cuda, self._l2_bytes, allocate or self._tensor)
        self._nvml, self._handle = self._open_nvml(nvml)
        self.no_energy = "NVML does not answer" if self._nvml is None else "this GPU has no total energy counter"

    def synchronize(self) -> None:
        """Wait until the device has done all its work, on every stream."""
        self._cuda.synchronize()

    def time(self, run: Callable[[], object], calls: int, *, cold: bool) -> Block:
        """Time `calls` calls by events on the current stream; `cold` flushes the L2 cache before each."""
        return self._clock.cold(run, calls) if cold else self._clock.hot(run, calls)

    def resolution_s(self) -> float:
        """Return the least step that events on the current stream were seen to make."""
        return self._clock.resolution_s

    def capture(self, run: Callable[[], object]) -> Captured:
        """Return `run` captured in a CUDA graph, after a warm-up on a side stream; raise CaptureFailed."""
        return capture(self._cuda, run)

    def peak(self, run: Callable[[], object]) -> Peak:
        """Return the caching allocator's highest total during one call, above what stood before it.

        The first matmul of a process allocates cuBLAS's workspace, which stays: call `run` once before.
        """
        self.synchronize()
        before, stats = self._cuda.memory_allocated(), self._cuda.memory_stats()
        self._cuda.reset_peak_memory_stats()
        run()
        self.synchronize()
        peak = int(self._cuda.max_memory_allocated() - before)
        allocator = of_pass(peak, stats, self._cuda.memory_stats())
        return Peak(peak_bytes=peak, reserved_bytes=int(self._cuda.memory_reserved()), allocator=allocator)

    def memory_bytes(self) -> int:
        """Return the device's memory."""
        return int(self._properties.total_memory)

    def facts(self) -> dict[str, Fact]:
        """Return name, SMs, capability, caches, driver, CUDA, and what NVML says of ECC, power and clocks."""
        return {
            "name": str(self._properties.name),
            "sms": int(self._properties.multi_processor_count),
            "capability": f"{self._properties.major}.{self._properties.minor}",
            "memory_bytes": self.memory_bytes(),
            "l2_bytes": self._l2_bytes,
            "torch": torch.__version__,
            "cuda": torch.version.cuda,
            "threads": torch.get_num_threads(),
            **self._nvml_facts(),
        }

    def state(self) -> dict[str, Fact]:
        """Return clocks, temperature, power, why clocks are held back, and how many others compute on the GPU."""
        if self._nvml is None:
            return {}
        nvml = self._nvml
        milliwatts = self._ask("nvmlDeviceGetPowerUsage")
        reasons = self._ask("nvmlDeviceGetCurrentClocksEventReasons")
        others = self._ask("nvmlDeviceGetComputeRunningProcesses")
        readings: dict[str, Fact] = {
            "sm_clock_mhz": self._ask("nvmlDeviceGetClockInfo", nvml.NVML_CLOCK_SM),
            "memory_clock_mhz": self._ask("nvmlDeviceGetClockInfo", nvml.NVML_CLOCK_MEM),
            "temperature_c": self._ask("nvmlDeviceGetTemperature", nvml.NVML_TEMPERATURE_GPU),
            "temperature_limit_c": self._ask("nvmlDeviceGetTemperatureThreshold", NVML_SLOWDOWN_THRESHOLD),
            "power_w": None if milliwatts is None else milliwatts / 1e3,
            "event_reasons": None if reasons is None else self._words(reasons),
            "throttled": None if reasons is None else self._throttled(reasons),
            "foreign_processes": None if others is None else self._foreign([process.pid for process in others]),
        }
        return {name: value for name, value in readings.items() if value is not None}

    def energy_joules(self) -> float | None:
        """Return what the GPU has taken since its driver was loaded; Volta and later have the counter, in mJ."""
        millijoules = self._ask("nvmlDeviceGetTotalEnergyConsumption")
        return None if millijoules is None else millijoules * 1e-3

    def power_watts(self) -> float | None:
        """Return the power of this instant where NVML tells it, else its own reading: a mean of 1 s since Ampere."""
        instant = getattr(self._nvml, "NVML_FI_DEV_POWER_INSTANT", None)
        fields = None if instant is None else self._ask("nvmlDeviceGetFieldValues", [instant])
        if fields is not None and fields[0].nvmlReturn == NVML_SUCCESS and fields[0].value.uiVal:
            return float(fields[0].value.uiVal) * 1e-3
        milliwatts = self._ask("nvmlDeviceGetPowerUsage")
        return None if milliwatts is None else milliwatts * 1e-3

    def clock_state(self) -> ClockState | None:
        """Return the SM clock and why it is held back, of which NVML tells both in some microseconds; None without."""
        if self._nvml is None:
            return None
        clock = self._ask("nvmlDeviceGetClockInfo", self._nvml.NVML_CLOCK_SM)
        reasons = self._ask("nvmlDeviceGetCurrentClocksEventReasons")
        return (
            None if not clock or reasons is None else ClockState(clock, self._words(reasons), self._throttled(reasons))
        )

    def _throttled(self, reasons: int) -> bool:
        return any(reasons & self._mask(name) for name in THROTTLED)

    def _foreign(self, pids: list[int]) -> int:
        """Return how many of those that compute on the GPU are others.

        In a container NVML may know this process under the number that it has outside, so that it is none of `pids`.
        """
        ours = os.getpid() in pids or (bool(pids) and self._cuda.memory_reserved() > 0)
        return len(pids) - ours

    def fault(self, error: BaseException) -> Fault | None:
        """Return what `error` says of the machine.

        The GPU itself is asked too, as many calls fail in other words when it is lost.
        """
        text = str(error)
        if isinstance(error, self._cuda.OutOfMemoryError) or any(words in text for words in DEVICE_FULL):
            return "device memory"
        raised = isinstance(error, getattr(torch, "AcceleratorError", ()))
        if raised or (isinstance(error, RuntimeError) and any(words in text for words in DEVICE_ERRORS)):
            return "device lost" if any(words in text for words in DEVICE_GONE) or self._lost() else "device error"
        return super().fault(error)

    def _lost(self) -> bool:
        """Return whether NVML says that the GPU is no longer there."""
        if self._nvml is None:
            return False
        try:
            self._nvml.nvmlDeviceGetTemperature(self._handle, self._nvml.NVML_TEMPERATURE_GPU)
        except self._nvml.NVMLError as error:
            return getattr(error, "value", None) == NVML_GPU_IS_LOST
        return False

    def _tensor(self, num_bytes: int) -> Any:
        return torch.empty(num_bytes, dtype=torch.int8, device=self.torch_name)

    def _open_nvml(self, nvml: Any) -> tuple[Any, Any]:
        """Return NVML and its handle of this very GPU, or (None, None): the device works without."""
        nvml = nvml or importlib.import_module("pynvml")
        uuid = getattr(self._properties, "uuid", None)
        try:
            nvml.nvmlInit()
            return nvml, nvml_handle(nvml, None if uuid is None else f"GPU-{str(uuid).removeprefix('GPU-')}")
        except (nvml.NVMLError, NoSuchDevice):
            return None, None

    def _ask(self, function: str, *arguments: object) -> Any:
        """Return NVML's answer, or None where this GPU, driver or pynvml has none."""
        if self._nvml is None:
            return None
        try:
            return getattr(self._nvml, function)(self._handle, *arguments)
        except (AttributeError, self._nvml.NVMLError):
            return None

    def _nvml_facts(self) -> dict[str, Fact]:
        if self._nvml is None:
            return {"nvml": "not available: no clocks, power or throttle reasons"}
        nvml = self._nvml
        uuid = self._ask("nvmlDeviceGetUUID")
        ecc = self._ask("nvmlDeviceGetEccMode")
        limit = self._ask("nvmlDeviceGetEnforcedPowerLimit")
        return {
            "uuid_hash": None if uuid is None else hashlib.sha256(str(uuid).encode()).hexdigest()[:12],
            "driver": str(nvml.nvmlSystemGetDriverVersion()),
            "ecc": None if ecc is None else bool(ecc[0]),
            "power_limit_w": None if limit is None else limit / 1e3,
            "sm_clock_max_mhz": self._ask("nvmlDeviceGetMaxClockInfo", nvml.NVML_CLOCK_SM),
            "memory_clock_max_mhz": self._ask("nvmlDeviceGetMaxClockInfo", nvml.NVML_CLOCK_MEM),
        }

    def _words(self, reasons: int) -> str:
        return ", ".join(words for name, words in EVENT_REASONS.items() if reasons & self._mask(name)) or "none"

    def _mask(self, name: str) -> int:
        """Return the bit of one reason; the newer two exist only under NVML's former prefix."""
        new = getattr(self._nvml, f"nvmlClocksEventReason{name}", None)
        return int(new if new is not None else getattr(self._nvml, f"nvmlClocksThrottleReason{name}", 0))
