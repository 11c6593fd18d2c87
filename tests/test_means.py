"""Noise learnt from others: against variances whose likeness is known, and against SciPy's own test."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from harness.judge.means import ENOUGH, alone, beside, means, paired_means, prior
from harness.judge.stats import Floats


def drawn(likeness: float, cells: int, rounds: tuple[int, int], seed: int) -> tuple[Floats, Floats]:
    """Return two samples of each cell, whose true variances are Smyth's: s0 d0 over a chi square of d0."""
    rng = np.random.default_rng(seed)
    spreads = np.sqrt(0.02**2 * likeness / rng.chisquare(likeness, (cells, 1)))
    a, b = (rng.normal(0, 1, (cells, count)) * spreads for count in rounds)
    return a, b


def test_alone_it_is_welchs_test() -> None:
    rng = np.random.default_rng(0)
    for n, m in ((2, 2), (3, 7), (6, 6)):
        a, b = rng.normal(0, 1, (50, n)), rng.normal(0.5, 2, (50, m))
        assert alone(means(a, b)) == pytest.approx(stats.ttest_ind(a, b, axis=1, equal_var=False).pvalue, rel=1e-9)


def test_of_pairs_it_is_students_test() -> None:
    differences = np.random.default_rng(0).normal(0.5, 1, (50, 4))
    assert alone(paired_means(differences)) == pytest.approx(stats.ttest_1samp(differences, 0, axis=1).pvalue, rel=1e-9)


@pytest.mark.parametrize("likeness", [3.0, 10.0])
def test_likeness_and_typical_noise_are_found(likeness: float) -> None:
    rng = np.random.default_rng(1)
    variances = 4e-4 * likeness / rng.chisquare(likeness, 20_000)
    seen = variances * rng.chisquare(10, 20_000) / 10
    typical, found = prior(seen, np.full(20_000, 10.0))
    assert found == pytest.approx(likeness, rel=0.1)
    assert typical == pytest.approx(4e-4, rel=0.05)
    # the variances seen are then typical times F(10, d0), which is where the equations come from
    assert stats.kstest(seen / typical, stats.f(10, found).cdf).pvalue > 0.01


@pytest.mark.parametrize("noisier", [1.0, 3.0])
def test_noise_that_all_share_is_known_as_of_all_together(noisier: float) -> None:
    """Then the chance of a shift is that of the normal distribution, though each has five values a side alone."""
    rng = np.random.default_rng(2)
    found = means(rng.normal(0, 0.02, (2000, 6)), rng.normal(0, 0.02 * noisier, (2000, 6)))
    error = 0.02 * math.hypot(1, noisier) / math.sqrt(6)
    assert beside(found) == pytest.approx(2 * stats.norm.sf(np.abs(found.shift) / error), abs=0.02)


@pytest.mark.parametrize("rounds", [(6, 6), (3, 30)])
@pytest.mark.parametrize("likeness", [2.0, 8.0])
def test_equals_are_as_seldom_far_apart_as_is_told(likeness: float, rounds: tuple[int, int]) -> None:
    """Also where the chance is small, which is what a long list asks for; a quarter more is let pass."""
    ps = beside(means(*drawn(likeness, 100_000, rounds, 3)))
    for level in (0.05, 1e-3, 1e-4):
        assert (ps <= level).sum() <= max(stats.binom.ppf(0.999, len(ps), level), 1.25 * level * len(ps))


@pytest.mark.parametrize("likeness", [2.0, 8.0])
def test_paired_equals_are_as_seldom_far_apart_as_is_told(likeness: float) -> None:
    a, b = drawn(likeness, 100_000, (6, 6), 5)
    ps = beside(paired_means(a - b))
    for level in (0.05, 1e-3, 1e-4):
        assert (ps <= level).sum() <= max(stats.binom.ppf(0.999, len(ps), level), 1.25 * level * len(ps))


def test_few_comparisons_keep_their_own_noise() -> None:
    found = means(*drawn(8.0, ENOUGH - 1, (6, 6), 4))
    assert np.array_equal(beside(found), alone(found))


def test_without_any_noise_nothing_is_learnt() -> None:
    flat = np.zeros((ENOUGH, 3))
    found = means(flat, np.vstack([flat[1:], np.ones((1, 3))]))
    assert alone(found).tolist() == beside(found).tolist() == [1.0] * (ENOUGH - 1) + [0.0]


def test_a_case_whose_rounds_agree_by_chance_is_not_believed() -> None:
    rng = np.random.default_rng(6)
    a, b = rng.normal(0, 0.02, (100, 3)), rng.normal(0, 0.02, (100, 3))
    a[0], b[0] = [0.021, 0.0211, 0.0212], [0.0, 0.0001, 0.0002]
    found = means(a, b)
    assert alone(found)[0] < 1e-6
    assert beside(found)[0] > 0.01


def test_a_case_without_spread_among_others() -> None:
    rng = np.random.default_rng(7)
    a, b = rng.normal(0, 0.02, (50, 6)), rng.normal(0, 0.02, (50, 6))
    a[:2], b[:2] = 0.0, [[0.0], [0.2]]
    assert alone(means(a, b))[:2].tolist() == [1.0, 0.0]
    equal, apart = beside(means(a, b))[:2]
    assert (equal, apart < 1e-6) == (1.0, True)
