"""The clock on a real GPU: work of known length takes it, caches are cold where they should be, others agree."""

from __future__ import annotations

import random
from collections.abc import Callable
from statistics import median
from typing import Any

import pytest
import torch

from harness.devices import Device
from harness.judge.stats import paired_ratio

pytestmark = pytest.mark.cuda

CYCLES = 200_000
"""Of the GPU's clock: a tenth of a millisecond or so."""


def busy(cycles: int) -> Callable[[], None]:
    """Return work that takes so many cycles whatever the caches hold."""
    sleep: Callable[[int], None] = torch.cuda._sleep
    return lambda: sleep(cycles)


def product(width: int = 4096) -> Callable[[], torch.Tensor]:
    a, b = (torch.randn(width, width, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    return lambda: a @ b


def time_of(gpu: Device, run: Callable[[], object], *, cold: bool = False, calls: int = 10, blocks: int = 15) -> float:
    return median(gpu.time(run, calls, cold=cold).device_s for _ in range(blocks))


def test_waiting_loops_take_the_time_that_they_wait(gpu: Device) -> None:
    """Differences, so that the price of a launch drops out."""
    one, two, four = (time_of(gpu, busy(n * CYCLES)) for n in (1, 2, 4))
    assert four - two == pytest.approx(2 * (two - one), rel=0.02)


def test_host_time_is_the_launch_alone(gpu: Device) -> None:
    block = gpu.time(busy(50 * CYCLES), 5, cold=False)
    assert block.host_s < 0.1 * block.device_s


def test_cold_calls_find_an_empty_cache(gpu: Device) -> None:
    """24 MiB fit into the L2 cache of a data-centre GPU, and come from there when read again."""
    x = torch.randn(6 << 20, device="cuda")
    waiting = busy(20 * CYCLES)

    def once(*, cold: bool) -> float:
        waiting()  # so that the host is ahead: what is timed is kernels, and no gaps between them
        return gpu.time(lambda: x.sum(), 10, cold=cold).device_s

    cold, hot = (median(once(cold=cold) for _ in range(15)) for cold in (True, False))
    assert cold > 1.1 * hot


def test_tritons_do_bench_agrees_within_two_per_cent(gpu: Device) -> None:
    testing: Any = pytest.importorskip("triton.testing")
    run = product()
    theirs, ours = [], []
    for _ in range(5):  # in turns, as the clocks move
        theirs.append(testing.do_bench(run, return_mode="median") * 1e-3)
        ours.append(time_of(gpu, run, cold=True, calls=1, blocks=50))
    assert median(ours) == pytest.approx(median(theirs), rel=0.02)


def test_a_planted_slow_down_is_found_in_interleaved_pairs(gpu: Device) -> None:
    run, extra = product(), busy(CYCLES // 10)

    def slower() -> None:
        run()
        extra()

    times: dict[str, list[float | None]] = {"plain": [], "slower": [], "again": []}
    work, order, shuffle = {"plain": run, "slower": slower, "again": run}, list(times), random.Random(0)
    for _ in range(80):
        shuffle.shuffle(order)
        for name in order:
            times[name].append(gpu.time(work[name], 1, cold=True).device_s)
    found, same = paired_ratio(times["slower"], times["plain"]), paired_ratio(times["again"], times["plain"])
    assert found is not None
    assert same is not None
    added = 1 + (time_of(gpu, slower) - time_of(gpu, run)) / time_of(gpu, run)
    assert found.low > 1, "a slow-down of some per cent was missed"
    assert found.value == pytest.approx(added, abs=0.02)
    assert abs(same.value - 1) < 0.01, "the same work against itself differs by more than 1 %"


def test_a_synchronize_waits_for_every_stream(gpu: Device) -> None:
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    with torch.cuda.stream(side):
        busy(100 * CYCLES)()
    gpu.synchronize()
    assert side.query()
