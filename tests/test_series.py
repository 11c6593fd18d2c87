"""Flags of a series: each finds its planted fault, and on independent series is raised no more often than it says."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest

from harness.judge.series import ALARM, autocorrelation, drift_over, flags, two_speeds
from harness.judge.simulate import Machine, two_cases

Rng = np.random.Generator
SHAPE = (12, 20)
INDEPENDENT: dict[str, Callable[[Rng], np.ndarray]] = {
    "normal": lambda rng: rng.normal(0, 0.02, SHAPE),
    "long tails": lambda rng: 0.02 * rng.standard_t(3, SHAPE),
    "skewed": lambda rng: rng.gamma(1.0, 0.04, SHAPE),
}
"""Logarithms of samples, rounds by blocks; each round also has the luck of its process."""


def planted(machine: Machine, seed: int = 0) -> list[list[float]]:
    times: list[list[float]] = two_cases(machine, *SHAPE, 1.0, np.random.default_rng(seed))[0].tolist()
    return times


@pytest.mark.parametrize("kind", INDEPENDENT)
def test_false_alarms_are_as_rare_as_they_say(kind: str) -> None:
    """Of 200 independent series each flag may be raised in 1 %; more than 6 has a chance of 1 in 250."""
    rng = np.random.default_rng(1)
    raised = np.zeros(3, dtype=np.int64)
    for _ in range(200):
        logs = list(INDEPENDENT[kind](rng) + rng.normal(0, 0.05, (SHAPE[0], 1)))
        residuals = [each - np.median(each) for each in logs]
        found = autocorrelation(residuals), drift_over([float(np.median(each)) for each in logs]), two_speeds(logs)
        raised += [flag is not None for flag in found]
    assert ALARM == 0.01
    assert max(raised) <= 6, raised


def test_a_planted_drift_is_told_with_its_size() -> None:
    rounds = planted(Machine(drift=0.15, process=0.01))
    (said,), (backwards,) = flags(rounds), flags(rounds[::-1])
    size = re.fullmatch(r"drifted over the run: the last rounds were (\d+) % slower than the first", said)
    assert size is not None
    assert 12 <= int(size[1]) <= 17
    assert backwards.endswith(" % faster than the first")


def test_a_drift_that_does_not_matter_is_not() -> None:
    assert flags(planted(Machine(drift=0.01, process=0.0, visit=0.0, block=0.001))) == []


def test_planted_autocorrelation_is_told() -> None:
    said = flags(planted(Machine(block=0.02, memory=0.9)))
    assert len(said) == 1
    assert said[0].startswith("samples lean on the ones before them (autocorrelation 0.")


def test_planted_speeds_are_told_with_their_distance_and_share() -> None:
    said = flags(planted(Machine(slow=0.10, slow_blocks=0.3)))
    assert len(said) == 1
    assert said[0].startswith("runs at two speeds, ")
    found = two_speeds([np.log(samples) for samples in planted(Machine(slow=0.10, slow_blocks=0.3))])
    assert found is not None
    assert list(found) == [pytest.approx(0.10, abs=0.01), pytest.approx(0.3, abs=0.07)]


def test_the_luck_of_a_process_is_no_second_speed() -> None:
    assert flags(planted(Machine(process=0.2))) == []


def test_hiccups_are_no_second_speed() -> None:
    rounds = planted(Machine())
    for samples in rounds[::3]:
        samples[7] *= 5
    assert flags(rounds) == []


@pytest.mark.parametrize("rounds", [[], [[]], [[1.0]], [[1.0, 1.1]] * 3, [[1.0] * 40] * 6, [[0.0, 1.0]] * 8])
def test_little_or_nothing_to_go_by_says_nothing(rounds: list[list[float]]) -> None:
    assert flags(rounds) == []
