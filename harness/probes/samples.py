"""Samples: one metric's settled blocks, and what is kept beside them."""

from __future__ import annotations

from harness.judge.cycles import clock_explains
from harness.judge.steady import NEVER_SETTLED
from harness.probes.blocks import Blocks
from harness.probes.outcome import Measured, Outcome, Settings
from harness.probes.warm_up import take_until_steady

CLOCK_EXPLAINS = "blocks differ in time and agree in cycles (time x SM clock): it is the device's clock that moved"


def take_samples(blocks: Blocks, settings: Settings, metric: str, kind: str = "") -> Outcome:
    """Return the samples of `metric` in ms; incorrect where work of the blocks was not timed.

    Series: `warm_up_ms` (all that was timed before the samples), `unsettled` (0 or 1), and for each sample
    `block_clock_mhz` and `block_throttled` (0 or 1), where the device tells; `kind` is put before their names.
    """
    blocks.size()
    warm_up = take_until_steady(blocks, settings)
    if (wrong := blocks.untimed()) is not None:
        return Outcome(incorrect=wrong)
    first = warm_up.blocks
    rest, dropped = blocks.timed[first:], [*blocks.sizing, *blocks.timed[:first]]
    values: dict[str, Measured] = {metric: [block.device_s * 1e3 for block in rest]}
    if metric == "latency_ms" and "host_ms" in blocks.device.timed_metrics:
        values["host_ms"] = [block.host_s * 1e3 for block in rest]
    series = {
        "warm_up_ms": [block.device_s * 1e3 for block in dropped],
        "unsettled": [float(warm_up.note == NEVER_SETTLED)],
    }
    notes = [warm_up.note] if warm_up.note is not None else []
    if blocks.states:
        clocks = blocks.clocks_mhz[first:]
        series |= {"block_clock_mhz": clocks, "block_throttled": blocks.throttled[first:]}
        notes += [CLOCK_EXPLAINS] if clock_explains(blocks.times[first:], clocks) else []
    return Outcome(values, notes, series={f"{kind}{name}": numbers for name, numbers in series.items()})
