"""Whole sweeps judged against a known truth: how often equals are told apart, and how often a planted change is found.

A word needs a p-value that stands among all of its sweep, so sweeps without one are not judged any further. Shares of
sweeps are held against 5 % by the binomial distribution: of 400 sound sweeps more than 31 alarm one time in a hundred.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from harness.judge.compare import changes, paired_change, timed, together
from harness.judge.means import beside, means, paired_means
from harness.judge.multiple import ALPHA, benjamini_hochberg
from harness.judge.noise import Cell, noise_floor
from harness.judge.stats import Floats

SWEEPS, CELLS = 400, 500
MOST = int(stats.binom.ppf(0.99, SWEEPS, 0.05))
Noise = Callable[[np.random.Generator, tuple[int, int]], Floats]
"""Gives the logarithms of times [cells, rounds] of one run."""


def normal(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    return rng.normal(0, 0.02, shape)


def heavy(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    return 0.02 * rng.standard_t(3, shape) / math.sqrt(3)


def two_speeds(rng: np.random.Generator, shape: tuple[int, int], slow: float = 0.3) -> Floats:
    return np.where(rng.random(shape) < slow, math.log(1.1), 0) + rng.normal(0, 0.01, shape)


def as_often_slow(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    return two_speeds(rng, shape, 0.5)


def of_processes(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    """5 % that all cases of a round share, since a round is a process, beside 1 % of their own."""
    return rng.normal(0, 0.05, shape[1]) + rng.normal(0, 0.01, shape)


def unlike(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    """Cases of which a third have more than twice, or less than half, the noise of the middle one."""
    spreads = np.exp(np.random.default_rng(5).normal(math.log(0.02), 0.7, (shape[0], 1)))
    return rng.normal(0, 1, shape) * spreads


def hiccups(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    """One round in ten takes half as long again."""
    return rng.normal(0, 0.02, shape) + np.where(rng.random(shape) < 0.1, math.log(1.5), 0)


def words(base: Floats, candidate: Floats, floor: Callable[[], float] = lambda: 0.0) -> list[str]:
    """Return the word of each cell, as `reports.versus` finds it; none where nothing in the sweep is significant."""
    kept = np.array(benjamini_hochberg(beside(means(candidate, base)).tolist())) <= ALPHA
    if not kept.any():
        return []
    pairs = zip(np.exp(base).tolist(), np.exp(candidate).tolist(), strict=True)
    found = [one for one in changes(list(pairs)) if one is not None]
    least = floor()
    return [timed(one, significant=keeps, floor=least) for one, keeps in zip(together(found), kept, strict=True)]


def alarms(noise: Noise, rounds: tuple[int, int], *, with_floor: bool = False, seed: int = 1) -> tuple[int, int]:
    """Return how many sweeps of equals have a cell that is called slower, and how many one called faster."""
    slower = faster = 0
    for sweep in range(SWEEPS):
        rng = np.random.default_rng([seed, sweep])
        base, candidate = (noise(rng, (CELLS, count)) for count in rounds)
        told = words(base, candidate, lambda rng=rng: _floor(noise, rng, min(rounds)) if with_floor else 0.0)  # type: ignore[misc]
        slower += "slower" in told
        faster += "faster" in told
    return slower, faster


def _floor(noise: Noise, rng: np.random.Generator, rounds: int) -> float:
    """Return the smallest change that a run's ten A/A cells state."""
    labels = np.exp(noise(rng, (10, rounds))), np.exp(noise(rng, (10, rounds)))
    cells = [Cell(first.tolist(), second.tolist()) for first, second in zip(*labels, strict=True)]
    found = noise_floor(cells, rounds)
    assert found is not None
    assert found.smallest_change is not None
    return found.smallest_change


@pytest.mark.parametrize("rounds", [3, 6, 10])
@pytest.mark.parametrize("noise", [normal, heavy, two_speeds])
def test_of_sweeps_of_equals_one_in_twenty_alarms_at_most(noise: Noise, rounds: int) -> None:
    slower, faster = alarms(noise, (rounds, rounds))
    assert max(slower, faster) <= MOST


@pytest.mark.parametrize(("noise", "rounds"), [(as_often_slow, 6), (unlike, 6), (of_processes, 6)])
def test_other_machines_alarm_no_more_often(noise: Noise, rounds: int) -> None:
    slower, faster = alarms(noise, (rounds, rounds))
    assert max(slower, faster) <= MOST


def test_what_three_rounds_with_hiccups_cannot_know_the_runs_own_cells_do() -> None:
    slower, faster = alarms(hiccups, (3, 3), with_floor=True)
    assert max(slower, faster) <= MOST


@pytest.mark.parametrize("rounds", [(3, 30), (30, 3)])
@pytest.mark.parametrize("noise", [normal, unlike])
def test_unequal_numbers_of_rounds_decide_nothing(noise: Noise, rounds: tuple[int, int]) -> None:
    slower, faster = alarms(noise, rounds)
    assert max(slower, faster) <= MOST


def test_ten_per_cent_among_499_sound_neighbours_is_found() -> None:
    """At 2 % noise of a round and the usual six rounds; the interval alone tells what it is among so many."""
    hits = others = 0
    for sweep in range(SWEEPS):
        rng = np.random.default_rng([2, sweep])
        base, candidate = normal(rng, (CELLS, 6)), normal(rng, (CELLS, 6))
        candidate[0] += math.log(1.1)
        told = words(base, candidate)
        hits += told[:1] == ["slower"]
        others += "slower" in told[1:]
    assert hits >= 0.95 * SWEEPS
    assert others <= int(stats.binom.ppf(0.99, SWEEPS, 0.10))  # of a list of two, one at 5 %: BH says no more


def paired_words(base: Floats, candidate: Floats) -> dict[int, str]:
    """Return the word of each cell that is significant among its sweep, of rounds that were taken side by side."""
    kept = np.flatnonzero(np.array(benjamini_hochberg(beside(paired_means(candidate - base)).tolist())) <= ALPHA)
    both = {int(cell): (np.exp(base[cell]).tolist(), np.exp(candidate[cell]).tolist()) for cell in kept}
    return {cell: timed(paired_change(*rounds), significant=True) for cell, rounds in both.items()}


@pytest.mark.parametrize(
    ("noise", "sweeps"), [(normal, 400), (heavy, 400), (two_speeds, 400), (unlike, 400), (of_processes, 100)]
)
def test_sweeps_of_paired_equals_alarm_no_more_often(noise: Noise, sweeps: int) -> None:
    """Also where each side's process has a speed of its own in a round, which no pairing takes away."""
    slower = faster = 0
    for sweep in range(sweeps):
        rng = np.random.default_rng([3, sweep])
        told = paired_words(noise(rng, (CELLS, 6)), noise(rng, (CELLS, 6))).values()
        slower += "slower" in told
        faster += "faster" in told
    assert max(slower, faster) <= stats.binom.ppf(0.99, sweeps, 0.05)


@pytest.mark.parametrize("shared", [0.0, 0.3])
def test_what_a_round_does_to_both_sides_hides_nothing_from_pairs(shared: float) -> None:
    """Ten per cent at 2 % noise of either side; beside it the machine moves both, by 30 % from round to round."""
    hits = 0
    for sweep in range(SWEEPS // 4):
        rng = np.random.default_rng([4, sweep])
        machine = rng.normal(0, shared, 6)
        base, candidate = normal(rng, (CELLS, 6)) + machine, normal(rng, (CELLS, 6)) + machine
        candidate[0] += math.log(1.1)
        hits += paired_words(base, candidate).get(0) == "slower"
    assert hits >= 0.95 * SWEEPS / 4
