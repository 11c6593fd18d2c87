from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.judge.front import Place, Test, places
from harness.judge.stats import Interval, paired_ratio
from harness.judge.verdict import verdict

EQUAL = 0.1


def without_noise(costs: list[float], capacities: list[float], equal: float = 0.0) -> list[Place]:
    def over(i: int, j: int) -> Test:
        ratio = costs[i] / costs[j]
        return Test(Interval(ratio, ratio, ratio), verdict(Interval(ratio, ratio, ratio)), 0.0)

    return places(costs, capacities, over, equal)


def test_a_front_made_by_hand() -> None:
    """Costs 1, 2, 4 buy 1, 4, 8; the fourth pays 3 for 3, less than the second has for 2."""
    found = without_noise([1, 2, 4, 3], [1, 4, 8, 3])
    assert [place.standing for place in found] == ["front", "front", "front", "dominated"]
    assert found[3].rival == 1
    assert found[3].test
    assert found[3].test.ratio == Interval(2 / 3, 2 / 3, 2 / 3)


def test_the_same_cost_for_more_dominates_and_for_as_much_is_level() -> None:
    assert [place.standing for place in without_noise([1.0, 1.01], [1, 2])] == ["dominated", "front"]
    assert [place.standing for place in without_noise([1.0, 1.01], [2, 2])] == ["front", "level"]


def test_a_trifle_of_capacity_buys_no_place() -> None:
    assert [place.standing for place in without_noise([1, 2], [100, 109], EQUAL)] == ["front", "dominated"]
    assert [place.standing for place in without_noise([1, 2], [100, 111], EQUAL)] == ["front", "front"]


def test_noise_dominates_nobody() -> None:
    """A rival that is 10 % cheaper by its estimate, in rounds that spread by a factor of two."""
    rounds = [[9.0, 12.0, 6.0, 14.0, 8.0, 5.0], [10.0, 7.0, 13.0, 9.0, 14.0, 12.0]]

    def over(i: int, j: int) -> Test:
        ratio = paired_ratio(rounds[i], rounds[j])
        return Test(ratio, verdict(ratio), 0.5)

    found = places([9.0, 11.0], [1.0, 1.0], over, EQUAL)
    assert [place.standing for place in found] == ["front", "undecided"]
    assert found[1].rival == 0


def test_dominance_that_may_be_chance_among_many_is_undecided() -> None:
    """Each is beaten at p = 0.04: alone that is enough, and of twenty, of which it is the least chance, it is not."""
    ratio = Interval(0.9, 0.85, 0.97)

    def over(i: int, j: int) -> Test:
        return Test(ratio, "faster", 0.04 if j == 1 else 0.9) if i == 0 else Test(None, "undecided", None)

    alone = places([1.0, 1.1], [1.0, 1.0], over, EQUAL)
    many = places([1.0] + [1.1] * 20, [1.0] * 21, over, EQUAL)
    assert alone[1].standing == "dominated"
    assert {place.standing for place in many[1:]} == {"undecided"}


def test_a_dearer_case_of_more_capacity_leaves_in_doubt_whom_noise_may_put_behind_it() -> None:
    def over(i: int, j: int) -> Test:
        return Test(Interval(1.05, 0.8, 1.3), "undecided", 0.6)

    assert [place.standing for place in places([1.0, 1.05], [1.0, 4.0], over, EQUAL)] == ["undecided", "front"]
    assert [place.standing for place in places([1.0, 1.05], [1.0, 1.0], over, EQUAL)] == ["front", "undecided"]


def test_nobody_and_one_alone() -> None:
    assert places([], [], lambda i, j: Test(None, "undecided", None), EQUAL) == []
    assert without_noise([3.0], [5.0]) == [Place("front")]


POINTS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=25)


@given(POINTS)
def test_without_noise_it_is_the_pareto_front_by_brute_force(points: list[tuple[int, int]]) -> None:
    """Steps of 10 % are beyond the margin of 2 %, so that `same` is equal to the last digit."""
    costs, capacities = ([1.1**value for value in axis] for axis in zip(*points, strict=True))
    found = without_noise(costs, capacities)
    for (cost, capacity), place in zip(points, found, strict=True):
        beaten = any(c <= cost and k >= capacity and (c, k) != (cost, capacity) for c, k in points)
        assert (place.standing == "dominated") == beaten


@given(POINTS, st.floats(0, 0.5))
def test_somebody_is_always_left(points: list[tuple[int, int]], equal: float) -> None:
    costs = [1.07**cost for cost, _ in points]
    found = without_noise(costs, [1.07**capacity for _, capacity in points], equal)
    assert any(place.standing != "dominated" for place in found)
    for place, cost in zip(found, costs, strict=True):
        assert place.rival is None or costs[place.rival] <= cost * 1.02 or math.isclose(costs[place.rival], cost)


@pytest.mark.parametrize("scale", [1e-6, 1e9])
def test_units_do_not_matter(scale: float) -> None:
    plain, scaled = (
        without_noise([1, 2, 4, 3], [1, 4, 8, 3]),
        without_noise([scale, 2 * scale, 4 * scale, 3 * scale], [1 / scale, 4 / scale, 8 / scale, 3 / scale]),
    )
    assert [place.standing for place in plain] == [place.standing for place in scaled]
