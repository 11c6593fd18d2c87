"""What may be said of two runs' estimates: on series with known answers."""

from __future__ import annotations

import math
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from harness.judge.compare import Change, change, changes, drift, exact, timed
from harness.judge.stats import Interval

ROUNDS = st.lists(st.floats(0.1, 10), min_size=2, max_size=12)


def found(low: float, value: float, high: float, p: float = 0.001) -> Change:
    return Change(Interval(value, low, high), p)


def drawn(shift: float, rounds: int, seed: int) -> list[float | None]:
    return [*np.exp(np.random.default_rng(seed).normal(math.log(shift), 0.02, rounds))]


@given(ROUNDS, ROUNDS)
def test_swapping_the_runs_inverts_the_ratio(a: list[float | None], b: list[float | None]) -> None:
    there, back = change(a, b), change(b, a)
    assert there is not None
    assert back is not None
    assert there.ratio.value == pytest.approx(1 / back.ratio.value)
    assert there.ratio.low == pytest.approx(1 / back.ratio.high)
    assert there.p == pytest.approx(back.p)
    assert there.ratio.low <= there.ratio.value <= there.ratio.high


@pytest.mark.parametrize("rounds", [3, 6, 12])
def test_the_interval_holds_the_truth_nineteen_times_of_twenty(rounds: int) -> None:
    tries = 400
    hits = sum(
        one.ratio.holds(1.05)
        for seed in range(tries)
        if (one := change(drawn(1.0, rounds, 2 * seed), drawn(1.05, rounds, 2 * seed + 1))) is not None
    )
    assert 0.92 <= hits / tries <= 0.99


@pytest.mark.parametrize("rounds", [6, 12])
def test_equals_differ_one_time_in_twenty(rounds: int) -> None:
    tries = 400
    alarms = sum(
        one.p <= 0.05
        for seed in range(tries)
        if (one := change(drawn(1.0, rounds, 2 * seed), drawn(1.0, rounds, 2 * seed + 1))) is not None
    )
    assert alarms / tries <= 0.08


def test_one_hiccup_in_six_rounds_has_no_say() -> None:
    calm = [1.0, 1.01, 0.99, 1.0, 1.01, 0.99]
    one = change([*calm], [*calm[:-1], 40.0])
    assert one is not None
    assert one.ratio.value == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize(("a", "b"), [([1.0], [1.0, 2.0]), ([], []), ([None, 1.0], [1.0, 1.0])])
def test_too_few_rounds_say_nothing(a: list[float | None], b: list[float | None]) -> None:
    assert change(a, b) is None
    assert timed(None, significant=True) == "cannot tell"


def test_a_time_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="positive"):
        change([1.0, 0.0], [1.0, 1.0])


def test_samples_without_any_spread() -> None:
    same, other = change([1.0, 1.0], [1.0, 1.0]), change([1.0, 1.0], [2.0, 2.0])
    assert same is not None
    assert other is not None
    assert (same.ratio, same.p) == (Interval(1, 1, 1), 1.0)
    assert other.ratio.value == pytest.approx(2.0)
    assert other.p == 0.0


@pytest.mark.parametrize(
    ("one", "significant", "word"),
    [
        (found(1.04, 1.05, 1.06), True, "slower"),
        (found(1.04, 1.05, 1.06), False, "cannot tell"),
        (found(0.94, 0.95, 0.96), True, "faster"),
        (found(0.995, 1.0, 1.005), True, "same"),
        (found(1.005, 1.01, 1.015), True, "same"),
        (found(0.9, 1.0, 1.1), True, "cannot tell"),
        (found(1.001, 1.015, 1.03), True, "cannot tell"),
    ],
)
def test_words(one: Change, significant: bool, word: str) -> None:
    assert timed(one, significant=significant) == word


def test_a_wider_margin_makes_more_the_same() -> None:
    assert timed(found(1.04, 1.05, 1.06), significant=True, margin=0.1) == "same"


def test_noise_and_factor() -> None:
    one = found(1.0, 1.1, 1.21)
    assert one.noise == pytest.approx(0.1)
    assert one.factor == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("base", "candidate", "better", "word"),
    [
        (10, 10, "lower", "same"),
        (10, 11, "lower", "worse"),
        (10, 11, "higher", "better"),
        (10, 9, "lower", "better"),
        (10, 9, None, "changed"),
        ("none", "drop", None, "changed"),
        ("none", "none", None, "same"),
    ],
)
def test_what_has_no_noise(base: float | str, candidate: float | str, better: str | None, word: str) -> None:
    assert exact(base, candidate, better) == word


def test_a_tolerance_is_a_share_of_the_baseline() -> None:
    assert exact(100, 101, "lower", 0.01) == "same"
    assert exact(100, 102, "lower", 0.01) == "worse"


def test_drift() -> None:
    assert drift([1.0, 1.1, 1.2]) == pytest.approx(1.1)
    assert drift([]) is None


# many at once


def rounds_of(rng: np.random.Generator) -> list[float | None]:
    """Return 0 to 12 rounds, some of them missing."""
    times: list[float | None] = [*np.exp(rng.normal(0, 0.05, rng.integers(0, 13)))]
    return [None if rng.random() < 0.1 else time for time in times]


def test_many_at_once_are_judged_as_one_by_one() -> None:
    rng = np.random.default_rng(0)
    pairs = [(rounds_of(rng), rounds_of(rng)) for _ in range(500)]
    at_once = changes(pairs)
    assert sum(one is None for one in at_once) > 5
    for (base, candidate), found in zip(pairs, at_once, strict=True):
        alone = change(base, candidate)
        if alone is None or found is None:
            assert alone is found
            continue
        for name in ("value", "low", "high"):
            assert getattr(found.ratio, name) == pytest.approx(getattr(alone.ratio, name), rel=1e-12)
        assert found.p == pytest.approx(alone.p, rel=1e-12)


@pytest.mark.parametrize("rounds", [(2, 2), (3, 5), (6, 6), (7, 12)])
def test_the_ratio_is_scipys(rounds: tuple[int, int]) -> None:
    base, candidate = drawn(1.0, rounds[0], 1), drawn(1.05, rounds[1], 2)
    one = change(base, candidate)
    assert one is not None
    logs = [np.log([time for time in side if time is not None]) for side in (candidate, base)]
    test = stats.ttest_ind(*logs, equal_var=False, trim=0.2 if min(rounds) >= 6 else 0.0)
    ends = test.confidence_interval(0.95)
    assert (one.ratio.low, one.ratio.high) == pytest.approx((math.exp(ends.low), math.exp(ends.high)), rel=1e-12)
    assert one.p == pytest.approx(float(stats.ttest_ind(*logs, equal_var=False).pvalue), rel=1e-9)


@given(ROUNDS, ROUNDS, st.randoms(use_true_random=False))
def test_the_order_of_the_rounds_says_nothing(a: list[float | None], b: list[float | None], chance: Random) -> None:
    one = change(a, b)
    chance.shuffle(a)
    chance.shuffle(b)
    other = change(a, b)
    assert one is not None
    assert other is not None
    for name in ("value", "low", "high"):
        assert getattr(other.ratio, name) == pytest.approx(getattr(one.ratio, name), rel=1e-9)
    assert other.p == pytest.approx(one.p, rel=1e-6, abs=1e-12)


@given(st.lists(st.floats(1e-300, 1e300), min_size=2, max_size=8), st.lists(st.floats(1e-300, 1e300), min_size=2))
def test_every_number_that_is_told_is_one(a: list[float | None], b: list[float | None]) -> None:
    one = change(a, b)
    assert one is not None
    told = (one.ratio.low, one.ratio.value, one.ratio.high, one.p, one.noise, one.factor)
    assert all(map(math.isfinite, told))
    assert one.ratio.low <= one.ratio.value <= one.ratio.high


def test_where_all_that_varies_is_trimmed_the_whole_sample_says_how_much() -> None:
    one = change([1.0] * 6 + [2.0], [1.1] * 6 + [0.5])
    assert one is not None
    assert one.ratio.value == pytest.approx(1.1)
    assert one.ratio.low < one.ratio.value < one.ratio.high


def test_nothing_below_the_floor_is_told() -> None:
    one = found(1.04, 1.05, 1.06)
    assert timed(one, significant=True, floor=0.049) == "slower"
    assert timed(one, significant=True, floor=0.051) == "cannot tell"
    assert timed(found(0.94, 0.95, 0.96), significant=True, floor=math.inf) == "cannot tell"
    assert timed(found(0.999, 1.0, 1.001), significant=True, floor=0.5) == "same"
