"""Claims judged: on estimates and series whose truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.judge.claims import (
    Region,
    Rounds,
    correlation,
    exact,
    exponent_along,
    ratio_along,
    ratio_between,
    region,
    rounds_needed,
)
from harness.judge.stats import Interval

XS = [8.0, 16.0, 32.0, 64.0]


def group(exponent: float, noise: float = 0.01, rounds: int = 8, seed: int = 0) -> list[Rounds]:
    draw = np.random.default_rng(seed)
    return [[float(x**exponent * math.exp(draw.normal(0, noise))) for _ in range(rounds)] for x in XS]


@pytest.mark.parametrize(
    ("expect", "value", "within", "holds", "fails"),
    [
        ("flat", None, 0.1, 1.09, 1.11),
        ("flat", None, 0.1, 0.92, 0.9),
        ("rises", None, 0.1, 1.2, 1.1),
        ("falls", None, 0.0, 0.99, 1.0),
        ("equal", None, 0.0, 1.0, 1.001),
        ("equal", 8.0, 0.01, 8.07, 8.1),
        ("faster_than", None, 0.02, 0.97, 0.99),
        ("exponent", 2.0, 0.1, 2.05, 1.85),
        ("at_most", 10.0, 0.1, 11.0, 11.1),
        ("at_least", 1.0, 0.0, 1.0, 0.999),
        ("correlates", 0.5, 0.0, 0.6, 0.4),
    ],
)
def test_where_an_estimate_must_lie(
    expect: str, value: float | None, within: float, holds: float, fails: float
) -> None:
    wanted = region(expect, value, within)
    assert wanted.verdict(exact(holds)) == "confirmed"
    assert wanted.verdict(exact(fails)) == "refuted"


def test_an_interval_across_the_end_is_undecided() -> None:
    assert Region(0.9, 1.1).verdict(Interval(1.0, 0.95, 1.2)) == "undecided"
    assert Region(0.9, 1.1).verdict(None) == "undecided"


@pytest.mark.parametrize(("exponent", "word"), [(0.0, "confirmed"), (0.5, "refuted"), (-0.5, "refuted")])
def test_a_time_that_does_not_grow(exponent: float, word: str) -> None:
    estimate = ratio_along(XS, [group(exponent, seed=1), group(exponent, seed=2)])
    assert estimate is not None
    assert estimate.value == pytest.approx(8**exponent, rel=0.05)
    assert region("flat", None, 0.1).verdict(estimate) == word


def test_the_exponent_of_a_power_law_is_found() -> None:
    estimate = exponent_along(XS, [group(1.5)])
    assert estimate is not None
    assert estimate.low <= 1.5 <= estimate.high
    assert estimate.high - estimate.low < 0.1


def test_pairs_are_judged_round_by_round() -> None:
    draw = np.random.default_rng(0)
    drift = np.exp(draw.normal(0, 0.5, 8))  # the machine's, which hits both alike
    slow, fast = [*(1.2 * drift)], [*drift]
    one = ratio_between([(slow, fast)])
    two = ratio_between([(slow, fast), (slow, fast)])
    for estimate in (one, two):
        assert estimate is not None
        assert estimate.value == pytest.approx(1.2)
        assert estimate.high - estimate.low < 1e-6


def test_too_few_rounds_decide_nothing() -> None:
    assert ratio_along(XS, [group(0.0, rounds=1)]) is None
    assert ratio_between([([1.0], [1.0]), ([1.0], [1.0])]) is None


def test_rank_correlation() -> None:
    xs = [1.0, 2, 3, 4, 5, 6, 7]
    assert correlation(xs, xs) == exact(1.0)
    assert correlation(xs, xs[::-1]) == exact(-1.0)
    assert correlation(xs[:5], xs[:5]) is None
    assert correlation(xs, [1.0] * 7) is None
    some = correlation(xs, [2.0, 1, 3, 5, 4, 7, 6])
    assert some is not None
    assert some.low < some.value < some.high < 1


def test_what_would_decide_it() -> None:
    flat = region("flat", None, 0.1)
    assert rounds_needed(Interval(1.0, 0.8, 1.2), flat, 6) == pytest.approx(29, abs=2)
    assert rounds_needed(Interval(1.1, 0.9, 1.3), flat, 6) is None
    assert rounds_needed(Interval(1.0, 0.99, 1.01), flat, 6) is None
    assert rounds_needed(Interval(0.7, 0.5, 1.2), flat, 6) == 35  # the nearer end alone
    correlates = region("correlates", 0.8, 0.0)
    assert rounds_needed(Interval(0.95, 0.65, 0.995), correlates, 7) == pytest.approx(
        28, abs=1
    )  # a correlation is never above 1
