"""Clocks: what one can tell apart, what it gave that no clock can, and the state of the device's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

LOOKS = 200
"""Readings from which a clock's resolution is found: some microseconds on a CPU."""

ClockFault = Literal["clock backwards", "clock still"]


class ClockError(Exception):
    """A timed block that took no time, or less; `fault` says which of the two, the message what was timed."""

    def __init__(self, calls: int, seconds: float) -> None:
        self.fault: ClockFault = "clock backwards" if seconds < 0 else "clock still"
        super().__init__(f"a block of {calls} call{'s' if calls != 1 else ''} took {seconds * 1e3:g} ms")


@dataclass(frozen=True, slots=True)
class ClockState:
    """The clock of the device's cores at one moment, and what held it back."""

    sm_clock_mhz: float
    event_reasons: str
    """In words, `none` where nothing does."""
    throttled: bool


def resolution(readings: Sequence[float], fallback: float) -> float:
    """Return the least step that a clock was seen to make from one reading to the next; `fallback` where it made none.

    An upper bound of what the clock can tell apart: a reading takes its time too.
    """
    steps = [after - before for before, after in pairwise(readings) if after > before]
    return min(steps, default=fallback)
