"""Rounds of latency: which cases a round visits twice, in what order, and when a run looks at its precision.

A case that is visited twice is an A/A cell: both visits are of the same layer and input, under two labels, so that what
they differ by is what any two cases differ by when there is nothing to find.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Sequence

from harness.declare.format import Measure
from harness.declare.planned import PlannedCase

LATENCY, A_A = "latency", "a_a"
"""The probe that comes in rounds, and what its visits are called under a cell's second label."""
LABEL = "/a_a"
"""Follows the variant's name in the second label: the worker builds that layer a second time, at another place in
memory, since the sides of no other comparison share a layer either."""
CELL_SHARE = 4
"""At most one case in so many is visited twice (but one at the least): more would cost a small comparison too much."""
GROWTH = 1.5
"""Between two looks at the precision, rounds grow by half: few looks, since each is a chance to stop by luck."""


def cells(group: Sequence[PlannedCase], count: int) -> list[PlannedCase]:
    """Return the cases of a comparison that are visited twice, at most `count`: the cheapest, and on in equal steps.

    Of two that is the cheapest, whose time a fixed disturbance moves most, and the middle one; never the dearest, which
    would cost most. The price is the closed form's FLOPs, and of cases of one price the key decides. Cases without a
    price, and compiled ones, whose second label would be compiled too, are taken only where there are no others.
    """
    eager = [planned for planned in group if not planned.case.compile] or group
    chosen = sorted([planned for planned in eager if planned.cost is not None] or eager, key=_price)
    count = min(count, max(1, len(group) // CELL_SHARE), len(chosen))
    return [chosen[index * len(chosen) // count] for index in range(count)]


def measured_by(probe: str) -> str:
    """Return the probe that makes a visit of this name: latency, for the second label's too."""
    return LATENCY if probe == A_A else probe


def order(keys: Sequence[str], twice: Collection[str], seed: str) -> Iterator[tuple[str, str]]:
    """Yield (key, latency) for each case of a round and (key, a_a) for those that it visits twice, in random order."""
    entries = [(key, LATENCY) for key in keys] + [(key, A_A) for key in keys if key in twice]
    random.Random(seed).shuffle(entries)
    yield from entries


def looks(measure: Measure) -> list[int]:
    """Return after how many rounds a run looks at its precision; it ends with the most rounds that a case may have."""
    found = [measure.rounds]
    while found[-1] < measure.most_rounds:
        found.append(min(measure.most_rounds, max(found[-1] + 1, int(GROWTH * found[-1]))))
    return found


def _price(planned: PlannedCase) -> tuple[float, str]:
    return (0 if planned.cost is None else planned.cost.flops_executed), planned.case.key
