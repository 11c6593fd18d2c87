"""Energy: what a million tokens take from the device, by the device's own counter; never an estimate.

Method, with the device to itself: at rest, the counter is watched until its steps tell its period and the idle power,
and is held against the power sensor, since counters have been wrong (Zeus checks so at its start). Then come three
windows of `energy_seconds`, of at least a hundred of the counter's steps: with one step in doubt at each end, a window
is right to 2 %. Each begins after a lead-in of random length under the same work: power settles, and a sensor that sees
a part of the time (a quarter on A100 and H100: Yang et al. 2024, arXiv 2312.02741) does not meet the same part of the
passes in each. Gross is all that the counter says, net is less the idle device's; temperatures stand beside them, since
a trial after a hot one reads high.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from statistics import mean, median

from harness.declare.energy import LEAD_S, REST_S, WINDOWS
from harness.devices.interface import Device
from harness.probes.outcome import Outcome, Settings
from harness.probes.subject import Subject

METRICS = ("energy_j_per_mtoken", "energy_net_j_per_mtoken", "power_w", "power_idle_w")

UPDATES = 100
"""Steps of the counter that a window must hold."""
STRETCH = 1.2
"""By so much a window is drawn out, at most, to hold them: a counter of 100 ms may take 101."""
POLL_S = 0.01
"""Between two looks at the counter of a device at rest."""
CHUNK_S = 0.05
"""Work between two looks at the host's clock; the device is drained after it."""
DOUBT, DISBELIEF = 0.05, 0.2
"""Difference of counter and power sensor that a reader is told of, and that makes the counter worthless."""


class NotMeasured(Exception):
    """The counter does not give an energy; the message says why."""


@dataclass(frozen=True, slots=True)
class Clock:
    """The host's clock, or what stands in for it in a test."""

    now: Callable[[], float] = time.perf_counter
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True, slots=True)
class Rest:
    """The device at rest."""

    watts: float
    """By the counter, between its first and its last step."""
    sensor: float | None
    """Mean of the power sensor over the same time."""
    period: float
    """Seconds between two steps of the counter."""


@dataclass(frozen=True, slots=True)
class Window:
    """The device at work."""

    calls: int
    seconds: float
    joules: float

    @property
    def watts(self) -> float:
        """Mean power."""
        return self.joules / self.seconds


def measure(subject: Subject, device: Device, settings: Settings) -> Outcome:
    """Return the energy of a million tokens, and the power at rest and at work; takes most of a minute."""
    draw = random.Random(f"{subject.case.key}/{settings.seed}")
    try:
        return take(subject.run, subject.case.sequence_tokens, device, settings.energy_seconds, draw)
    except NotMeasured as why:
        return Outcome(notes=[f"energy is not measured: {why}"])
    finally:
        subject.drop_gradients()


def take(
    run: Callable[[], object],
    tokens: int,
    device: Device,
    seconds: float,
    draw: random.Random,
    clock: Clock = Clock(),
) -> Outcome:
    """Return the energy of `run`, a pass of so many tokens, over windows of `seconds`.

    Raises:
        NotMeasured: There is no counter, or it cannot be believed.
    """
    _joules(device)
    run()
    device.synchronize()
    clock.sleep(REST_S)
    rest = at_rest(device, seconds / 2, clock)
    notes = _held_against_power(rest)
    length = _length(seconds, rest.period)
    before = _temperature(device)
    windows = []
    for _ in range(WINDOWS):
        _work(run, device, LEAD_S * (0.5 + 0.5 * draw.random()), clock)
        windows.append(_work(run, device, length, clock))
    if not all(window.joules for window in windows):
        raise NotMeasured(f"its counter stood still through {length:.3g} s of work")
    return _outcome(rest, windows, tokens, [before, _temperature(device)], notes)


def at_rest(device: Device, seconds: float, clock: Clock) -> Rest:
    """Watch the counter of a device that has nothing to do for `seconds`, and return what it tells.

    Raises:
        NotMeasured: It stands still, or moves only once.
    """
    start, last = clock.now(), _joules(device)
    steps: list[tuple[float, float]] = []
    sensor = []
    while (now := clock.now()) - start < seconds:
        if (joules := _joules(device)) != last:
            steps.append((now, joules))
            last = joules
        sensor.append(device.power_watts())
        clock.sleep(POLL_S)
    if len(steps) < 2:
        moved = "moved once" if steps else "did not move"
        raise NotMeasured(f"its counter {moved} in {seconds:.3g} s at rest")
    (first, least), (end, most) = steps[0], steps[-1]
    known = [watts for watts in sensor if watts is not None]
    period = median(after - earlier for (earlier, _), (after, _) in pairwise(steps))
    mean_period = (end - first) / (len(steps) - 1)
    return Rest((most - least) / (end - first), mean(known) if known else None, max(period, mean_period))


def _held_against_power(rest: Rest) -> list[str]:
    """Return a note where counter and power sensor differ; raise NotMeasured where one of them must be wrong."""
    if rest.sensor is None or rest.sensor <= 0:
        return []
    off = abs(rest.watts / rest.sensor - 1)
    says = f"its counter says {rest.watts:.3g} W at rest and its power sensor {rest.sensor:.3g} W"
    if off > DISBELIEF:
        raise NotMeasured(f"{says}: one of them is wrong")
    return [f"energy: {says}"] if off > DOUBT else []


def _length(seconds: float, period: float) -> float:
    """Return how long a window must be, at least `seconds`, to hold enough of the counter's steps.

    Raises:
        NotMeasured: That is much longer than was asked for.
    """
    needed = UPDATES * period
    if needed > STRETCH * seconds:
        raise NotMeasured(
            f"its counter moves every {period:.2g} s, {seconds / period:.0f} times in a window of {seconds:g} s, and "
            f"{UPDATES} are wanted; set energy_seconds in [measure] to {needed:.0f}"
        )
    return max(seconds, needed)


def _work(run: Callable[[], object], device: Device, seconds: float, clock: Clock) -> Window:
    """Run for at least `seconds`, and return what it took; the device has done all of it when that is read."""
    device.synchronize()
    start, before = clock.now(), _joules(device)
    calls, chunk = 0, 1
    while (passed := clock.now() - start) < seconds:
        if calls:
            chunk = max(1, round(calls * min(CHUNK_S, seconds - passed) / passed))
        for _ in range(chunk):
            run()
        device.synchronize()
        calls += chunk
    return Window(calls, clock.now() - start, _joules(device) - before)


def _joules(device: Device) -> float:
    joules = device.energy_joules()
    if joules is None:
        raise NotMeasured(device.no_energy)
    return joules


def _temperature(device: Device) -> float | None:
    celsius = device.state().get("temperature_c")
    return float(celsius) if isinstance(celsius, int | float) else None


def _outcome(
    rest: Rest, windows: list[Window], tokens: int, temperatures: list[float | None], notes: list[str]
) -> Outcome:
    gross = [1e6 * window.joules / (window.calls * tokens) for window in windows]
    net = [1e6 * (w.joules - rest.watts * w.seconds) / (w.calls * tokens) for w in windows]
    values = {
        "energy_j_per_mtoken": median(gross),
        "energy_net_j_per_mtoken": median(net),
        "power_w": median(window.watts for window in windows),
        "power_idle_w": rest.watts,
    }
    series = {
        "energy_windows_j_per_mtoken": gross,
        "energy_windows_w": [window.watts for window in windows],
        "energy_windows_s": [window.seconds for window in windows],
        "energy_pass_ms": [1e3 * window.seconds / window.calls for window in windows],
        "energy_counter_s": [rest.period],
    }
    if known := [celsius for celsius in temperatures if celsius is not None]:
        series["energy_temperature_c"] = known
    return Outcome(dict(values), notes=notes, n=dict.fromkeys(values, len(windows)), series=series)
