from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.judge.stats import Interval, geometric_mean, loglog_slope, median_interval, paired_ratio
from harness.judge.verdict import verdict

times = st.floats(0.01, 100, allow_nan=False)


def test_median_interval_brackets_the_median_of_the_rounds() -> None:
    interval = median_interval([1.0, 1.1, 0.9, 1.05, 1.05, 3.0])
    assert interval is not None
    assert interval.value == pytest.approx(1.05)  # the hiccup of 3.0 has no say
    assert 0.9 <= interval.low < 1.05 < interval.high <= 3.0 + 1e-9


@pytest.mark.parametrize("rounds", [[], [1.0], [None, 1.0, None]])
def test_one_round_has_no_interval(rounds: list[float | None]) -> None:
    assert median_interval(rounds) is None


def test_equal_rounds_give_a_point() -> None:
    assert median_interval([0.125, 0.125, 0.125]) == Interval(0.125, 0.125, 0.125)


def test_paired_ratio_is_blind_to_a_drift_that_hits_both() -> None:
    drift = [1.0, 1.3, 0.8, 2.0, 1.6]
    ratio = paired_ratio([2 * d for d in drift], drift)
    assert ratio is not None
    assert ratio.value == pytest.approx(2.0)
    assert ratio.high - ratio.low < 1e-9


def test_paired_ratio_counts_only_rounds_that_both_have() -> None:
    ratio = paired_ratio([2.0, None, 2.0, 9.0], [1.0, 1.0, 1.0, None])
    assert ratio is not None
    assert ratio.value == pytest.approx(2.0)


def test_paired_ratio_refuses_a_time_of_zero() -> None:
    with pytest.raises(ValueError, match="are positive"):
        paired_ratio([0.0, 1.0], [1.0, 1.0])


@given(st.lists(st.tuples(times, times), min_size=2, max_size=12))
def test_swapping_the_sides_inverts_the_ratio(pairs: list[tuple[float, float]]) -> None:
    a, b = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    there, back = paired_ratio(a, b), paired_ratio(b, a)
    assert there is not None
    assert back is not None
    assert there.value * back.value == pytest.approx(1.0)
    assert there.low <= there.value * (1 + 1e-9)
    assert there.value <= there.high * (1 + 1e-9)


@pytest.mark.parametrize("rounds", [2, 3, 4, 5, 6, 7, 10, 20])
@pytest.mark.parametrize("estimate", ["median", "ratio"])
def test_intervals_hold_the_truth_about_as_often_as_they_say(rounds: int, estimate: str) -> None:
    rng = np.random.default_rng(rounds)
    held = 0
    for _ in range(200):
        noise = rng.lognormal(sigma=0.05, size=(2, rounds))
        if estimate == "median":
            interval = median_interval(list(1.5 * noise[0]))
        else:
            interval = paired_ratio(list(1.5 * noise[0]), list(noise[1]))
        assert interval is not None
        held += interval.holds(1.5)
    assert 0.90 <= held / 200 <= 1.0


def test_two_rounds_that_agree_by_chance_decide_nothing() -> None:
    ratio = paired_ratio([1.10, 1.20], [1.0, 1.0])
    assert ratio is not None
    assert verdict(ratio) == "undecided"


def test_slope_of_a_power_law_is_its_exponent() -> None:
    xs = [8.0, 16.0, 32.0]
    rounds: list[list[float | None]] = [[noise * x**1.5 for noise in (1.0, 1.1, 0.9)] for x in xs]
    slope = loglog_slope(xs, rounds)
    assert slope is not None
    assert slope.value == pytest.approx(1.5)


def test_slope_needs_two_values_and_two_rounds() -> None:
    assert loglog_slope([8.0, 8.0], [[1.0, 1.0], [1.0, 1.0]]) is None
    assert loglog_slope([8.0, 16.0], [[1.0, None], [1.0, 1.0]]) is None


def test_geometric_mean() -> None:
    assert geometric_mean([0.5, 2.0]) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("ratio", "word"),
    [
        (Interval(0.8, 0.75, 0.85), "faster"),
        (Interval(1.3, 1.2, 1.4), "slower"),
        (Interval(1.0, 0.99, 1.01), "same"),
        (Interval(0.99, 0.985, 0.995), "same"),  # a difference, but none that matters
        (Interval(0.9, 0.7, 1.1), "undecided"),
        (Interval(1.0, 0.9, 1.1), "undecided"),  # no evidence is not sameness
        (None, "undecided"),
    ],
)
def test_verdicts(ratio: Interval | None, word: str) -> None:
    assert verdict(ratio) == word


@given(st.floats(0.2, 5), st.floats(0, 0.5))
def test_the_inverse_ratio_has_the_opposite_verdict(value: float, width: float) -> None:
    ratio = Interval(value, value * math.exp(-width), value * math.exp(width))
    opposite = {"faster": "slower", "slower": "faster", "same": "same", "undecided": "undecided"}
    assert verdict(ratio.map(lambda x: 1 / x)) == opposite[verdict(ratio)]
