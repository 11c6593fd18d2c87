"""The fixture `subject` where pytest-benchmark is not loaded: it says so."""

from __future__ import annotations

from typing import NoReturn

import pytest

from harness.testing.plugin import NEEDS_BENCHMARK


@pytest.fixture
def subject() -> NoReturn:
    """Fail with what to install."""
    pytest.fail(NEEDS_BENCHMARK, pytrace=False)
