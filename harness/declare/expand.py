"""A variant's points: the product of its axes, with sizes looked up, expressions worked out and defaults filled in."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from harness.case import Case, usual_gate
from harness.declare.assignments import load_of
from harness.declare.axes import COUNTED, GATED_NAMES, KINDS, start_of
from harness.declare.catalogue import SIZES
from harness.declare.dimensions import Dimension, dimensions
from harness.declare.expressions import Expression, ExpressionError
from harness.declare.faults import Fault, Place, listed, shown
from harness.declare.findings import Findings
from harness.declare.format import Suite, Variant
from harness.declare.narrowing import Rows, Test, TooWide, narrowed
from harness.declare.plugins import search_folders
from harness.declare.point import LARGEST, SMALLEST
from harness.declare.replays import AssignmentError, Stored, read_stored, unfit

MAX_CASES = 1_000_000
"""Points of one variant's product, and cases of a plan; above it the memory of a small machine would not do."""

UNSOLVED_D_FF = 8
"""Stands in the cases of a matched variant until `match` has solved their d_ff."""

_SIZED = ("d_model", "d_ff", "heads")


@dataclass(frozen=True, slots=True)
class Points:
    """The distinct cases of one variant in plan order, before any selection."""

    cases: list[Case] = field(default_factory=list)
    impossible: dict[Case, list[Fault]] = field(default_factory=dict)
    """Combinations that no layer can have; they are faults only where the selection keeps them."""


def size(suite: Suite, variant: Variant, overrides: Sequence[Dimension] = ()) -> int:
    """Return how many points the product of `variant` has."""
    return math.prod(len(dimension.rows) for dimension in dimensions(suite, variant, overrides))


def expand(
    suite: Suite,
    variant: Variant,
    findings: Findings,
    overrides: Sequence[Dimension] = (),
    tests: Sequence[Test] = (),
) -> Points:
    """Return the cases of `variant`; what keeps it from having any is noted in `findings`.

    Points that `tests` leave out are never made, so that a product may be as large as it likes, if few are left of it.
    """
    product = dimensions(suite, variant, overrides)
    places = {axis: place for dim in product for axis, place in zip(dim.axes, dim.places, strict=True)}
    whole = suite.place(variant.path)
    lacking = list(_lacking(variant, set(places)))
    for axis, expected in lacking:
        findings.add_at(whole, f"{variant.name} needs {axis}", expected)
    try:
        derived = _derived_order(product)
    except CycleError as error:
        circle = " -> ".join(error.args[1])
        findings.add_at(
            places[error.args[1][0]], f"axes are derived from each other: {circle}", "one of them as a number"
        )
        return Points()
    if lacking:
        return Points()
    points = math.prod(len(dimension.rows) for dimension in product)
    if points > MAX_CASES and not _can_be_drawn(variant, product, tests):
        left = ", and what the selection says of its axes leaves too many of them" if tests else ""
        expected = f'at most {MAX_CASES:,}; --select "batch == 8" keeps some of them, --set batch=8 fixes an axis'
        findings.add_at(whole, f"{variant.name} has {points:,} cases{left}", expected)
        return Points()
    return _Expansion(variant, places, derived, findings).points(product, narrowed(variant, product, tests))


def _can_be_drawn(variant: Variant, product: list[Dimension], tests: Sequence[Test]) -> bool:
    """Return whether a plan can hold what `tests` leave of a product."""
    try:
        return sum(1 for _ in itertools.islice(narrowed(variant, product, tests), MAX_CASES + 1)) <= MAX_CASES
    except TooWide:
        return False


def _lacking(variant: Variant, said: set[str]) -> Iterator[tuple[str, str]]:
    """Yield each axis that has no default and is not given, and what would give it."""
    if not said & {"size", "d_model"}:
        yield "d_model", f"d_model and d_ff, or size = {listed(repr(size) for size in SIZES)} in [base]"
    elif not said & {"size", "d_ff"} and not variant.match:
        yield "d_ff", 'd_ff, such as d_ff = "4 * d_model", or a size in place of d_model'
    if variant.layer in KINDS and variant.layer != "dense" and "experts" not in said:
        yield "experts", "experts = 8, or a sweep over experts"


def _derived_order(product: list[Dimension]) -> list[str]:
    """Return the axes that expressions give, each after those that it is derived from; raise CycleError."""
    needs: dict[str, set[str]] = {}
    for dimension in product:
        for row in dimension.rows:
            for axis, value in zip(dimension.axes, row, strict=True):
                if isinstance(value, Expression):
                    needs.setdefault(axis, set()).update(value.names)
    order = TopologicalSorter(needs).static_order()
    return [axis for axis in order if axis in needs]


@dataclass(slots=True)
class _Expansion:
    """One variant on its way from values to cases."""

    variant: Variant
    places: dict[str, Place]
    derived: list[str]
    findings: Findings
    _said: set[tuple[str, str]] = field(default_factory=set)
    _stored: dict[str, Stored | None] = field(default_factory=dict)
    """The stored assignments that points name, by the value of `routing`; None for one that cannot be read."""

    def points(self, product: list[Dimension], left: Iterable[Rows]) -> Points:
        """Return what is left of the product as cases, each once: axes that do not apply have collapsed."""
        axes = [axis for dimension in product for axis in dimension.axes]
        start = start_of(self.variant.layer)
        cases: dict[Case, None] = {}
        impossible: dict[Case, list[Fault]] = {}
        for rows in left:
            point = start | dict(zip(axes, itertools.chain.from_iterable(rows), strict=True))
            if not self._resolve(point):
                continue
            case = self._case(point)
            faults = [*self._impossible(point), *self._misfit(case)]
            cases[case] = None
            if faults:
                impossible[case] = faults
        return Points(list(cases), impossible)

    def _resolve(self, point: dict[str, Any]) -> bool:
        """Fill in what the size says and work out the expressions; return False where one has no value."""
        if size := point.get("size"):
            preset = SIZES[size]
            for axis in _SIZED:
                point.setdefault(axis, getattr(preset, axis))
        if self.variant.match:
            point["d_ff"] = UNSOLVED_D_FF
        for axis in self.derived:
            expression = point[axis]
            if type(expression) is Expression:
                try:
                    point[axis] = _number(axis, expression, point)
                except ExpressionError as error:
                    self._once(axis, error)
                    return False
        return self._read_stored(point.get("routing"))

    def _read_stored(self, routing: str | None) -> bool:
        """Read the stored assignment that `routing` names, if it does; return False where it cannot be read."""
        load = load_of(routing)
        if routing is None or load.kind != "replay":
            return True
        if routing not in self._stored:
            try:
                self._stored[routing] = read_stored(load.file, search_folders(Path(self.findings.text.file).parent))
            except AssignmentError as error:
                self._stored[routing] = None
                message = f"{self.variant.name}: {error.message}"
                self.findings.add_at(self.places["routing"], message, error.expected)
        return self._stored[routing] is not None

    def _misfit(self, case: Case) -> Iterator[Fault]:
        """Yield why a case cannot replay its stored assignment."""
        stored = self._stored.get(case.routing or "")
        if stored is not None and case.layer == "token_choice" and (reason := unfit(stored, case)):
            message = f"{load_of(case.routing).file}: {reason}"
            yield self._fault("routing", message, "an assignment of this case's shape")

    def _once(self, axis: str, error: ExpressionError) -> None:
        """Note a derived axis that has no value, for the first of the points that it has none at."""
        place = self.places[axis]
        if (place.key, self.variant.name) not in self._said:
            self._said.add((place.key, self.variant.name))
            self.findings.add_at(place, f"{axis} of {self.variant.name}: {error.message}", error.expected)

    def _impossible(self, point: dict[str, Any]) -> Iterator[Fault]:
        """Yield what is wrong with a combination of values that are each right."""
        if (top_k := point.get("top_k")) and top_k > point["experts"]:
            message = f"top_k = {top_k} is above experts = {point['experts']}"
            yield self._fault("top_k", message, "at least as many experts as top_k")
        ranks = point.get("expert_parallel", 1)
        if ranks > (point.get("experts") or ranks):
            message = f"expert_parallel = {ranks} is above experts = {point['experts']}"
            yield self._fault("expert_parallel", message, "at most as many ranks as experts")
        heads = point.get("heads")
        if heads and ("heads" in self.places or point["scope"] != "layer") and point["d_model"] % heads:
            message = f"heads = {heads} does not divide d_model = {point['d_model']}"
            yield self._fault("heads", message, "a number of heads that divides d_model")
        if self.variant.layer == "expert_choice" and point["capacity_factor"] is None:
            message = "expert choice cannot be dropless: each expert takes as many tokens as its capacity"
            yield self._fault("capacity_factor", message, "a number, such as capacity_factor = 1.0")
        if point["gated"] is False and point["activation"] in GATED_NAMES:
            message = f"{point['activation']} is gated, and gated = false"
            yield self._fault("gated", message, "gated = true, or gelu, relu or silu")

    def _fault(self, axis: str, message: str, expected: str) -> Fault:
        """Return the fault, at the line of `axis`, or of experts where the axis has its default."""
        place = self.places.get(axis) or self.places.get("experts") or self.places["d_model"]
        return Fault.at(place, f"{self.variant.name}: {message}", expected)

    def _case(self, point: dict[str, Any]) -> Case:
        """Return the case; what makes no difference to it is as if it had not been said."""
        activation = point["activation"]
        dropless = self.variant.layer == "token_choice" and point["capacity_factor"] is None
        layer_alone, model = point["scope"] == "layer", point["scope"] == "model"
        decoder = bool(point["causal"])
        stored = self._stored.get(point.get("routing") or "")
        return Case(
            variant=self.variant.name,
            layer=self.variant.layer,
            size=point.get("size"),
            d_model=point["d_model"],
            d_ff=point["d_ff"],
            heads=None if layer_alone else point.get("heads"),
            experts=point.get("experts"),
            top_k=point.get("top_k"),
            slots=point.get("slots"),
            capacity_factor=point.get("capacity_factor"),
            group="batch" if dropless else point.get("group"),  # nobody competes for what has no limit
            batch=point["batch"],
            tokens=point["tokens"],
            dtype=point["dtype"],
            pass_=point["pass"],
            backend=point["backend"],
            routing=point.get("routing"),
            assignment=None if stored is None else stored.digest,
            compile=point["compile"],
            expert_parallel=point.get("expert_parallel", 1),
            scope=point["scope"],
            activation=GATED_NAMES.get(activation, activation),
            gated=bool(point["gated"]) or activation in GATED_NAMES,
            shared_experts=point.get("shared_experts"),
            gate=point.get("gate") or usual_gate(point.get("top_k")),
            noise=point.get("noise"),
            drop=None if dropless else point.get("drop"),
            balance="none" if "balance" in point and point["pass"] != "train" else point.get("balance"),
            mixing=point.get("mixing"),
            causal=None if layer_alone else point["causal"],
            depth=point["depth"] if model else None,
            moe_layers=point["moe_layers"] if model and self.variant.layer != "dense" else None,
            vocabulary=point["vocabulary"] if model else None,
            patch=point["patch"] if model and point["vocabulary"] and not decoder else None,
        )


def _number(axis: str, expression: Expression, point: dict[str, Any]) -> int | float:
    """Return what `expression` gives for `axis`; raise ExpressionError where that is no value of the axis."""
    if missing := next((name for name in expression.names if point.get(name) is None), None):
        raise ExpressionError(f"{expression.text!r} needs {missing}, which is not given", listed(sorted(COUNTED)))
    value = expression.value(tuple(point[name] for name in expression.names))
    if axis == "capacity_factor" and isinstance(value, int | float) and SMALLEST <= value <= LARGEST:
        return float(value)
    least = 0 if axis in ("shared_experts", "vocabulary") else 1
    if isinstance(value, int | float) and least <= value <= LARGEST and value == int(value):
        return int(value)
    given = ", ".join(f"{name} = {point[name]}" for name in expression.names)
    where = f" where {given}" if given else ""
    whole = f"a whole number from {least} to {LARGEST:,}; // divides without a remainder"
    factor = f"a number from {SMALLEST} to {LARGEST:,}"
    raise ExpressionError(
        f"{expression.text!r} is {shown(value)}{where}", factor if axis == "capacity_factor" else whole
    )
