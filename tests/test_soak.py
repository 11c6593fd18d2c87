"""The soak's own arithmetic; the soak itself is `nox -s soak`."""

from __future__ import annotations

from harness.declare.plan import plan
from harness.declare.suite import parse_suite
from harness.declare.visits import visits
from tests.soak.samples import Growth, Sample, growth, least
from tests.soak.session import SOAKS


def test_each_soak_has_the_visits_that_it_says() -> None:
    for suite, number, _ in SOAKS.values():
        assert len(visits(plan(parse_suite(suite)))) == number >= 2000


def test_growth_is_told_from_both_windows() -> None:
    samples = [Sample(5.0, 1.0, 400 + visit / 100, 12, 100, 30 + (visit > 1900)) for visit in range(2000)]
    samples[120] = Sample(2000.0, 1.0, 400, 12, 100, 30)  # a worker's start is in one visit of a round
    shares = {figure.what: round(figure.share, 3) for figure in growth(samples, 80, 1900)}
    assert shares == {
        "worker's memory, MB": 0.045,
        "worker's file handles": 0.0,
        "runner's memory, MB": 0.0,
        "runner's file handles": 0.033,
        "engine's time a visit, ms": 0.0,
        "of that the runner's processor time, ms": 0.0,
    }


def test_what_grows_too_much_is_told_but_for_what_is_kept_by_design() -> None:
    samples = [Sample(5.0 + visit / 1000, 1.0, 400, 12, 100 + visit / 10, 30) for visit in range(2000)]
    assert [figure.what for figure in growth(samples, 80, 1900) if figure.too_much] == ["engine's time a visit, ms"]


def test_of_repeats_the_least_disturbed_counts_at_either_end() -> None:
    quiet, busy_at_the_end = Growth("time", 1.0, 1.01), Growth("time", 0.99, 2.0)
    assert least([[quiet], [busy_at_the_end]]) == [Growth("time", 0.99, 1.01)]
    growing = Growth("time", 1.0, 1.2)
    assert least([[growing], [growing]])[0].too_much
