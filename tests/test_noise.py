"""The noise floor: sound cells are trusted, planted differences told, and the smallest change is found as promised."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from harness.judge.noise import Cell, Floor, errors_to_find, noise_floor
from harness.judge.stats import paired_ratio, standard_error

SPREAD = 0.02


def times(draw: np.random.Generator, rounds: int, factor: float = 1.0, spread: float = SPREAD) -> list[float]:
    return [float(time) for time in factor * np.exp(draw.normal(0, spread, rounds))]


def cell(draw: np.random.Generator, rounds: int, *, label: float = 1.0, later: float = 1.0) -> Cell:
    """Return a cell whose second label, or whose later visit, takes so many times as long."""
    first, second = times(draw, rounds), times(draw, rounds, label)
    swapped = draw.random(rounds) < 0.5
    pairs = [(a, b * later) if own else (a * later, b) for a, b, own in zip(first, second, swapped, strict=True)]
    earlier = [a if own else b for (a, b), own in zip(pairs, swapped, strict=True)]
    last = [b if own else a for (a, b), own in zip(pairs, swapped, strict=True)]
    return Cell([a for a, _ in pairs], [b for _, b in pairs], earlier, last)


def floor(cells: Sequence[Cell], rounds: int = 6) -> Floor:
    found = noise_floor(cells, rounds)
    assert found is not None
    return found


def test_pairs_of_all_cells_count() -> None:
    draw = np.random.default_rng(0)
    found = floor([cell(draw, 6), cell(draw, 5)])
    assert (found.cells, found.pairs, found.rounds) == (2, 11, 6)
    assert found.ratio.holds(1)
    assert not found.differ


def test_rounds_that_one_label_lacks_do_not_count() -> None:
    found = floor([Cell([1.0, None, 1.1, 1.2], [1.1, 1.0, None, 1.2])], 4)
    assert found.pairs == 2
    assert noise_floor([Cell([1.0, None], [1.0, 1.0])], 2) is None
    assert noise_floor([], 6) is None


def test_it_is_about_the_rounds_that_a_comparison_has() -> None:
    draw = np.random.default_rng(1)
    cells = [cell(draw, 80)]
    few, many = floor(cells, 6).smallest_change, floor(cells, 80).smallest_change
    assert few is not None
    assert many is not None
    assert few / many == pytest.approx(errors_to_find(6) / errors_to_find(80) * math.sqrt(80 / 6), rel=0.05)


def test_with_many_rounds_it_is_two_point_eight_standard_errors() -> None:
    assert errors_to_find(10_000) == pytest.approx(2.8016, abs=1e-3)
    assert errors_to_find(6) == pytest.approx(3.182 + 0.978, abs=2e-3)  # Student's t of three degrees, from a table


def test_the_standard_error_is_that_of_a_trimmed_mean() -> None:
    # Wilcox 2012, "Introduction to robust estimation and hypothesis testing", section 3.3.2, Yuen's self-awareness data
    data = [77, 87, 88, 114, 151, 210, 219, 246, 253, 262, 296, 299, 306, 376, 428, 515, 666, 1310, 2611]
    assert standard_error(data) == pytest.approx(56.1, abs=0.1)
    assert standard_error([1.0, 2.0, 3.0, 4.0]) == pytest.approx(math.sqrt(5 / 3) / 2), "of four nothing is cut"


def test_times_that_never_vary_have_no_noise() -> None:
    found = floor([Cell([1.1] * 6, [1.1] * 6, [1.1] * 6, [1.1] * 6)])
    assert (found.smallest_change, found.differ, found.ratio.value) == (0.0, False, 1.0)
    assert floor([Cell([1.1] * 6, [1.3] * 6)]).differ


@pytest.mark.parametrize(("planted", "told"), [({"label": 1.08}, True), ({"later": 1.08}, True), ({}, False)])
def test_a_planted_difference_is_told(planted: dict[str, float], told: bool) -> None:
    draw = np.random.default_rng(2)
    assert floor([cell(draw, 6, **planted), cell(draw, 6, **planted)]).differ is told


def test_a_layer_that_is_slower_the_second_time_shows_in_the_order_and_not_in_the_labels() -> None:
    draw = np.random.default_rng(3)
    found = floor([cell(draw, 20, later=1.1), cell(draw, 20, later=1.1)], 20)
    assert found.order is not None
    assert found.order.low > 1.05
    assert found.ratio.holds(1)


def test_a_difference_that_does_not_matter_spoils_nothing() -> None:
    draw = np.random.default_rng(4)
    quiet = Cell(times(draw, 80, spread=1e-3), times(draw, 80, 1.01, spread=1e-3))
    found = floor([quiet], 80)
    assert found.ratio.low > 1.005
    assert not found.differ


def test_sound_runs_are_seldom_called_unsound() -> None:
    """At most 1 in 100 by design; of 400 runs no more than 9 (97.5 % of a binomial's)."""
    draw = np.random.default_rng(5)
    assert sum(floor([cell(draw, 6), cell(draw, 6)]).differ for _ in range(400)) <= 9


@pytest.mark.parametrize("rounds", [6, 40])
def test_a_change_of_the_smallest_size_is_found_four_times_out_of_five(rounds: int) -> None:
    """Planted at the size that the true spread gives, it is found in 80 % of 300 comparisons, within 8 points."""
    draw = np.random.default_rng(6)
    change = floor([cell(draw, 4000)], rounds).smallest_change
    assert change is not None
    ratios = [paired_ratio(times(draw, rounds, 1 + change), times(draw, rounds)) for _ in range(300)]
    assert sum(ratio is not None and ratio.low > 1 for ratio in ratios) / 300 == pytest.approx(0.8, abs=0.08)
