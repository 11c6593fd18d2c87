"""The fixture `subject`: measures a layer of one's own as a suite's cases are, in two lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.testing.clock import RoundClock
from harness.testing.plugin import CLOCK, harness_of

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

    from harness.testing.subject import Measurer


@pytest.fixture
def harness_clock(pytestconfig: pytest.Config) -> RoundClock:
    """Return the clock that pytest-benchmark reads in a test with our `subject`; others may have one of their own."""
    return pytestconfig.stash[CLOCK]


@pytest.fixture
def subject(request: pytest.FixtureRequest, harness_clock: RoundClock, benchmark: BenchmarkFixture) -> Measurer:
    """Return what times, counts and checks a layer: `subject(layer, batch=8, tokens=64, d_model=256)`.

    See `Measurer.__call__` in `harness/testing/subject.py` for what it takes, and `Measured` for what it returns.
    """
    from harness.testing.subject import Measurer

    return Measurer(harness_of(request.config), request.node, benchmark)
