"""Blocks, their sizing and their warm-up, on a device whose blocks take what a script says."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import chain, cycle, pairwise, repeat
from typing import Any

import numpy as np
import pytest

from harness.devices.clock import ClockError, ClockState, resolution
from harness.judge.steady import MIN_BLOCKS, NEVER_SETTLED, NOT_TESTED
from harness.probes import warm_up
from harness.probes.blocks import MAX_CALLS, MIN_BLOCK_S, Blocks
from harness.probes.outcome import Outcome, Settings, join
from harness.probes.samples import CLOCK_EXPLAINS, take_samples
from tests.scripted_device import ScriptedDevice

MS = 1e-3
SETTINGS = Settings(seconds_per_visit=0.02, min_samples=3)


def sample(
    durations: Iterator[float], patch: pytest.MonkeyPatch, settings: Settings = SETTINGS, **device: Any
) -> tuple[Outcome, ScriptedDevice]:
    """Return what a visit found, the durations being those after the one from which the block is sized."""
    scripted = ScriptedDevice(chain([2 * MS], durations))
    for name, value in device.items():
        setattr(scripted, name, value)
    patch.setattr(warm_up, "time", scripted.wall)
    return take_samples(Blocks(lambda: None, scripted, cold=False), settings, "latency_ms"), scripted


# the clock's resolution, and the size of a block


def test_resolution_is_the_least_step_that_was_seen() -> None:
    assert resolution([1.0, 1.0, 1.5, 1.75, 1.7], fallback=9.0) == pytest.approx(0.25)
    assert resolution([3.0, 3.0, 2.0], fallback=9.0) == 9.0


@pytest.mark.parametrize(
    ("call_s", "step_s", "block_s"),
    [
        (1e-4, 1e-7, MIN_BLOCK_S),
        (1e-4, 1e-5, 1e-2),  # a coarse clock: a thousand steps
        (5e-3, 1e-7, 5e-3),
        (2.0, 1e-3, 2.0),
    ],
)
def test_a_block_is_a_thousand_steps_of_the_clock_and_a_millisecond_at_least(
    call_s: float, step_s: float, block_s: float
) -> None:
    device = ScriptedDevice(repeat(call_s), step_s=step_s)
    blocks = Blocks(lambda: None, device, cold=False)
    blocks.size()
    blocks.take()
    assert block_s <= blocks.timed[0].seconds <= 1.2 * block_s


def test_a_first_call_that_is_slow_makes_no_short_blocks() -> None:
    device = ScriptedDevice(chain([9e-4, 3e-4], repeat(1e-4)))
    blocks = Blocks(lambda: None, device, cold=False)
    blocks.size()
    blocks.take()
    assert blocks.timed[0].seconds >= MIN_BLOCK_S


def test_what_takes_no_time_in_one_call_may_in_many() -> None:
    blocks = Blocks(lambda: None, ScriptedDevice(chain(repeat(0.0, 3), repeat(1e-6))), cold=False)
    blocks.size()
    assert blocks.calls >= 1000
    still = Blocks(lambda: None, ScriptedDevice(repeat(0.0)), cold=False)
    still.size()
    assert still.calls == MAX_CALLS
    with pytest.raises(ClockError, match="a block of 10000 calls took 0 ms") as caught:
        still.take()
    assert caught.value.fault == "clock still"


def time_some(blocks: Blocks) -> None:
    blocks.size()
    for _ in range(9):
        blocks.take()


@pytest.mark.parametrize("sound", [0, 1, 5])
def test_a_clock_that_goes_backwards_is_no_sample(sound: int) -> None:
    device = ScriptedDevice(chain(repeat(2 * MS, sound), [-1.5 * MS], repeat(2 * MS)))
    blocks = Blocks(lambda: None, device, cold=False)
    with pytest.raises(ClockError, match=r"a block of 1 call took -1\.5 ms") as caught:
        time_some(blocks)
    assert caught.value.fault == device.fault(caught.value) == "clock backwards"


# warm-up


def test_a_ramp_is_dropped_and_kept_beside_the_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    found, _ = sample(chain([4 * MS, 3 * MS, 2 * MS, 1.5 * MS], cycle([1 * MS, 1.001 * MS])), monkeypatch)
    samples, dropped = found.values["latency_ms"], found.series["warm_up_ms"]
    assert isinstance(samples, list)
    assert dropped == pytest.approx([2, 4, 3, 2, 1.5])
    assert max(samples) == pytest.approx(1.001)
    assert found.notes == []
    assert found.series["unsettled"] == [0]


def test_times_that_stand_lose_nothing_and_take_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    found, device = sample(cycle([1 * MS, 1.002 * MS, 0.998 * MS]), monkeypatch)
    assert found.series["warm_up_ms"] == pytest.approx([2])
    assert len(found.values["latency_ms"]) == 20  # type: ignore[arg-type]
    assert sum(block.seconds for block in device.blocks) == pytest.approx(0.022, rel=0.1)


def test_a_slow_start_is_given_further_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first 14 ms of 20 are warm-up: more than half of the blocks."""
    found, _ = sample(chain(repeat(2 * MS, 7), repeat(1 * MS)), monkeypatch)
    assert found.notes == []
    assert found.series["warm_up_ms"] == pytest.approx([2] * 8)
    assert found.values["latency_ms"] == pytest.approx([1.0] * len(found.values["latency_ms"]))  # type: ignore[arg-type]


def test_a_series_that_never_settles_ends_at_the_limit_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(0)
    falling = (3 * MS * 0.98**index * math.exp(0.005 * noise.normal()) for index in range(10_000))
    found, device = sample(falling, monkeypatch, Settings(seconds_per_visit=0.1, min_samples=3))
    assert found.notes == [NEVER_SETTLED]
    assert found.notes[0].startswith("never settled: ")
    assert found.series["unsettled"] == [1]
    assert device.wall.seconds - 1000 < 0.1 * (1 + warm_up.LONGER) + 0.02
    assert len(found.values["latency_ms"]) >= 3  # type: ignore[arg-type]


def test_no_visit_waits_longer_than_the_hard_maximum(monkeypatch: pytest.MonkeyPatch) -> None:
    rising = (MS * 1.001**index for index in range(5000))
    monkeypatch.setattr(warm_up, "MAX_BLOCKS", 5000)
    found, device = sample(rising, monkeypatch, Settings(seconds_per_visit=0.05, min_samples=3), wakes_s=1e6)
    assert found.notes == [NEVER_SETTLED]
    assert device.wall.seconds - 1000 < 0.05 + warm_up.MOST_S + 0.1


def test_a_device_that_must_wake_is_given_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a GPU does, whose clock rises for tenths of a second after rest."""
    waking = chain((MS * (1 + 3 * math.exp(-index / 40)) for index in range(200)), repeat(MS))
    found, _ = sample(waking, monkeypatch, wakes_s=0.5)
    assert found.notes == []
    assert np.median(found.values["latency_ms"]) == pytest.approx(1.0, rel=0.02)  # type: ignore[arg-type]


def test_slow_calls_are_not_tested_and_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    found, device = sample(repeat(0.3), monkeypatch)
    assert found.notes == [NOT_TESTED]
    assert len(device.blocks) == 1 + SETTINGS.min_samples
    assert len(found.values["latency_ms"]) == SETTINGS.min_samples  # type: ignore[arg-type]
    assert found.series["unsettled"] == [0]


def test_of_a_series_too_short_for_the_test_nothing_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rule would pick the luckiest rest of it, and the first sample would be no sample like the others."""
    found, _ = sample(chain([5 * MS, 4.5 * MS], repeat(4 * MS)), monkeypatch)
    assert found.notes == [NOT_TESTED]
    assert found.values["latency_ms"] == pytest.approx([5, 4.5, 4, 4, 4])
    assert found.series["warm_up_ms"] == pytest.approx([2])


def test_a_few_blocks_more_are_taken_where_they_make_the_test_possible(monkeypatch: pytest.MonkeyPatch) -> None:
    found, device = sample(repeat(2.5 * MS), monkeypatch)  # 8 in the visit's time, 13 in twice of it
    assert found.notes == []
    assert len(device.blocks) == 1 + MIN_BLOCKS


# what is kept of the device's clock, and of work that was not timed


def states(*clocks: float, throttled: tuple[int, ...] = ()) -> Iterator[ClockState]:
    for index, clock in enumerate(chain(clocks, repeat(clocks[-1]))):
        yield ClockState(clock, "hardware slowdown" if index in throttled else "none", index in throttled)


def test_each_block_has_its_clock_and_throttled_blocks_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    found, _ = sample(repeat(2 * MS), monkeypatch, states=states(1980, 1980, 1500, 1980, throttled=(2,)))
    samples = found.values["latency_ms"]
    assert found.series["block_clock_mhz"][:4] == [1980, 1740, 1740, 1980]
    assert found.series["block_throttled"][:4] == [0, 1, 1, 0]
    assert len(samples) == len(found.series["block_clock_mhz"]) == len(found.series["block_throttled"])  # type: ignore[arg-type]


def test_times_that_follow_the_clock_are_said_to(monkeypatch: pytest.MonkeyPatch) -> None:
    clocks = [1980.0 if index % 4 < 2 else 1600.0 for index in range(100)]
    around = [(before + after) / 2 for before, after in pairwise(clocks)]
    found, _ = sample((2 * MS * 1980 / clock for clock in around), monkeypatch, states=states(*clocks))
    assert found.notes == [CLOCK_EXPLAINS]
    other, _ = sample(cycle([2 * MS, 3 * MS]), monkeypatch, states=states(1980))
    assert other.notes == []


def test_blocks_that_leave_work_on_another_stream_are_incorrect(monkeypatch: pytest.MonkeyPatch) -> None:
    found, _ = sample(repeat(2 * MS), monkeypatch, late=repeat(1 * MS))
    assert str(found.incorrect).startswith("work on another stream was not timed")
    assert "another 1 ms" in str(found.incorrect)


@pytest.mark.parametrize("late", [repeat(20e-6), chain([5 * MS], repeat(0.0)), cycle([1 * MS, 0.0, 0.0])])
def test_a_host_that_is_late_now_and_then_is_no_fault_of_the_layer(
    late: Iterator[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sample(repeat(2 * MS), monkeypatch, late=late)[0].incorrect is None


def test_parts_of_a_visit_are_one_outcome_and_a_wrong_part_makes_it_wrong() -> None:
    parts = [Outcome({"latency_ms": [1.0]}, ["one"], series={"a": [1.0]}), Outcome({"host_ms": [2.0]}, spent="gone")]
    assert join(parts) == Outcome({"latency_ms": [1.0], "host_ms": [2.0]}, ["one"], series={"a": [1.0]}, spent="gone")
    assert join([*parts, Outcome(incorrect="wrong")]) == Outcome(incorrect="wrong")
