"""A device whose blocks take what a script says: for warm-up, sizing, and clocks that cannot be believed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from harness.devices.clock import ClockState
from harness.devices.interface import Block, Device, Fact, Peak
from tests.scripted_wall import ScriptedWall


class ScriptedDevice(Device):
    """Takes `next(durations)` seconds a call in each block, on a wall clock that stands in for the module `time`."""

    kind = "cpu"
    torch_name = "cpu"
    timed_metrics = ("latency_ms",)

    def __init__(self, durations: Iterator[float], *, step_s: float = 1e-7) -> None:
        self.wall = ScriptedWall()
        self.blocks: list[Block] = []
        self.states: Iterator[ClockState] | None = None
        self.late: Iterator[float] | None = None
        self._durations, self._step_s = durations, step_s

    def time(self, run: Callable[[], object], calls: int, *, cold: bool) -> Block:
        run()
        each = next(self._durations)
        self.wall.sleep(each * calls)
        self.blocks.append(Block(each, each, calls, next(self.late) if self.late else 0.0))
        return self.blocks[-1]

    def resolution_s(self) -> float:
        return self._step_s

    def clock_state(self) -> ClockState | None:
        return None if self.states is None else next(self.states)

    def synchronize(self) -> None:
        """Return at once."""

    def peak(self, run: Callable[[], object]) -> Peak:
        raise NotImplementedError

    def memory_bytes(self) -> int:
        return 1 << 30

    def facts(self) -> dict[str, Fact]:
        return {}

    def state(self) -> dict[str, Fact]:
        return {}
