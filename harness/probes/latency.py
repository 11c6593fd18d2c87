"""Latency: one round of one case.

Method: an untimed call, a block sized so that the clock's resolution and the loop's own cost do not show, then
blocks until the visit's time is used. Raw samples (seconds per call of each block, in ms) go to the journal; the fold
takes the median of a round and the interval over rounds. After nvbench (blocks, cold and hot) and
torch.utils.benchmark (block size); `docs/method.md` says what differs.

A compiled case compiles in the untimed call. A compilation in a timed block makes the case incorrect: its time would be
the compiler's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext

from harness.devices.interface import Block, Device
from harness.probes.compiled import CompiledAgain, nothing_compiles
from harness.probes.outcome import Measured, Outcome, Settings
from harness.probes.subject import Subject

METRICS = ("latency_ms", "latency_hot_ms", "host_ms")

WARMUP_CALLS = 1
"""Untimed calls: the first one allocates and picks kernels. The one after it is timed to size the blocks."""
MIN_BLOCK_S = 1e-3
"""A block is at least this long: a thousand times what the host's clock can tell apart."""
MAX_SAMPLES = 200


def measure(subject: Subject, device: Device, settings: Settings) -> Outcome:
    """Return the raw samples of one round."""
    calls = _warm_up(subject.run, device)
    try:
        with nullcontext() if subject.compiled is None else nothing_compiles():
            return Outcome(_samples(subject, device, settings, calls))
    except CompiledAgain as error:
        return Outcome(incorrect=f"torch.compile compiled again in the timed region: {error}")
    finally:
        subject.drop_gradients()


def _samples(subject: Subject, device: Device, settings: Settings, calls: int) -> dict[str, Measured]:
    values: dict[str, Measured] = {}
    blocks = _blocks(subject.run, device, settings, calls, cold=device.kind == "cuda")
    values["latency_ms"] = [block.device_s * 1e3 for block in blocks]
    if "host_ms" in device.timed_metrics:
        values["host_ms"] = [block.host_s * 1e3 for block in blocks]
    if "latency_hot_ms" in device.timed_metrics:
        hot = _blocks(subject.run, device, settings, calls, cold=False)
        values["latency_hot_ms"] = [block.device_s * 1e3 for block in hot]
    return values


def _warm_up(run: Callable[[], object], device: Device) -> int:
    """Run untimed, then once to return how many calls fill a block."""
    for _ in range(WARMUP_CALLS):
        run()
    device.synchronize()
    once = device.time(run, 1, cold=False).device_s
    return max(1, min(10_000, round(MIN_BLOCK_S / max(once, 1e-9))))


def _blocks(run: Callable[[], object], device: Device, settings: Settings, calls: int, *, cold: bool) -> list[Block]:
    blocks: list[Block] = []
    end = time.perf_counter() + settings.seconds_per_visit
    while len(blocks) < settings.min_samples or (time.perf_counter() < end and len(blocks) < MAX_SAMPLES):
        blocks.append(device.time(run, calls, cold=cold))
    return blocks
