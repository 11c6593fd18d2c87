"""The device of one rank, in step with those of the others."""

from __future__ import annotations

from collections.abc import Callable

from harness.devices.clock import ClockState
from harness.devices.interface import Block, Device, Fact, Fault, Peak
from harness.parallel.control import Control


class RankDevice(Device):
    """A device whose blocks begin together, and take as long as those of the slowest rank.

    All ranks are told the same times, so that whoever goes by them does the same on each rank. Where a probe goes by
    another clock it asks for what is `agreed`.
    """

    def __init__(self, own: Device, control: Control) -> None:
        self._own, self._control = own, control
        self.kind, self.torch_name = own.kind, own.torch_name
        self.timed_metrics, self.wakes_s = own.timed_metrics, own.wakes_s

    def synchronize(self) -> None:
        """Return when this rank's device has done all work."""
        self._own.synchronize()

    def time(self, run: Callable[[], object], calls: int, *, cold: bool) -> Block:
        """Time `calls` calls on every rank, begun together; the times are those of the slowest."""
        self._control.meet()
        block = self._own.time(run, calls, cold=cold)
        device_s, host_s, late_s = self._control.most(block.device_s, block.host_s, block.late_s)
        return Block(device_s, host_s, calls, late_s)

    def resolution_s(self) -> float:
        """Return the coarsest clock's least step."""
        return self.agreed(self._own.resolution_s())

    def agreed(self, seconds: float) -> float:
        """Return the most `seconds` of any rank."""
        return self._control.most(seconds)[0]

    def peak(self, run: Callable[[], object]) -> Peak:
        """Return this rank's peak."""
        return self._own.peak(run)

    def memory_bytes(self) -> int:
        """Return the memory of this rank's device."""
        return self._own.memory_bytes()

    def facts(self) -> dict[str, Fact]:
        """Return those of this rank's device."""
        return self._own.facts()

    def state(self) -> dict[str, Fact]:
        """Return that of this rank's device."""
        return self._own.state()

    def clock_state(self) -> ClockState | None:
        """Return that of this rank's device."""
        return self._own.clock_state()

    def fault(self, error: BaseException) -> Fault | None:
        """Return what `error` says of this rank's device."""
        return self._own.fault(error)
