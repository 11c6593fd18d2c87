"""Narrowing: a product walked through so that what a selection leaves out is never made.

A condition is looked at as soon as all axes that it names have a value: of a thousand million points whose selection
keeps ten, some hundreds are ever touched. What cannot be told from the axes alone is left to the selection itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from harness.declare.dimensions import Dimension
from harness.declare.expressions import Condition, Expression, ExpressionError
from harness.declare.format import Variant
from harness.declare.selection import Selection

Rows = tuple[tuple[Any, ...], ...]
"""One row of each dimension of a product."""

AS_WRITTEN = frozenset(
    ("size", "d_model", "d_ff", "experts", "top_k", "slots", "capacity_factor", "batch", "tokens", "dtype", "pass",
     "backend", "routing", "compile", "scope", "shared_experts")
)  # fmt: skip
"""Axes whose value in a case is the one that the product gives; another one may become another value there."""
SHARED = frozenset(("d_model", "batch", "tokens", "dtype", "pass"))
"""Axes in which a variant and the one that it is matched to agree."""

MOST_ROWS = 2_000_000
"""Rows that are looked at in one walk, at the most: some seconds."""


@dataclass(frozen=True, slots=True)
class Test:
    """A condition that a point must meet, or must not."""

    condition: Condition
    wanted: bool
    before: tuple[Condition, ...] = ()
    """What is asked before it and may give no value: where it gives none, the selection ends with that fault."""

    @property
    def axes(self) -> frozenset[str]:
        """The names in it, and in what is asked before it, as suites write them."""
        return frozenset(name.rstrip("_") for one in (*self.before, self.condition) for name in one.names)

    def passes(self, values: dict[str, Any]) -> bool:
        """Return False where the point is left out for sure; where a condition has no value nothing is left out."""
        try:
            given = [one.value(_given(one, values)) for one in (*self.before, self.condition)]
        except ExpressionError:
            return True
        return bool(given[-1]) is self.wanted


def _given(condition: Condition, values: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(values[name.rstrip("_")] for name in condition.names)


def tests_of(selection: Selection) -> list[Test]:
    """Return what a selection says of every case: the parts of its one include, and of each of its excludes."""
    include = selection.include[0].condition.all_of() if len(selection.include) == 1 else []
    exclude = [part for rule in selection.exclude for part in rule.condition.any_of()]
    asked = [(part, True) for part in include] + [(part, False) for part in exclude]
    unsure = [tuple(one for one, _ in asked[:place] if one.may_fail) for place in range(len(asked))]
    return [Test(part, wanted, before) for (part, wanted), before in zip(asked, unsure, strict=True)]


class TooWide(Exception):
    """More rows of a product would have to be looked at than a person would wait for."""


def narrowed(variant: Variant, product: Sequence[Dimension], tests: Sequence[Test]) -> Iterator[Rows]:
    """Yield the points of `product` that `tests` do not leave out, in the order of the product.

    Raises:
        TooWide: MOST_ROWS were looked at, and it has no end yet.
    """
    known = {"variant": variant.name, "layer": variant.layer}
    plain = _plain_axes(variant, product)
    levels: list[list[Test]] = [[] for _ in range(len(product) + 1)]
    for test in tests:
        if test.axes <= plain.keys() | known.keys():
            levels[max((plain[axis] for axis in test.axes if axis in plain), default=0)].append(test)
    if all(test.passes(known) for test in levels[0]):
        yield from _Walk(variant, product, levels, known).below(0)


@dataclass(slots=True)
class _Walk:
    """One way through a product, a dimension deeper each time."""

    variant: Variant
    product: Sequence[Dimension]
    levels: list[list[Test]]
    """What can be told after so many dimensions."""
    values: dict[str, Any]
    rows: int = 0
    """Looked at so far."""

    def below(self, depth: int) -> Iterator[Rows]:
        """Yield what is left of the dimensions from `depth` on."""
        if depth == len(self.product):
            yield ()
            return
        dimension, tests, later = self.product[depth], self.levels[depth + 1], any(self.levels[depth + 1 :])
        for row in dimension.rows:
            self.rows += 1
            if self.rows > MOST_ROWS:
                raise TooWide
            if later:
                pairs = zip(dimension.axes, row, strict=True)
                self.values |= {axis: _seen(self.variant, axis, value) for axis, value in pairs}
                if not all(test.passes(self.values) for test in tests):
                    continue
            for rest in self.below(depth + 1):
                yield (row, *rest)


def _plain_axes(variant: Variant, product: Sequence[Dimension]) -> dict[str, int]:
    """Return the axes whose values the product itself gives, with how many dimensions it takes to know them."""
    found: dict[str, int] = {}
    for depth, dimension in enumerate(product, start=1):
        for axis, column in zip(dimension.axes, zip(*dimension.rows, strict=True), strict=True):
            derived = any(isinstance(value, Expression) for value in column)
            solved = axis == "d_ff" and variant.match is not None
            if axis in AS_WRITTEN and not derived and not solved:
                found[axis] = depth
    return found


def _seen(variant: Variant, axis: str, value: Any) -> Any:
    """Return the value of an axis as conditions see it: dropless is above every capacity factor."""
    dropless = axis == "capacity_factor" and value is None and variant.layer == "token_choice"
    return math.inf if dropless else value
