from __future__ import annotations

import numpy as np
import pytest

from harness.judge.cycles import MIN_BLOCKS, clock_explains

CLOCKS = np.array([1980.0, 1980, 1900, 1755, 1620, 1500, 1500, 1500])


def test_a_falling_clock_explains_times_that_rise_with_it() -> None:
    noise = np.exp(0.003 * np.random.default_rng(0).normal(size=len(CLOCKS)))
    assert clock_explains(list(1e6 / CLOCKS * noise), list(CLOCKS))


def test_a_clock_that_stands_explains_nothing() -> None:
    times = [1.0, 1.3, 1.0, 1.3, 1.0, 1.3, 1.0, 1.3]
    assert not clock_explains(times, [1980.0] * len(times))


def test_memory_bound_times_that_do_not_follow_the_clock_are_not_explained() -> None:
    assert not clock_explains([1.0, 1.001, 1.0, 0.999, 1.0, 1.0, 1.001, 1.0], list(CLOCKS))
    assert not clock_explains([1.0, 1.3, 1.0, 1.3, 1.3, 1.0, 1.0, 1.3], list(CLOCKS))


@pytest.mark.parametrize("clocks", [[], [1980.0] * 3])
def test_too_few_readings_explain_nothing(clocks: list[float]) -> None:
    assert not clock_explains([1.0, 2.0, 3.0][: len(clocks)], clocks)
    assert not clock_explains([1.0] * MIN_BLOCKS, clocks)
