"""The steady-state rule on simulated series: ramps, drifts, walks, and stationary ones that it must leave alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from statistics import median

import numpy as np
import pytest

from harness.judge.steady import LEAST_KEPT, MIN_BLOCKS, settled_from

Series = Callable[[np.random.Generator], Iterator[float]]


def stationary(phi: float, spread: float = 0.03) -> Series:
    """Times whose logarithms are AR(1)."""

    def draw(rng: np.random.Generator) -> Iterator[float]:
        error = spread * rng.normal()
        while True:
            yield math.exp(error)
            error = phi * error + spread * math.sqrt(1 - phi**2) * rng.normal()

    return draw


def ramp(height: float, blocks: float, spread: float) -> Series:
    """Times that fall to 1 from `1 + height`, by a factor of e every so many blocks."""

    def draw(rng: np.random.Generator) -> Iterator[float]:
        index = 0
        while True:
            yield (1 + height * math.exp(-index / blocks)) * math.exp(spread * rng.normal())
            index += 1

    return draw


def take(series: Series, number: int, seed: int = 0) -> list[float]:
    drawn = series(np.random.default_rng(seed))
    return [next(drawn) for _ in range(number)]


def visit(series: Series, seed: int, wanted: int = 20) -> tuple[int | None, list[float]]:
    """Return the warm-up and the samples of a visit that may take as many blocks again as it was to have."""
    drawn = series(np.random.default_rng(seed))
    times: list[float] = []
    while len(times) < 2 * wanted:
        times.append(next(drawn))
        if len(times) >= wanted and (warm_up := settled_from(times)) is not None and len(times) - warm_up >= wanted / 2:
            return warm_up, times[warm_up:]
    return None, times[len(times) // 2 :]


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("wanted", [MIN_BLOCKS, 20, 50])
def test_stationary_series_are_called_unsettled_in_less_than_two_of_a_hundred_visits(phi: float, wanted: int) -> None:
    found = [visit(stationary(phi), seed, wanted)[0] for seed in range(300)]
    assert sum(warm_up is None for warm_up in found) <= 0.02 * len(found)
    dropped = np.mean([warm_up or 0 for warm_up in found]) / wanted
    assert dropped < (0.25 if phi else 0.12), "it throws good blocks away"


def test_preempted_blocks_are_no_warm_up() -> None:
    times = take(stationary(0.0), 30)
    for index in (4, 14, 25, 28, 29):
        hit = [*times]
        hit[index] *= 6
        assert settled_from(hit) in (0, index + 1), "it goes with what came before it, or stays"
    spoilt = [time * (4 if rng.random() < 0.05 else 1) for rng in [np.random.default_rng(1)] for time in times]
    assert settled_from(spoilt) is not None


@pytest.mark.parametrize(
    ("series", "left"),
    [
        (ramp(1.0, 3, 0.01), 0.015),
        (ramp(1.0, 3, 0.05), 0.02),
        (ramp(2.0, 2, 0.02), 0.015),
    ],
)
def test_a_ramp_is_left_out_and_its_rest_moves_the_median_by_little(series: Series, left: float) -> None:
    visits = [visit(series, seed) for seed in range(100)]
    assert sum(warm_up is None for warm_up, _ in visits) <= 2
    kept = float(np.mean([median(samples) for _, samples in visits])) - 1
    whole = float(np.mean([median(take(series, 20, seed)) for seed in range(100)])) - 1
    assert abs(kept) < left
    assert abs(kept) < whole


def test_a_step_is_found_where_it_is() -> None:
    low = take(stationary(0.0, 0.01), 40)
    assert settled_from([2 * time for time in low[:12]] + low[12:]) in (12, 13)


@pytest.mark.parametrize(
    "series",
    [
        ramp(0.3, 10, 0.005),  # longer than the visit
        lambda rng: iter(np.linspace(2.0, 1.0, 50) * np.exp(0.01 * rng.normal(size=50))),
        lambda rng: iter(np.linspace(1.0, 2.0, 50) * np.exp(0.01 * rng.normal(size=50))),  # it heats up
    ],
)
def test_what_goes_on_changing_never_settles(series: Series) -> None:
    assert sum(visit(series, seed)[0] is None for seed in range(50)) >= 40


def test_a_step_late_in_the_visit_has_not_settled() -> None:
    low = take(stationary(0.0, 0.01), 20)
    assert settled_from([2 * time for time in low[:14]] + low[14:]) is None


def test_a_drift_of_one_per_cent_is_left_alone() -> None:
    assert settled_from(list(np.linspace(1.0, 1.01, 40))) == 0
    assert settled_from([1.0] * 40) == 0


def test_few_blocks_are_shortened_at_most() -> None:
    assert settled_from([9.0, 1.0]) == 0
    assert settled_from([9.0, *[1.0] * LEAST_KEPT]) in (0, 1)
    falling = [2.0**-index for index in range(MIN_BLOCKS)]
    assert settled_from(falling) is None
    assert settled_from(falling[: 2 * LEAST_KEPT]) is not None
