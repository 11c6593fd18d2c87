"""What pricing one case takes; a plan of 100,000 cases must end within 5 seconds, so the bound is 20 microseconds."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.case import Case
from harness.declare.costs import Cost, cost
from tests.cases import families


@pytest.mark.parametrize("case", families(pass_="train"), ids=lambda case: str(case.variant))
def test_cost(case: Case, benchmark: Callable[[Callable[[Case], Cost], Case], Cost]) -> None:
    assert benchmark(cost, case).params > 0
