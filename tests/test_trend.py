"""What a trend promises, on series whose truth is known; and the faults that it is there to avoid, planted."""

from __future__ import annotations

import numpy as np
import pytest

from harness.judge.compare import change
from harness.judge.stats import Floats
from harness.judge.trend import Trend, counted_together, levels, trend

TRIALS = 200


def series(rng: np.random.Generator, runs: int, noise: float = 0.02) -> Floats:
    return 10 * np.exp(noise * rng.standard_normal(runs))


@pytest.mark.parametrize("runs", [5, 10, 20, 40, 60])
def test_a_flat_series_has_no_change_point(runs: int) -> None:
    """Measured with 2,000 series: 4.7 % of 5 runs, 3.2 % of 10, 0.7 % of 60, before a sweep is counted together."""
    rng = np.random.default_rng(runs)
    found = [trend(series(rng, runs), margin=0.0) for _ in range(TRIALS)]
    assert sum(bool(one.steps or one.drift) for one in found) <= 0.05 * TRIALS


def test_nor_has_one_with_long_tails() -> None:
    rng = np.random.default_rng(0)
    found = [trend(np.exp(0.02 * rng.standard_t(3, 40) / 1.7), margin=0.0) for _ in range(TRIALS)]
    assert sum(bool(one.steps or one.drift) for one in found) <= 0.05 * TRIALS


def test_a_flat_sweep_of_many_series_has_none_in_most_cases() -> None:
    """The sweep's own promise: in 95 % of sweeps of equals nothing is told."""
    rng, told = np.random.default_rng(1), 0
    for _ in range(20):
        told += any(one.steps or one.drift for one in counted_together([trend(series(rng, 20)) for _ in range(40)]))
    assert told <= 2


@pytest.mark.parametrize(("runs", "share", "found_in"), [(14, 0.10, 0.95), (20, 0.10, 0.95), (60, 0.06, 0.90)])
def test_a_planted_step_is_found_where_it_is(runs: int, share: float, found_in: float) -> None:
    """10 % at 2 % noise, three runs at least on either side, within one run of its place; and 6 % in longer series.

    Measured with 1,000 series: 93 % of 10 runs, 95 % of 12, 99 % of 20; and 95 % of the smaller ones in 60.
    """
    rng, near, one = np.random.default_rng(2), 0, 0
    for _ in range(TRIALS):
        at = int(rng.integers(3, runs - 2))
        values = series(rng, runs)
        values[at:] *= 1 + share
        steps = trend(values).steps
        near += any(abs(step.at - at) <= 1 for step in steps)
        one += len(steps) <= 1
    assert near >= found_in * TRIALS
    assert one >= 0.95 * TRIALS


def test_the_place_and_the_size_lie_in_their_intervals() -> None:
    rng, place, size, found = np.random.default_rng(3), 0, 0, 0
    for _ in range(TRIALS):
        at = int(rng.integers(5, 26))
        values = series(rng, 30)
        values[at:] *= 1.06
        for step in trend(values).steps[:1]:
            found += 1
            place += step.earliest <= at <= step.latest
            size += step.change.ratio.holds(1.06)
    assert found >= 0.9 * TRIALS
    assert place >= 0.93 * found
    assert size >= 0.88 * found  # where noise has a say in the place, it flatters the size


def test_two_steps_are_two() -> None:
    values = series(np.random.default_rng(4), 30)
    values[10:] *= 1.2
    values[20:] *= 0.8
    assert [step.at for step in trend(values).steps] == [10, 20]


def test_the_size_is_student_s() -> None:
    """Of levels as long as each other, its interval is that of two samples with one variance: SciPy's is the oracle."""
    values = series(np.random.default_rng(5), 20)
    values[10:] *= 1.3
    (step,) = trend(values).steps
    other = change(values[:10].tolist(), values[10:].tolist())  # Yuen's, without anything in common but the truth
    assert other is not None
    assert step.change.ratio.holds(1.3)
    assert step.change.ratio.value == pytest.approx(float(np.exp(np.mean(np.log(values[10:] / values[:10])))))
    assert step.change.ratio.value == pytest.approx(other.ratio.value, rel=0.02)


@pytest.mark.parametrize("at", [0, 7, 14])
def test_one_bad_night_is_no_change_but_is_told(at: int) -> None:
    values = series(np.random.default_rng(6), 15)
    values[at] *= 1.4
    found = trend(values)
    assert found.apart == (at,)
    assert found.steps == ()
    assert [level for _, _, level in levels(values, found)] == [pytest.approx(10, rel=0.02)]


def test_two_bad_nights_in_a_row_are_a_change_and_a_change_back() -> None:
    values = series(np.random.default_rng(7), 20, noise=0.005)
    values[9:11] *= 1.4
    assert [step.at for step in trend(values).steps] == [9, 11]


def test_a_run_that_knows_how_little_it_knows_does_not_stand_alone() -> None:
    values = series(np.random.default_rng(8), 15)
    values[7] *= 1.4
    errors = [0.01] * 15
    assert trend(values, errors).apart == (7,)
    errors[7] = 0.3
    assert trend(values, errors).apart == ()


def test_a_drift_names_no_run() -> None:
    rng, drifts = np.random.default_rng(9), 0
    for _ in range(TRIALS // 4):
        found = trend(series(rng, 30, noise=0.01) * np.linspace(1.0, 1.12, 30))
        drifts += found.drift is not None and not found.steps
        if found.drift is not None:
            assert found.drift.ratio.value == pytest.approx(1.12, abs=0.04)
    assert drifts >= 0.95 * TRIALS // 4


def test_less_than_the_margin_is_no_change() -> None:
    values = series(np.random.default_rng(10), 60, noise=0.001)
    values[30:] *= 1.015
    assert trend(values).steps == ()
    assert [step.at for step in trend(values, margin=0.01).steps] == [30]


def test_the_unit_does_not_matter_and_turning_time_round_inverts_the_ratio() -> None:
    values = series(np.random.default_rng(11), 24)
    values[9:] *= 1.15
    (step,), (scaled,), (turned,) = trend(values).steps, trend(1e6 * values).steps, trend(values[::-1]).steps
    assert scaled.at == step.at
    assert scaled.change.p == pytest.approx(step.change.p)
    assert turned.at == 24 - step.at
    assert turned.change.ratio.value == pytest.approx(1 / step.change.ratio.value)


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 2.0, 2.0]])
def test_too_few_runs_tell_nothing(values: list[float]) -> None:
    assert trend(values) == Trend()


def test_equal_values_have_no_change_and_those_without_spread_one() -> None:
    flat = trend([3.0] * 12)
    assert (flat.steps, flat.drift, flat.apart) == ((), None, ())
    assert flat.noise < 1e-9
    (step,) = trend([3.0] * 6 + [4.0] * 6).steps
    assert (step.at, step.change.p, step.earliest, step.latest) == (6, 0.0, 6, 6)


def test_a_time_is_positive() -> None:
    with pytest.raises(ValueError, match="positive"):
        trend([1.0, 0.0, 1.0, 1.0])


def test_many_series_are_counted_together() -> None:
    """A change that chance gives once in 30 looks is none among 400; a plain one stays."""
    rng = np.random.default_rng(12)
    weak = next(one for one in (trend(series(rng, 12), margin=0.0) for _ in range(2000))
                if one.steps and one.steps[0].change.p > 0.02)  # fmt: skip
    values = series(rng, 12)
    values[6:] *= 1.5
    together = counted_together([weak, trend(values), *[Trend()] * 398])
    assert together[0].steps == ()
    assert len(together[1].steps) == 1
    assert counted_together([weak])[0].steps == weak.steps
