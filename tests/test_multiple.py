from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.judge.multiple import ALPHA, benjamini_hochberg, counted, flattery, holm, p_value, survives, wilcoxon
from harness.judge.stats import Interval, paired_ratio

HOCHBERG = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528,
            0.7590, 1.0]  # fmt: skip
"""Benjamini and Hochberg 1995, section 4.1: they reject the first four, Bonferroni's bound the first three."""
chances = st.floats(1e-6, 1.0)


def closed_testing(ps: Sequence[float]) -> list[float]:
    """Adjusted p-values by the closure of Bonferroni's test, from its definition: every set that a hypothesis is in."""
    members = range(len(ps))
    sets = [s for size in range(1, len(ps) + 1) for s in itertools.combinations(members, size)]
    return [max(min(1.0, len(s) * min(ps[j] for j in s)) for s in sets if i in s) for i in members]


def test_benjamini_and_hochberg_reject_what_their_paper_rejects() -> None:
    assert survives(HOCHBERG, benjamini_hochberg) == [True] * 4 + [False] * 11
    assert survives(HOCHBERG, holm) == [True] * 3 + [False] * 12


@given(st.lists(chances, max_size=6))
def test_holm_is_the_closure_of_bonferroni(ps: list[float]) -> None:
    assert holm(ps) == pytest.approx(closed_testing(ps))


@given(st.lists(chances, min_size=1, max_size=20))
def test_counting_together_never_makes_a_finding_stronger(ps: list[float]) -> None:
    for p, found, headline in zip(ps, benjamini_hochberg(ps), holm(ps), strict=True):
        assert p <= found * (1 + 1e-9)
        assert found <= headline * (1 + 1e-9)


def test_what_was_not_compared_survives_nothing_but_counts() -> None:
    assert survives([None, 0.001], benjamini_hochberg) == [False, True]
    assert survives([0.04, None], benjamini_hochberg) == [False, False]
    assert survives([], benjamini_hochberg) == survives([], holm) == []


@pytest.mark.parametrize("rounds", [3, 5, 6, 10, 20])
def test_of_equals_one_in_twenty_is_called_different(rounds: int) -> None:
    """Measured: 3 to 8 % for these seeds; three standard errors of 400 draws are 3.3 %."""
    rng = np.random.default_rng(rounds)
    drawn = rng.lognormal(sigma=0.02, size=(400, 2, rounds)).tolist()
    found = [p for a, b in drawn if (p := p_value(a, b)) is not None]
    assert len(found) == 400
    assert 0.02 <= np.mean(np.array(found) <= ALPHA) <= 0.09


def test_a_planted_difference_has_a_small_chance_and_wilcoxon_agrees() -> None:
    noise = np.random.default_rng(0).lognormal(sigma=0.01, size=(2, 10))
    slow, base = (1.05 * noise[0]).tolist(), noise[1].tolist()
    for test in (p_value, wilcoxon):
        different, equal = test(slow, base), test(noise[0].tolist(), base)
        assert different is not None
        assert equal is not None
        assert different < 0.005 < ALPHA < equal


def test_one_hiccup_in_ten_rounds_hides_nothing() -> None:
    slow = [1.05, 1.06, 1.04, 1.05, 1.055, 1.045, 1.05, 1.06, 1.04, 0.2]
    p = p_value(slow, [1.0] * 10)
    assert p is not None
    assert p < 0.001


@pytest.mark.parametrize(
    ("numerator", "denominator", "expected"),
    [
        ([1.0], [1.0], None),
        ([1.0, None], [None, 1.0], None),
        ([1.0, 2.0], [1.0, 2.0], 1.0),
        ([2.0, 4.0], [1.0, 2.0], 0.0),  # every round says exactly twice
        ([1.0, 1.0, 1.0, 1.0, 1.0, 3.0], [1.0] * 6, pytest.approx(0.7265, abs=1e-4)),  # twice t's 0.3632
        ([2.2, 1.1], [2.0, 1.0], 0.0),  # but for rounding
    ],
)
def test_rounds_without_spread(
    numerator: list[float | None], denominator: list[float | None], expected: float | None
) -> None:
    assert p_value(numerator, denominator) == expected


def test_fifty_equal_cells_have_a_win_in_most_sweeps_but_not_when_they_are_counted() -> None:
    """The planted fault: verdicts taken one by one. 50 cells at 5 % have a false one with a chance of 92 %."""
    rng = np.random.default_rng(7)
    alone = together = 0
    for _ in range(40):
        ps = [p_value(a, b) for a, b in rng.lognormal(sigma=0.02, size=(50, 2, 10)).tolist()]
        alone += any(p is not None and p <= ALPHA for p in ps)
        together += any(survives(ps, benjamini_hochberg))
    assert alone >= 32
    assert together <= 6  # 2 expected; more than 6 has a chance of 1 in 250


def test_a_difference_that_does_not_survive_is_undecided_and_sameness_stays() -> None:
    words = counted(["faster", "slower", "same", "undecided"], [0.001, 0.04, 0.9, 0.2], benjamini_hochberg)
    assert words == ["faster", "undecided", "same", "undecided"]


def test_the_best_of_many_equals_is_flattered_by_about_what_is_said() -> None:
    """The winner's curse, planted: seven candidates that take as long as the reference; the best of them is picked."""
    rng = np.random.default_rng(3)
    found, said = [], []
    for _ in range(150):
        base, *others = rng.lognormal(sigma=0.02, size=(8, 10)).tolist()
        ratios = [ratio for other in others if (ratio := paired_ratio(other, base)) is not None]
        best = min(ratios, key=lambda ratio: ratio.value)
        found.append(1 / best.value - 1)
        said.append(flattery(best, len(ratios)))
    assert 0.5 <= np.median(found) / np.median(said) <= 2.0
    assert np.median(found) > 0.005
    assert flattery(Interval(1.0, 0.98, 1.02), 1) == 0.0
