"""The dimensions of a variant's product: its axes and their values, after base, sweep, variant and `--set`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from harness.declare.axes import AXES, COUNTED, HAS
from harness.declare.expressions import Expression
from harness.declare.faults import Place
from harness.declare.format import Suite, Sweep, Variant
from harness.declare.lines import Path
from harness.declare.point import Point, Product, Range
from harness.declare.presets import PRESETS

LONGEST_RANGE = 100_000
"""Values of one range, at the most."""


class RangeError(Exception):
    """A range that cannot be the values of its axis."""

    def __init__(self, message: str, expected: str) -> None:
        super().__init__(message)
        self.message = message
        self.expected = expected


@dataclass(frozen=True, slots=True)
class Dimension:
    """Axes that move together, and the rows of values that they take."""

    axes: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    """One value for each of `axes`: a plain value, None for dropless, or an Expression."""
    places: tuple[Place, ...]
    """Where each of `axes` is said."""

    def only(self, keep: Iterable[str]) -> Dimension | None:
        """Return this dimension over the axes in `keep`, or None where none is left."""
        kept = [position for position, axis in enumerate(self.axes) if axis in set(keep)]
        if len(kept) == len(self.axes):
            return self
        rows = [tuple(row[n] for n in kept) for row in self.rows]
        places = tuple(self.places[n] for n in kept)
        return Dimension(tuple(self.axes[n] for n in kept), rows, places) if kept else None


def dimensions(suite: Suite, variant: Variant, overrides: Sequence[Dimension] = ()) -> list[Dimension]:
    """Return what `variant` is the product of, in the order of `AXES`: what is said later and closer wins.

    From far to close: `[base]`, `[sweep]`, the variant's preset, the variant, its own sweep, `--set`. `size` and
    `d_model` say the same thing, so the closer of the two wins as well.
    """
    levels = [
        _fixed(suite, suite.base, ("base",)),
        _swept(suite, suite.sweep, ("sweep",)),
        _preset(suite, variant),
        _fixed(suite, variant, variant.path),
        _swept(suite, variant.sweep, (*variant.path, "sweep")),
        overrides,
    ]
    chosen: list[Dimension] = []
    for level in levels:
        taken = {axis for dimension in level for axis in dimension.axes}
        taken |= {other for axis, other in (("size", "d_model"), ("d_model", "size")) if axis in taken}
        kept = (dimension.only(set(dimension.axes) - taken) for dimension in chosen)
        chosen = [dimension for dimension in kept if dimension] + list(level)
    applied = (dimension.only(HAS[variant.layer]) for dimension in chosen)
    return sorted((dimension for dimension in applied if dimension), key=lambda found: AXES.index(found.axes[0]))


def given(settings: Point | Product) -> Iterator[tuple[str, Any]]:
    """Yield each axis that `settings` gives, and what it says."""
    for axis in AXES:
        if (value := getattr(settings, _ATTRIBUTE.get(axis, axis))) is not None:
            yield axis, value


def values_of(axis: str, said: Any) -> list[Any]:
    """Return the values that a list, a range, an expression or one value stands for.

    Raises ExpressionError on a text that is no expression, and RangeError on a range that gives no value, too many, or
    one which is not whole.
    """
    if isinstance(said, Range):
        return _range_values(axis, said)
    return [_value(axis, item) for item in (said if isinstance(said, list) else [said])]


def product_dimensions(product: Product, path: Path, place: Callable[[Path], Place]) -> list[Dimension]:
    """Return one dimension for each axis that `product` gives, `linked` left out; `place` knows where `path` stands."""
    return [
        Dimension((axis,), [(value,) for value in values_of(axis, said)], (place((*path, axis)),))
        for axis, said in given(product)
    ]


def _fixed(suite: Suite, point: Point, path: Path) -> list[Dimension]:
    return [Dimension((axis,), [(_value(axis, said),)], (suite.place((*path, axis)),)) for axis, said in given(point)]


def _preset(suite: Suite, variant: Variant) -> list[Dimension]:
    """Return the axes of the variant's preset; all of them are said where the preset is."""
    if variant.preset is None:
        return []
    place = suite.place((*variant.path, "preset"))
    axes = given(PRESETS[variant.preset].axes)
    return [Dimension((axis,), [(_value(axis, said),)], (place,)) for axis, said in axes]


def _swept(suite: Suite, sweep: Sweep, path: Path) -> list[Dimension]:
    groups = [_linked(suite, group, (*path, "linked", n)) for n, group in enumerate(sweep.linked)]
    return groups + product_dimensions(sweep, path, suite.place)


def _linked(suite: Suite, group: Product, path: Path) -> Dimension:
    axes = tuple(axis for axis, _ in given(group))
    columns = [values_of(axis, said) for axis, said in given(group)]
    return Dimension(axes, list(zip(*columns, strict=True)), tuple(suite.place((*path, axis)) for axis in axes))


def _value(axis: str, said: Any) -> Any:
    if axis == "capacity_factor" and said in ("dropless", math.inf):
        return None
    if axis in COUNTED and isinstance(said, str):
        return Expression(said, sorted(COUNTED))
    return float(said) if axis == "capacity_factor" else said


def _range_values(axis: str, said: Range) -> list[Any]:
    """Return the values of a range; computed from its start each time, so that steps of 0.1 do not drift."""
    first, slack = said.from_, 1 + 1e-9
    if said.times is not None:
        count = math.floor(math.log(said.to / first) / math.log(said.times) * slack + 1e-9) + 1
    else:
        assert said.step is not None
        count = math.floor((said.to - first) / said.step * slack + 1e-9) + 1
    if count < 1:
        raise RangeError("the range holds no value", "a from that is at most to")
    if count > LONGEST_RANGE:
        raise RangeError(f"the range holds more than {LONGEST_RANGE:,} values", "a larger step or times")
    values = [first * said.times**n if said.times is not None else first + n * (said.step or 0) for n in range(count)]
    if axis == "capacity_factor":
        return [float(f"{value:.12g}") for value in values]
    if uneven := next((value for value in values if value != int(value)), None):
        raise RangeError(
            f"the range gives {uneven:g}, and {axis} takes whole numbers", "whole steps from a whole start"
        )
    return [int(value) for value in values]


_ATTRIBUTE = {"pass": "pass_"}
