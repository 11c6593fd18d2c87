"""Series whose truth is known: two cases timed on a machine that is autocorrelated, has two speeds, or drifts.

What a judgement says of them can be held against what was put in: how often an interval holds the true ratio, and how
often two equal cases are called different. Times are in ms, noise is on logarithms.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from harness.judge.stats import median_interval, paired_ratio

Floats = NDArray[np.float64]
Order = Literal["interleaved", "blocks"]
"""Each round visits both cases in an order drawn anew, or all visits to the one come before all to the other."""


@dataclass(frozen=True, slots=True)
class Machine:
    """How times vary on a machine; every figure is a share of the time but for the two that say so."""

    block: float = 0.01
    """Standard deviation from block to block."""
    visit: float = 0.01
    """Standard deviation of what one process does to one case: where its memory lies, what lies beside it."""
    process: float = 0.05
    """Standard deviation of what one process does to all its cases alike."""
    memory: float = 0.0
    """Lag-1 autocorrelation of the blocks, from visit to visit too: 0 to below 1."""
    drift: float = 0.0
    """By how much the machine has become slower when the run ends."""
    slow: float = 0.0
    """By how much longer a case takes in its slow mode."""
    slow_visits: float = 0.0
    """Chance that a visit is in the slow mode."""
    slow_blocks: float = 0.0
    """Chance that a block of a fast visit is."""


MACHINES = {
    "independent": Machine(),
    "autocorrelated": Machine(block=0.03, memory=0.95),
    "bimodal": Machine(slow=0.1, slow_visits=0.3, slow_blocks=0.2),
    "drifting": Machine(drift=0.1),
}
"""The machines that an interval must hold on. 5 % between processes is what twelve processes of a shared machine of two
cores had."""


def two_cases(
    machine: Machine, rounds: int, blocks: int, ratio: float, rng: np.random.Generator, order: Order = "interleaved"
) -> Floats:
    """Return times [2, rounds, blocks] of two cases, the first of which takes `ratio` times as long; the other takes 1.

    The blocks of a visit follow each other, and so do the visits; with `order` "interleaved" a round is one process.
    """
    first = rng.integers(0, 2, rounds) if order == "interleaved" else np.zeros(rounds, dtype=np.int64)
    in_time = np.stack([first, 1 - first], axis=1)  # [rounds, 2]: the case of each visit
    process = np.repeat(rng.normal(0, machine.process, (rounds, 1)), 2, axis=1)
    if order == "blocks":
        in_time = in_time.T.reshape(rounds, 2)
        process = rng.normal(0, machine.process, (rounds, 2))
    visits = process + rng.normal(0, machine.visit, (rounds, 2)) + _modes(machine, (rounds, 2), rng)[0]
    logs = visits[:, :, None] + _blocks(machine, rounds * 2 * blocks, rng).reshape(rounds, 2, blocks)
    logs = logs + _modes(machine, (rounds, 2, blocks), rng)[1]
    flat, owner = logs.reshape(2 * rounds, blocks), in_time.reshape(-1)
    times: Floats = np.exp(np.stack([flat[owner == 0] + math.log(ratio), flat[owner == 1]]))
    return times


def medians(times: Floats) -> tuple[list[float], list[float]]:
    """Return the estimate of each round, the median of its blocks, of both cases of `times` [2, rounds, blocks]."""
    numerator, denominator = np.median(times, axis=-1).tolist()
    return numerator, denominator


def coverage(machine: Machine, rounds: int, runs: int, *, seed: int = 0, blocks: int = 15) -> tuple[float, float]:
    """Return how often, of so many runs, the interval held the true ratio of two cases, and the true time of one.

    The true time is the median over many processes; on a machine that drifts, that of the whole run.
    """
    rng, ratio = np.random.default_rng(seed), 1.05
    truth = _typical(machine, blocks, rng)
    held = [0, 0]
    for _ in range(runs):
        a, b = medians(two_cases(machine, rounds, blocks, ratio, rng))
        of_both, of_one = paired_ratio(a, b), median_interval(b)
        held[0] += of_both is not None and of_both.holds(ratio)
        held[1] += of_one is not None and of_one.holds(truth)
    return held[0] / runs, held[1] / runs


def _typical(machine: Machine, blocks: int, rng: np.random.Generator) -> float:
    runs = [medians(two_cases(machine, 200, blocks, 1.0, rng))[1] for _ in range(100)]
    return float(np.median(runs))


def _blocks(machine: Machine, n: int, rng: np.random.Generator) -> Floats:
    """Return the noise of `n` blocks in a row, and the drift under it."""
    shocks = rng.normal(0, machine.block * math.sqrt(1 - machine.memory**2), n)
    shocks[0] = rng.normal(0, machine.block)
    noise = np.array(signal.lfilter([1.0], [1.0, -machine.memory], shocks), dtype=np.float64)
    return noise + np.linspace(0, math.log1p(machine.drift), n)


def _modes(machine: Machine, shape: tuple[int, ...], rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Return what the slow mode adds to visits, and to blocks, of `shape`."""
    drawn, slow = rng.random(shape), math.log1p(machine.slow)
    return np.where(drawn < machine.slow_visits, slow, 0.0), np.where(drawn < machine.slow_blocks, slow, 0.0)
