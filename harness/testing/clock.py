"""The clock that pytest-benchmark reads: it shows what the device's own clock gave, and stands still in between."""

from __future__ import annotations


class RoundClock:
    """A timer for pytest-benchmark, in seconds: from one reading to the next it moves on by the time of one pass.

    A round here is a round of the harness, a visit of many passes. What it says of a pass (on CUDA by events, cache
    flushed, on a CPU by the host's clock, warm-up left out) is more than two readings around a call can say.
    """

    __name__ = "device"
    """As `options.timer` in pytest-benchmark's files."""

    def __init__(self) -> None:
        self._seconds = 0.0

    def __call__(self) -> float:
        """Return the reading."""
        return self._seconds

    def advance(self, seconds: float) -> None:
        """Move on by the time of one pass."""
        self._seconds += seconds
