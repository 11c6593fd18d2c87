from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.judge.crossing import Found, crossings
from harness.judge.stats import Interval, paired_ratio
from harness.judge.verdict import Verdict, verdict


def powers(xs: list[float], exponent: float, at: float, width: float = 0.05) -> Found:
    """Return what is found of ratios (x / at) ** exponent, each known within `width` of its logarithm."""
    logs = [exponent * math.log(x / at) for x in xs]
    ratios = [Interval(math.exp(log), math.exp(log - width), math.exp(log + width)) for log in logs]
    return crossings(xs, ratios, [verdict(ratio) for ratio in ratios])


def test_two_power_laws_cross_where_they_do() -> None:
    """Times x and 10 are equal at x = 10, and a band of ±5 % holds 1 from 9.51 to 10.51."""
    found = powers([2, 4, 8, 16, 32], 1.0, 10.0)
    (crossing,) = found.crossings
    assert found.course == "crosses"
    assert crossing.at.value == pytest.approx(10)
    assert crossing.at.low == pytest.approx(10 * math.exp(-0.05))
    assert crossing.at.high == pytest.approx(10 * math.exp(0.05))
    assert crossing.ahead == "before"


@given(st.floats(0.3, 3), st.floats(2.5, 25), st.booleans(), st.floats(0.001, 0.02))
def test_any_power_law_is_found_in_its_interval(size: float, at: float, falls: bool, width: float) -> None:
    xs = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0]
    found = powers(xs, -size if falls else size, at, width)
    assert found.course == "crosses"
    (crossing,) = found.crossings
    assert crossing.at.low <= at * (1 + 1e-9)
    assert crossing.at.high >= at * (1 - 1e-9)
    assert crossing.at.value == pytest.approx(at)
    assert crossing.ahead == ("after" if falls else "before")
    assert math.log(crossing.at.high / crossing.at.low) == pytest.approx(2 * width / size, rel=1e-6)


def test_a_place_where_nobody_can_tell_lies_in_the_interval() -> None:
    ratios = [Interval(0.8, 0.75, 0.85), Interval(0.99, 0.9, 1.1), Interval(1.3, 1.25, 1.35)]
    (crossing,) = crossings([2, 8, 32], ratios, ["faster", "undecided", "slower"]).crossings
    assert 2 < crossing.at.low < 8 < crossing.at.value < crossing.at.high < 32


def test_a_curve_that_turns_back_crosses_twice() -> None:
    ratios = [Interval(value, value * 0.98, value * 1.02) for value in (0.5, 2.0, 0.5)]
    found = crossings([1, 4, 16], ratios, ["faster", "slower", "faster"])
    assert [crossing.ahead for crossing in found.crossings] == ["before", "after"]
    assert [crossing.at.value for crossing in found.crossings] == pytest.approx([2, 8])


@pytest.mark.parametrize(
    ("words", "course", "ahead"),
    [
        (["faster", "faster"], "never", True),
        (["slower", "slower"], "never", False),
        (["same", "same"], "level", None),
        (["faster", "undecided"], "undecided", None),
        (["undecided", "slower"], "undecided", None),
        (["faster", "same"], "undecided", None),
    ],
)
def test_without_a_sure_change_of_sides_there_is_no_crossing(
    words: list[Verdict], course: str, ahead: bool | None
) -> None:
    found = crossings([1, 2], [Interval(1, 0.9, 1.1)] * 2, words)
    assert (found.course, found.crossings, found.ahead) == (course, (), ahead)


@pytest.mark.parametrize("xs", [[4.0], [4.0, 4.0], [4.0, 2.0], [0.0, 2.0]])
def test_no_axis(xs: list[float]) -> None:
    with pytest.raises(ValueError, match="positive and rising"):
        crossings(xs, [Interval(1, 1, 1)] * len(xs), ["same"] * len(xs))


def test_the_interval_holds_the_true_crossing_as_often_as_it_says() -> None:
    """Two hundred sweeps whose curves cross at 20, 3 % of noise in a round: 95 % at least (596 of 600 were seen)."""
    draw = np.random.default_rng(7)
    xs, at, held, crossed = [8.0, 32.0], 20.0, 0, 0
    for _ in range(200):
        pairs = [
            (
                np.exp(0.7 * math.log(x / at) + draw.normal(0, 0.03, 8)).tolist(),
                np.exp(draw.normal(0, 0.03, 8)).tolist(),
            )
            for x in xs
        ]
        ratios = [ratio for a, b in pairs if (ratio := paired_ratio(a, b))]
        found = crossings(xs, ratios, [verdict(ratio) for ratio in ratios])
        crossed += found.course == "crosses"
        held += any(crossing.at.holds(at) for crossing in found.crossings)
    assert crossed == 200
    assert held >= 190
