"""What a device must be able to do; probes know devices only through this."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

Fact = str | int | float | bool | None

Fault = Literal["host memory", "device memory", "device error", "device lost"]
"""What an error says of the machine: its memory or the device's is full; the device has failed, and with it all work
of this process; the device is no longer there."""
ALLOCATION_FAILED = ("DefaultCPUAllocator", "can't allocate memory", "not enough memory", "std::bad_alloc")
"""How torch words a failed host allocation; it raises a plain RuntimeError."""


class NoSuchDevice(Exception):
    """The device that was asked for is not here; the message says what is."""


@dataclass(frozen=True, slots=True)
class Block:
    """One timed interval of `calls` calls back to back."""

    device_s: float
    """Seconds per call on the device's own clock."""
    host_s: float
    """Seconds per call that the host was busy launching; equal to `device_s` on CPU."""
    calls: int


@dataclass(frozen=True, slots=True)
class Peak:
    """What the allocator saw during one pass, in bytes above what was allocated before it."""

    peak_bytes: int
    reserved_bytes: int | None
    """What the caching allocator holds in all; None on CPU, where there is none."""
    allocator: dict[str, int] = field(default_factory=dict)
    """What else it says of the pass, by name: `num_alloc_retries` and `num_ooms` in it, `inactive_split_bytes` after
    it, `rounding_bytes` of the peak that nobody asked for."""


class Device(ABC):
    """A device that layers run on: its clock, cache, allocator, facts."""

    kind: str
    """cpu or cuda."""
    torch_name: str
    """What `torch.device` takes."""
    timed_metrics: tuple[str, ...]
    """Which of latency_ms, latency_hot_ms, host_ms this device's clock can tell."""

    @abstractmethod
    def synchronize(self) -> None:
        """Return when all work given to the device is done."""

    @abstractmethod
    def time(self, run: Callable[[], object], calls: int, *, cold: bool) -> Block:
        """Time `calls` calls of `run`; `cold` empties the cache before each (no effect on CPU)."""

    @abstractmethod
    def peak(self, run: Callable[[], object]) -> Peak:
        """Return the allocator's peak over one call of `run`."""

    @abstractmethod
    def memory_bytes(self) -> int:
        """Return the memory that layers may use in all."""

    @abstractmethod
    def facts(self) -> dict[str, Fact]:
        """Return what does not change during a run: name, cores or SMs, memory, cache, driver, threads."""

    @abstractmethod
    def state(self) -> dict[str, Fact]:
        """Return what changes: load, clocks, temperature, throttle reasons; only what can be read."""

    def fault(self, error: BaseException) -> Fault | None:
        """Return what `error` says of the machine; None where it says nothing of it."""
        full = isinstance(error, MemoryError) or (
            isinstance(error, RuntimeError) and any(words in str(error) for words in ALLOCATION_FAILED)
        )
        return "host memory" if full else None
