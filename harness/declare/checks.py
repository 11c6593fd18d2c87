"""What must hold of a suite beyond its form: names that exist, axes that some layer has, nothing said twice."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from harness.declare.axes import AXES, COUNTED, GATED_NAMES, HAS, KINDS, axes_of
from harness.declare.dimensions import RangeError, given, values_of
from harness.declare.expressions import Expression, ExpressionError
from harness.declare.faults import listed, nearest, shown
from harness.declare.findings import Findings
from harness.declare.format import Claim, Measure, Suite, Sweep, Variant
from harness.declare.lines import Path
from harness.declare.plugins import is_plugin
from harness.declare.point import Point, Product
from harness.metrics import METRICS

CASE_NAMES = (*AXES, "variant", "layer", "id")
"""What an expression over cases may name."""


def check(suite: Suite, names: list[str], findings: Findings) -> None:
    """Note every fault of `suite` that can be seen without expanding it; `names` are those of all its variants."""
    kinds = {variant.layer for variant in suite.variants}
    for settings, path in ((suite.base, ("base",)), (suite.sweep, ("sweep",))):
        assert isinstance(settings, Point | Sweep)
        if not findings.all_broken and not findings.broken:
            _check_owners(settings, path, kinds, findings)
        check_settings(settings, path, findings)
    for variant in suite.variants:
        _check_variant(variant, findings)
    check_twice([variant.name for variant in suite.variants], [(*v.path, "name") for v in suite.variants], findings)
    _check_matches(suite, names, findings)
    _check_expressions(suite, findings)
    _check_claims(suite, findings)
    _check_headline(suite, names, findings)
    probes = suite.measure.probes
    check_twice(probes, [("measure", "probes", n) for n in range(len(probes))], findings)
    _check_rounds(suite.measure, findings)


def check_settings(settings: Point | Product, path: Path, findings: Findings) -> None:
    """Note the faults of one table of axes: bad expressions and ranges, values given twice, axes that disagree."""
    said = dict(given(settings))
    for axis, value in said.items():
        _check_values(axis, value, (*path, axis), findings)
    if "size" in said and "d_model" in said:
        findings.add((*path, "d_model"), "size gives d_model already", "either size or d_model")
    if said.get("gated") is False and said.get("activation") in GATED_NAMES:
        findings.add((*path, "gated"), f"{said['activation']} is gated", "gated = true, or left out")
    if isinstance(settings, Sweep):
        for position, group in enumerate(settings.linked):
            _check_linked(group, (*path, "linked", position), said, findings)


def _check_rounds(measure: Measure, findings: Findings) -> None:
    if measure.precision is None:
        if measure.max_rounds is not None:
            findings.add(("measure", "max_rounds"), "no case has more than `rounds` without a precision", "a precision")
        return
    if measure.rounds < 2:
        findings.add(("measure", "rounds"), "one round has no interval to be precise", "rounds = 2 or more")
    if measure.most_rounds < measure.rounds:
        expected = f"a number of at least {measure.rounds:,}, which `rounds` says"
        findings.add(("measure", "max_rounds"), f"{measure.max_rounds:,} is less than `rounds`", expected)


def check_twice(names: Iterable[Any], paths: Iterable[Path], findings: Findings) -> None:
    """Note every name that stands in `names` for a second time."""
    seen: dict[Any, Path] = {}
    for name, path in zip(names, paths, strict=True):
        if name in seen:
            line = findings.text.place(seen[name]).line
            first = "" if line is None else f"; first in line {line}"
            findings.add(path, f"{shown(name)} is used twice{first}", "a name or value of its own")
        else:
            seen[name] = path


def _check_values(axis: str, said: Any, path: Path, findings: Findings) -> None:
    items = [((*path, n), item) for n, item in enumerate(said)] if isinstance(said, list) else [(path, said)]
    for at, item in items:
        try:
            values_of(axis, item)
        except ExpressionError as error:
            findings.add(at, error.message, error.expected, error.nearest)
        except RangeError as error:
            findings.add(at, error.message, error.expected)
    if isinstance(said, list):
        check_twice(said, [at for at, _ in items], findings)


def _check_linked(group: Product, path: Path, beside: dict[str, Any], findings: Findings) -> None:
    columns = dict(given(group))
    if len(columns) < 2:
        findings.add(path, "one axis cannot move together with itself", "two axes or more in one linked table")
    for axis, said in columns.items():
        if axis in beside:
            findings.add((*path, axis), f"{axis} is swept beside this table already", "each axis once")
        items = said if isinstance(said, list) else [said]
        for item in items:
            _check_values(axis, item, (*path, axis), findings)
    try:
        lengths = {axis: len(values_of(axis, said)) for axis, said in columns.items()}
    except (ExpressionError, RangeError):
        return  # noted above
    if len(set(lengths.values())) > 1:
        counts = listed((f"{axis} has {length}" for axis, length in lengths.items()), "and")
        findings.add(path, f"linked axes need as many values as each other: {counts}", "lists of one length")


def _check_owners(settings: Point | Sweep, path: Path, kinds: set[Any], findings: Findings) -> None:
    """Note each axis of `[base]` or `[sweep]` that no layer of the suite has."""
    had = {axis for kind in kinds for axis in axes_of(kind)}
    tables: list[tuple[Point | Product, Path]] = [(settings, path)]
    if isinstance(settings, Sweep):
        tables += [(group, (*path, "linked", n)) for n, group in enumerate(settings.linked)]
    for table, at in tables:
        for axis, _ in given(table):
            if axis not in had:
                owners = [kind for kind in HAS if axis in HAS[kind]]
                findings.add_at(  # not `add`: it breaks no variant, since none has the axis
                    findings.text.place((*at, axis)),
                    f"no layer of this suite has the axis {axis}; {listed(owners, 'and')} would",
                    listed(had_in_order := [name for name in AXES if name in had]),
                    nearest(axis, had_in_order),
                )


def _check_variant(variant: Variant, findings: Findings) -> None:
    path, sweep_path = variant.path, (*variant.path, "sweep")
    if variant.preset and variant.layer != "token_choice":
        message = f"preset = {variant.preset!r} is a recipe of token choice, and this layer is {variant.layer}"
        findings.add((*path, "preset"), message, 'layer = "token_choice", or no preset')
    check_settings(variant, path, findings)
    check_settings(variant.sweep, sweep_path, findings)
    linked = [(group, (*sweep_path, "linked", n)) for n, group in enumerate(variant.sweep.linked)]
    tables: list[tuple[Point | Product, Path]] = [(variant, path), (variant.sweep, sweep_path), *linked]
    for table, at in tables:
        for axis, _ in given(table):
            if axis not in axes_of(variant.layer):
                own = [name for name in AXES if name in axes_of(variant.layer)]
                findings.add((*at, axis), f"{variant.layer} has no axis {axis}", listed(own), nearest(axis, own))
            elif axis == "d_ff" and variant.match:
                findings.add((*at, axis), "match solves d_ff", "either match or d_ff")
    fixed = {axis for axis, _ in given(variant)}
    for axis in (axis for table, _ in tables[1:] for axis, _ in given(table) if axis in fixed):
        findings.add((*path, axis), f"{axis} is both fixed and swept in this variant", "one of the two")


def _check_matches(suite: Suite, names: list[str], findings: Findings) -> None:
    target = {variant.name: variant.match.to for variant in suite.variants if variant.match}
    for variant in suite.variants:
        if not variant.match:
            continue
        path, to = (*variant.path, "match", "to"), variant.match.to
        others = [name for name in names if name != variant.name]
        unpriced = next((v for v in suite.variants if v.name in (variant.name, to) and is_plugin(v.layer)), None)
        if to == variant.name:
            findings.add(path, "a variant cannot match itself", listed(others) if others else "another variant")
        elif to not in names:
            expected = listed(others or ["another variant"])
            findings.add(path, f"there is no variant {to!r}", expected, nearest(to, others))
        elif unpriced:
            message = f"{unpriced.name} cannot be matched: the cost of {unpriced.layer} is not known before it runs"
            findings.add(path, message, f"a layer of kind {listed(KINDS)}, on both sides")
        elif circle := _circle(variant.name, target):
            findings.add(path, f"the matches go in a circle: {' -> '.join(circle)}", "a variant that is not matched")


def _circle(name: str, target: dict[str, str]) -> list[str]:
    """Return the circle of matches that `name` is in, or nothing."""
    chain = [name]
    while (following := target.get(chain[-1])) and following not in chain[1:]:
        chain.append(following)
        if following == name:
            return chain
    return []


def _check_expressions(suite: Suite, findings: Findings) -> None:
    for key in ("include", "exclude"):
        for position, text in enumerate(getattr(suite.select, key)):
            findings.condition(("select", key, position), text, CASE_NAMES)
    for variant in suite.variants:
        for at, expression in _derived(variant):
            missing = [name for name in expression.names if name not in axes_of(variant.layer) or name not in COUNTED]
            if missing:
                own = [name for name in AXES if name in axes_of(variant.layer) & COUNTED]
                message = f"{variant.layer} has no axis {missing[0]}, which {expression.text!r} needs"
                findings.add(at, message, listed(own), nearest(missing[0], own))


def _derived(variant: Variant) -> Iterable[tuple[Path, Expression]]:
    """Yield the expressions that `variant` itself says; bad ones are noted elsewhere."""
    for table, path in ((variant, variant.path), (variant.sweep, (*variant.path, "sweep"))):
        assert isinstance(table, Point | Sweep)
        for axis, said in given(table):
            try:
                values = values_of(axis, said)
            except (ExpressionError, RangeError):
                continue
            yield from (((*path, axis), value) for value in values if isinstance(value, Expression))


def _check_headline(suite: Suite, names: list[str], findings: Findings) -> None:
    expected = f"memory, determinism, or candidate / reference, both of them of {listed(names)}"
    for position, text in enumerate(suite.headline):
        candidate, slash, reference = (part.strip() for part in text.partition("/"))
        valid = names if slash else ["memory", "determinism"]
        for name in (candidate, reference) if slash else (candidate,):
            if name not in valid:
                findings.add(("headline", position), f"{name!r} is not known here", expected, nearest(name, valid))


def _check_claims(suite: Suite, findings: Findings) -> None:
    ids = [claim.id for claim in suite.claims]
    check_twice(ids, [("claim", n, "id") for n in range(len(ids))], findings)
    for position, claim in enumerate(suite.claims):
        _check_claim(claim, ("claim", position), findings)


def _check_claim(claim: Claim, path: Path, findings: Findings) -> None:
    for key, text in (("where", claim.where), ("against", claim.against)):
        if text is not None:
            findings.condition((*path, key), text, CASE_NAMES)
    axes: list[tuple[Path, str]] = [((*path, "moving", n), axis) for n, axis in enumerate(claim.moving)]
    axes += [((*path, "along"), claim.along)] if claim.along is not None else []
    for at, axis in axes:
        if axis not in AXES:
            findings.add(at, f"there is no axis {axis!r}", listed(AXES), nearest(axis, AXES))
    for key, name in (("metric", claim.metric), ("to", claim.to)):
        if name is not None and name not in METRICS:
            message = f"there is no metric {name!r}"
            findings.add((*path, key), message, "a metric such as latency_ms", nearest(name, METRICS))
    if claim.expect is not None:
        _check_expectation(claim, path, findings)


NEEDS: dict[str, tuple[tuple[str, ...], ...]] = {
    "flat": (("metric",), ("along",)),
    "rises": (("metric",), ("along",)),
    "falls": (("metric",), ("along",)),
    "exponent": (("metric",), ("along",), ("value",)),
    "equal": (("metric",), ("against", "value", "to")),
    "at_most": (("metric",), ("value",)),
    "at_least": (("metric",), ("value",)),
    "faster_than": (("metric",), ("against",)),
    "correlates": (("metric",), ("to",)),
}
"""Expectation: the keys that it needs, one of each group."""


def _check_expectation(claim: Claim, path: Path, findings: Findings) -> None:
    assert claim.expect is not None
    for keys in NEEDS[claim.expect]:
        if all(getattr(claim, key) is None for key in keys):
            findings.add((*path, "expect"), f"{claim.expect} needs {listed(keys)}", f"{listed(keys)} beside it")
