"""What a device must be able to do; probes know devices only through this."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from harness.devices.clock import ClockError, ClockFault, ClockState

Fact = str | int | float | bool | None

Fault = Literal["host memory", "device memory", "device error", "device lost"] | ClockFault
"""What an error says of the machine: its memory or the device's is full; the device has failed, and with it all work
of this process; the device is no longer there; its clock went backwards, or stood still."""
ALLOCATION_FAILED = ("DefaultCPUAllocator", "can't allocate memory", "not enough memory", "std::bad_alloc")
"""How torch words a failed host allocation; it raises a plain RuntimeError."""


class NoSuchDevice(Exception):
    """The device that was asked for is not here; the message says what is."""


class CaptureFailed(Exception):
    """The calls cannot be captured in a graph; the message is the first line of why."""


@dataclass(frozen=True, slots=True)
class Block:
    """One timed interval of `calls` calls back to back."""

    device_s: float
    """Seconds per call on the device's own clock."""
    host_s: float
    """Seconds per call that the host was busy launching; equal to `device_s` on CPU."""
    calls: int
    late_s: float = 0.0
    """Seconds that the host still waited for the device when the timed stream had done all that it was given."""

    @property
    def seconds(self) -> float:
        """Seconds of the whole block on the device's clock."""
        return self.device_s * self.calls


@dataclass(frozen=True, slots=True)
class Peak:
    """What the allocator saw during one pass, in bytes above what was allocated before it."""

    peak_bytes: int
    reserved_bytes: int | None
    """What the caching allocator holds in all; None on CPU, where there is none."""
    allocator: dict[str, int] = field(default_factory=dict)
    """What else it says of the pass, by name: `num_alloc_retries` and `num_ooms` in it, `inactive_split_bytes` after
    it, `rounding_bytes` of the peak that nobody asked for."""


@dataclass(frozen=True, slots=True)
class Captured:
    """Calls captured in a graph of the device."""

    replay: Callable[[], object]
    """Launches the graph once."""
    output: object
    """What the captured call returned; each replay writes it anew."""


class Device(ABC):
    """A device that layers run on: its clock, cache, allocator, facts."""

    kind: str
    """cpu or cuda."""
    torch_name: str
    """What `torch.device` takes."""
    timed_metrics: tuple[str, ...]
    """Which of latency_ms, latency_hot_ms, host_ms this device's clock can tell."""
    wakes_s: float = 0.0
    """Seconds of work after which its clock has left its state of rest."""

    no_energy: str = "it has no counter"
    """Why there is no energy to be read, in words that end a sentence; of no meaning where there is."""

    @abstractmethod
    def synchronize(self) -> None:
        """Return when all work given to the device is done."""

    @abstractmethod
    def time(self, run: Callable[[], object], calls: int, *, cold: bool) -> Block:
        """Time `calls` calls of `run`; `cold` empties the cache before each (no effect on CPU)."""

    @abstractmethod
    def resolution_s(self) -> float:
        """Return the least time, in seconds, that this device's clock was seen to tell apart."""

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

    def agreed(self, seconds: float) -> float:
        """Return what all who measure together take for these `seconds`: the most of them; alone, one's own."""
        return seconds

    def energy_joules(self) -> float | None:
        """Return the energy in J that the device has taken since some moment, by its own counter; None: it has none."""
        return None

    def power_watts(self) -> float | None:
        """Return the power in W that the device's sensor shows now; None where it has none."""
        return None

    def clock_state(self) -> ClockState | None:
        """Return the clock of the device's cores and what holds it back, in microseconds; None where nothing tells."""
        return None

    def capture(self, run: Callable[[], object]) -> Captured:
        """Return `run` captured in a graph, after some calls of it.

        Raises:
            CaptureFailed: The device cannot capture it; here: it has no graphs.
        """
        raise CaptureFailed("this device has no graphs")

    def fault(self, error: BaseException) -> Fault | None:
        """Return what `error` says of the machine; None where it says nothing of it."""
        if isinstance(error, ClockError):
            return error.fault
        full = isinstance(error, MemoryError) or (
            isinstance(error, RuntimeError) and any(words in str(error) for words in ALLOCATION_FAILED)
        )
        return "host memory" if full else None
