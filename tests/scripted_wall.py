"""A scripted wall clock with a GPU's power on it: what the host waits for, what the GPU's energy counter then says.

It stands in for the module `time`. Time passes by `sleep`, by the host's launches, and where the host waits for
the device; the GPU draws `busy_watts` while a stream has work and `idle_watts` otherwise. Its counter shows nothing new
before the next whole multiple of `period_s`, as NVML's does:

    wall = ScriptedWall()
    cuda, nvml = ScriptedCuda(wall=wall), ScriptedNvml(meter=wall)
    monkeypatch.setattr("harness.probes.energy.time", wall)
"""

from __future__ import annotations

from dataclasses import dataclass, field

START_S = 1000.0
"""The clock's first reading; the counter starts at the driver's load, long before."""


@dataclass
class ScriptedWall:
    """The host's clock in seconds, and the joules that went by on it."""

    idle_watts: float = 80.0
    busy_watts: float = 600.0
    period_s: float = 0.1
    """How often the counter is brought up to date."""
    counted: float = 1.0
    """The share of the true energy that the counter counts; 0: it stands still."""
    launch_s: float = 5e-6
    """What one launch costs the host."""
    seconds: float = START_S
    joules: float = 80.0 * START_S
    """What the GPU has truly taken."""
    ends: dict[str, float] = field(default_factory=dict)
    """When each stream is done with what it has been given, in seconds of this clock."""
    _shown: float = 80.0 * START_S

    def perf_counter(self) -> float:
        return self.seconds

    def monotonic(self) -> float:
        return self.seconds

    def time(self) -> float:
        return self.seconds

    def perf_counter_ns(self) -> int:
        return round(self.seconds * 1e9)

    def monotonic_ns(self) -> int:
        return round(self.seconds * 1e9)

    def sleep(self, seconds: float) -> None:
        """Let time pass, in steps that end where the counter is brought up to date or the device comes to rest."""
        end = self.seconds + max(0.0, seconds)
        while end - self.seconds > 1e-12:
            tick = (int(self.seconds / self.period_s + 1e-9) + 1) * self.period_s
            until = min(end, tick, self.busy_until if self.busy_until > self.seconds else end)
            self.joules += (until - self.seconds) * self.watts
            self.seconds = until
            if tick - until < 1e-12:
                self._shown = self.joules * self.counted

    def launch(self, seconds: float, stream: str = "current") -> None:
        """Give a stream work of so many seconds; the host goes on after `launch_s`."""
        self.ends[stream] = max(self.seconds, self.ends.get(stream, 0.0)) + seconds
        self.sleep(self.launch_s)

    def wait(self, stream: str | None = None) -> None:
        """Let the host wait for one stream; None: for all of them."""
        until = self.busy_until if stream is None else self.ends.get(stream, 0.0)
        self.sleep(until - self.seconds)

    @property
    def busy_until(self) -> float:
        """When the device is at rest."""
        return max(self.ends.values(), default=0.0)

    @property
    def watts(self) -> float:
        """What the GPU draws now."""
        return self.busy_watts if self.seconds < self.busy_until else self.idle_watts

    @property
    def millijoules(self) -> int:
        """What the counter says now: the energy at its last update."""
        return round(self._shown * 1e3)
