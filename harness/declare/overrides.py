"""`--set axis=value`: what the command line says about an axis, over base, sweep and variant alike."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from typing import Any

from harness.declare.axes import AXES, axes_of
from harness.declare.checks import check_settings
from harness.declare.dimensions import Dimension, product_dimensions
from harness.declare.faults import Fault, SuiteError, listed, nearest
from harness.declare.findings import Findings
from harness.declare.format import Suite, Text
from harness.declare.structure import read_product

_COMMA = re.compile(r",(?![^(]*\))")
"""A comma that does not stand between the brackets of a function."""


def read_overrides(suite: Suite, texts: Sequence[str]) -> list[Dimension]:
    """Return what `--set TEXT ...` says, one dimension for each axis; raise SuiteError with the faults of all."""
    dimensions: list[Dimension] = []
    faults: list[Fault] = []
    for text in texts:
        findings = Findings(Text(file=f"--set {text}"))
        said = {axis for dimension in dimensions for axis in dimension.axes}
        if product := _product(suite, text, said, findings):
            dimensions.append(product)
        faults += findings.faults
    if faults:
        raise SuiteError(faults)
    return dimensions


def value_of(text: str) -> Any:
    """Return the value that `text` is in TOML; a bare word is a text, and `a,b,c` or `[a, b]` a list of such values."""
    for attempt in (text, f"[{text}]"):
        try:
            return tomllib.loads(f"value = {attempt}")["value"]
        except (ValueError, RecursionError):
            continue
    if text.startswith("[") and text.endswith("]"):
        return [_item(item) for item in _COMMA.split(text[1:-1]) if item.strip()]
    items = [_item(item) for item in _COMMA.split(text)]
    return items if len(items) > 1 else items[0]


def _item(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text.strip()


def _product(suite: Suite, text: str, said: set[str], findings: Findings) -> Dimension | None:
    """Return the one dimension of `axis=value`; note the fault and return None where it is not that."""
    axis, equals, value = (part.strip() for part in text.partition("="))
    had = [name for name in AXES if any(name in axes_of(variant.layer) for variant in suite.variants)]
    if axis not in AXES:
        findings.add((), f"there is no axis {axis!r}", listed(had), nearest(axis, had))
    elif not (equals and value):
        findings.add((), f"{axis} is given no value", f"--set {axis}=VALUE, or a list of values: --set {axis}=A,B")
    elif axis not in had:
        findings.add((), f"no layer of {suite.name} has the axis {axis}", listed(had), nearest(axis, had))
    elif axis in said:
        findings.add((), f"{axis} is set twice", f"a list of values: --set {axis}=A,B")
    elif {axis, *said} >= {"size", "d_model"}:
        findings.add((), "size gives d_model already", "either size or d_model")
    if findings.faults:
        return None
    given = value_of(value)
    product = read_product({axis: given if isinstance(given, list | dict) else [given]}, findings)
    if product is not None:
        check_settings(product, (), findings)
    return None if product is None or findings.faults else product_dimensions(product, (), findings.text.place)[0]
