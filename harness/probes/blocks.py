"""Blocks: timed intervals of calls back to back, each as long as the clock needs it, with the clock's state round it.

A block lasts a thousand times what the clock can tell apart, and a millisecond at the least (torch.utils.benchmark
grows its blocks so, too): a block of several calls where one is shorter.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import fmean

from harness.devices.clock import ClockError, ClockState
from harness.devices.interface import Block, Device

MIN_BLOCK_S = 1e-3
RESOLUTIONS = 1000
"""A block is at least so many of the clock's least steps: it is then known to a thousandth."""
MAX_CALLS = 10_000
SIZINGS = 8
"""Blocks at most from which the number of calls is found: the first ones are slow, and later ones then too short."""
GROWTH = 10
"""Times at most that a block's calls grow at once: what took no time may yet take long."""

LATE_S = 50e-6
"""Several times what CUDA takes to say that an idle device is idle."""
LATE_SHARE = 0.02
"""Of a block's time: what verdicts rest on."""


@dataclass(slots=True)
class Blocks:
    """Blocks of one pass, in order."""

    run: Callable[[], object]
    device: Device
    cold: bool
    calls: int = 1
    """Of each block."""
    sizing: list[Block] = field(default_factory=list)
    """Blocks of other numbers of calls that came before."""
    timed: list[Block] = field(default_factory=list)
    states: list[ClockState] = field(default_factory=list)
    """The device's clock before the first block and after each; none on a device that does not tell."""

    def size(self) -> None:
        """Find how many calls fill a block; raise ClockError where the clock goes backwards."""
        wanted = max(MIN_BLOCK_S, RESOLUTIONS * self.device.resolution_s())
        for _ in range(SIZINGS):
            block = self.device.time(self.run, self.calls, cold=self.cold)
            if block.device_s < 0:
                raise ClockError(block.calls, block.seconds)
            self.sizing.append(block)
            if block.seconds >= wanted or self.calls == MAX_CALLS:
                return
            short = wanted / block.seconds if block.seconds else GROWTH
            self.calls = min(MAX_CALLS, math.ceil(self.calls * min(short * 1.1, GROWTH)))

    def take(self) -> None:
        """Time one block more; raise ClockError where it took no time."""
        if not self.timed:
            self._look()
        block = self.device.time(self.run, self.calls, cold=self.cold)
        for seconds in (block.device_s, block.host_s):
            if seconds <= 0:
                raise ClockError(block.calls, seconds * block.calls)
        self.timed.append(block)
        self._look()

    def _look(self) -> None:
        if (state := self.device.clock_state()) is not None:
            self.states.append(state)

    @property
    def times(self) -> list[float]:
        """Seconds per call of each block on the device's clock."""
        return [block.device_s for block in self.timed]

    @property
    def clocks_mhz(self) -> list[float]:
        """The clock of each block: the mean of that before and that after it."""
        return [fmean((before.sm_clock_mhz, after.sm_clock_mhz)) for before, after in pairwise(self.states)]

    @property
    def throttled(self) -> list[float]:
        """1 for each block before or after which the device was held back, else 0."""
        return [float(before.throttled or after.throttled) for before, after in pairwise(self.states)]

    def untimed(self) -> str | None:
        """Return in words what most blocks left behind on streams that were not timed; None where they left nothing.

        One block may be late since the host was: the machine took its core away between the two waits.
        """
        late = [block.late_s for block in self.timed if block.late_s > max(LATE_S, LATE_SHARE * block.seconds)]
        if 2 * len(late) <= len(self.timed):
            return None
        return (
            f"work on another stream was not timed: after the end of {len(late)} of {len(self.timed)} blocks the device"
            f" was busy for another {fmean(late) * 1e3:.3g} ms; the layer must let its stream wait for what it starts"
        )
