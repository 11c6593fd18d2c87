"""A scripted GPU: stands in for `torch.cuda` and `pynvml`, so that each branch of CudaDevice runs without one.

It keeps a device clock in ms that only kernels move, an allocator, and a log of what it was asked for. What the host
waits for, and the energy that the GPU takes meanwhile, stand on a wall clock: `tests/scripted_wall.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from tests.scripted_graph import ScriptedGraphs
from tests.scripted_wall import ScriptedWall


class ScriptedOutOfMemoryError(RuntimeError):
    """What torch.cuda raises."""


@dataclass
class ScriptedEvent:
    """Notes the device's clock when recorded; can be read only after a synchronize."""

    cuda: ScriptedCuda
    at_ms: float | None = None

    def record(self) -> None:
        self.at_ms = self.cuda.clock_ms
        self.cuda.log.append("record")
        self.cuda.pending = True

    def synchronize(self) -> None:
        """Wait for the current stream alone."""
        self.cuda.wall.wait("current")
        self.cuda.pending = False
        self.cuda.log.append("event synchronize")

    def elapsed_time(self, end: ScriptedEvent) -> float:
        assert not self.cuda.pending, "events were read before the device was waited for"
        assert self.at_ms is not None
        assert end.at_ms is not None
        return end.at_ms - self.at_ms


@dataclass
class ScriptedCuda(ScriptedGraphs):
    """Stands in for `torch.cuda`."""

    available: bool = True
    l2_bytes: int = 50 << 20
    uuid: str | None = "11111111-2222"
    clock_ms: float = 0.0
    allocated: int = 1000
    peak: int = 0
    retries: int = 0
    """How often a full allocator gave its cache back and tried again."""
    split: int = 0
    """Bytes in split blocks that nobody uses."""
    rounding: int = 0
    """Bytes of the peak that nobody asked for."""
    pending: bool = False
    log: list[str] = field(default_factory=list)
    wall: ScriptedWall = field(default_factory=ScriptedWall)
    OutOfMemoryError = ScriptedOutOfMemoryError

    def is_available(self) -> bool:
        return self.available

    def set_device(self, index: int) -> None:
        self.log.append(f"set_device {index}")

    def get_device_properties(self, index: int) -> Any:
        facts: dict[str, Any] = {"name": "NVIDIA Scripted", "multi_processor_count": 132, "major": 9, "minor": 0}
        facts |= {"total_memory": 80 << 30, "L2_cache_size": self.l2_bytes, "uuid": self.uuid}
        return SimpleNamespace(**facts)

    def synchronize(self) -> None:
        self.wait_allowed()
        self.wall.wait()
        self.pending = False
        self.log.append("synchronize")

    def is_idle(self) -> bool:
        """Whether no stream has work left, by the host's clock."""
        return self.wall.seconds >= self.wall.busy_until

    def Event(self, enable_timing: bool) -> ScriptedEvent:  # noqa: N802
        assert enable_timing
        return ScriptedEvent(self)

    def memory_allocated(self) -> int:
        return self.allocated

    def max_memory_allocated(self) -> int:
        return self.peak

    def memory_stats(self) -> dict[str, int]:
        return {
            "num_alloc_retries": self.retries,
            "num_ooms": 0,
            "inactive_split_bytes.all.current": self.split,
            "requested_bytes.all.current": self.allocated,
            "requested_bytes.all.peak": self.peak - self.rounding,
        }

    def memory_reserved(self) -> int:
        return 2 << 20

    def reset_peak_memory_stats(self) -> None:
        self.peak = self.allocated
        self.log.append("reset_peak")

    def kernel(self, ms: float, temporary: int = 0, stream: str = "current") -> None:
        """Run for `ms` on a stream and hold `temporary` bytes meanwhile; events stand on the current stream alone."""
        if self.capturing is not None:
            self.capturing.kernels.append((ms, stream))
            return
        if stream == "current":
            self.clock_ms += ms
        self.wall.launch(ms * 1e-3, stream)
        self.pending = True
        self.peak = max(self.peak, self.allocated + temporary)
        self.log.append("kernel")

    def buffer(self, num_bytes: int) -> Any:
        """Return what `allocate` gives: a buffer whose zeroing takes 1 ms on the device."""
        self.log.append(f"allocate {num_bytes}")

        def zero_() -> None:
            self.clock_ms += 1.0
            self.wall.launch(1e-3)
            self.log.append("flush")

        return SimpleNamespace(zero_=zero_)


class ScriptedNvmlError(Exception):
    """What pynvml raises; `value` is NVML's number for it."""

    def __init__(self, text: str, value: int = 3) -> None:
        super().__init__(text)
        self.value = value


@dataclass
class ScriptedMeter:
    """A GPU's true energy, what its counter shows of it, and the one clock that both go by."""

    step_s: float = 0.1
    """Seconds between two steps of the counter."""
    idle_w: float = 75.0
    busy_w: float = 500.0
    factor: float = 1.0
    """What the counter shows over what is true."""
    stuck: bool = False
    now_s: float = 1000.03
    joules: float = 5000.0
    shown: float = 5000.0
    watts: float = 0.0
    next_step: int = 0

    def __post_init__(self) -> None:
        self.next_step = int(self.now_s / self.step_s) + 1

    def now(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self._spend(seconds, self.idle_w)

    def work(self, seconds: float) -> None:
        self._spend(seconds, self.busy_w)

    @property
    def millijoules(self) -> int:
        """What the counter says now."""
        return int(self.shown * 1e3)

    def _spend(self, seconds: float, watts: float) -> None:
        self.watts, end = watts, self.now_s + seconds
        while (step := self.next_step * self.step_s) <= end:
            self.joules += watts * (step - self.now_s)
            self.now_s, self.next_step = step, self.next_step + 1
            self.shown = self.shown if self.stuck else self.factor * self.joules
        self.joules += watts * (end - self.now_s)
        self.now_s = end


@dataclass
class ScriptedNvml:
    """Stands in for `pynvml`."""

    meter: ScriptedMeter | ScriptedWall | None = None
    """Where power and energy go by; None: a GPU without an energy counter, at 412.5 W."""
    reasons: int = 0
    pids: tuple[int, ...] = ()
    missing: frozenset[str] = frozenset()
    """Functions that raise, as on a GPU that lacks the sensor."""
    starts: bool = True
    lost: bool = False
    """The GPU has fallen off the bus."""
    asked: list[str] = field(default_factory=list)
    NVMLError = ScriptedNvmlError
    NVML_CLOCK_SM, NVML_CLOCK_MEM, NVML_TEMPERATURE_GPU = 1, 2, 0
    NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION, NVML_FI_DEV_POWER_AVERAGE, NVML_FI_DEV_POWER_INSTANT = 83, 185, 186
    nvmlClocksEventReasonGpuIdle = 0x1  # noqa: N815
    nvmlClocksEventReasonSwPowerCap = 0x4  # noqa: N815
    nvmlClocksEventReasonHwSlowdown = 0x8  # noqa: N815
    nvmlClocksEventReasonHwThermalSlowdown = 0x40  # noqa: N815
    nvmlClocksThrottleReasonBoardLimit = 0x200  # noqa: N815

    def nvmlInit(self) -> None:  # noqa: N802
        if not self.starts:
            raise ScriptedNvmlError("Driver Not Loaded")

    def nvmlShutdown(self) -> None:  # noqa: N802
        self.asked.append("shutdown")

    def nvmlSystemGetDriverVersion(self) -> str:  # noqa: N802
        return "570.86"

    def nvmlDeviceGetHandleByIndex(self, index: int) -> str:  # noqa: N802
        if index > 1:
            raise ScriptedNvmlError("Invalid Argument")
        return f"gpu {index}"

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:  # noqa: N802
        return f"gpu {uuid}"

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: str) -> int:  # noqa: N802
        """Return mJ since the driver was loaded, as of the counter's last update."""
        return self._sensor("nvmlDeviceGetTotalEnergyConsumption").millijoules

    def nvmlDeviceGetFieldValues(self, handle: str, fields: list[int]) -> list[Any]:  # noqa: N802
        """Return power fields in mW and the energy counter in mJ, in the shape of NVML's values."""
        sensor = self._sensor("nvmlDeviceGetFieldValues")
        milliwatts = SimpleNamespace(uiVal=round(sensor.watts * 1e3))
        known = {
            self.NVML_FI_DEV_POWER_INSTANT: milliwatts,
            self.NVML_FI_DEV_POWER_AVERAGE: milliwatts,
            self.NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION: SimpleNamespace(ullVal=sensor.millijoules),
        }
        return [
            SimpleNamespace(fieldId=name, nvmlReturn=0 if name in known else 3, value=known.get(name))
            for name in fields
        ]

    def _sensor(self, name: str) -> ScriptedMeter | ScriptedWall:
        if self.lost:
            raise ScriptedNvmlError("GPU is lost", 15)
        if self.meter is None or name in self.missing:
            raise ScriptedNvmlError("Not Supported")
        return self.meter

    def __getattr__(self, name: str) -> Any:
        watts = 412.5 if self.meter is None else self.meter.watts
        answers: dict[str, Any] = {
            "nvmlDeviceGetName": "NVIDIA Scripted",
            "nvmlDeviceGetCount": 2,
            "nvmlDeviceGetMemoryInfo": SimpleNamespace(total=80 << 30),
            "nvmlDeviceGetUUID": "GPU-11111111-2222",
            "nvmlDeviceGetEccMode": (1, 1),
            "nvmlDeviceGetEnforcedPowerLimit": 700_000,
            "nvmlDeviceGetMaxClockInfo": 1980,
            "nvmlDeviceGetPowerUsage": round(watts * 1e3),
            "nvmlDeviceGetClockInfo": 1755,
            "nvmlDeviceGetTemperature": 61,
            "nvmlDeviceGetTemperatureThreshold": 91,
            "nvmlDeviceGetCurrentClocksEventReasons": self.reasons,
            "nvmlDeviceGetComputeRunningProcesses": [SimpleNamespace(pid=pid) for pid in self.pids],
        }
        if name not in answers:
            raise AttributeError(name)

        def answer(handle: str, *_: object) -> Any:
            self.asked.append(handle)
            if self.lost:
                raise ScriptedNvmlError("GPU is lost", 15)
            if name in self.missing:
                raise ScriptedNvmlError("Not Supported")
            return answers[name]

        return answer
