"""From TOML data to a Suite: Pydantic's errors in the words of the format, and as much of the suite as stands."""

from __future__ import annotations

import copy
import itertools
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from harness.declare.axes import AXES, COUNTED
from harness.declare.faults import shown
from harness.declare.findings import Findings
from harness.declare.format import Claim, MatchTo, Measure, Select, Suite, Sweep, Variant
from harness.declare.lines import Path
from harness.declare.point import Point, Product, Range
from harness.declare.wording import Words, words

_MODELS: dict[str, type[BaseModel]] = {
    "base": Point, "sweep": Sweep, "linked": Product, "variant": Variant, "match": MatchTo, "select": Select,
    "measure": Measure, "claim": Claim,
}  # fmt: skip

_PATTERNS = {
    "layer": "a module and a function in it, such as mypackage.mymodule:build",
    "name": "letters, digits, dots, dashes and underscores, beginning with a letter or digit",
    "moe_layers": "all, last_half, or every:2 and the like",
    "routing": "learned, balanced, iid, zipf:1.2, hot, hot:0.5 (a share above 0, at most 1) or replay:FILE",
}
_ROUNDS = 4
"""Each round takes out what is faulty; a part whose required key went is taken out in the next one."""


def build(data: dict[str, Any], findings: Findings) -> Suite | None:
    """Return the suite that `data` describes, without its faulty parts, which are noted in `findings`.

    None where nothing can be made of it. So the faults that only a whole suite shows are found in the same go.
    """
    data = copy.deepcopy(data)
    positions = list(range(len(data["variant"]))) if isinstance(data.get("variant"), list) else []
    for attempt in range(_ROUNDS):
        try:
            suite = Suite.model_validate(data)
        except ValidationError as error:
            paths = [_note(details, data, positions, findings, quiet=attempt > 0) for details in error.errors()]
            _prune(data, positions, paths)
        else:
            for variant, position in zip(suite.variants, positions, strict=True):
                variant._position = position
            suite._text = findings.text
            return suite
    return None


def read_product(data: dict[str, Any], findings: Findings) -> Product | None:
    """Return the axes that `data` gives, each several values; note the faults and return None where it has some."""
    try:
        return Product.model_validate(data)
    except ValidationError as error:
        for details in error.errors():
            path = _path(details["loc"], data)
            findings.add(path, *_words(details, path))
        return None


def read_measure(data: dict[str, Any], findings: Findings) -> Measure | None:
    """Return what `data` says as a suite's [measure] would; note the faults and return None where it has some."""
    try:
        return Measure.model_validate(data)
    except ValidationError as error:
        for details in error.errors():
            path = _path(details["loc"], data)
            findings.add(path, *_words(details, ("measure", *path)))
        return None


def _note(details: ErrorDetails, data: Any, positions: list[int], findings: Findings, *, quiet: bool) -> Path:
    """Note one of Pydantic's errors, once for each place, and return its path in `data`."""
    path = _path(details["loc"], data)
    seen: Path = path
    if path[:1] == ("variant",) and len(path) > 1:
        seen = ("variant", positions[int(path[1])], *path[2:])
    place = findings.text.place(seen)
    known = any(fault.key == place.key and details["type"] != "missing" for fault in findings.faults)
    if not quiet and not known:
        findings.add(seen, *_words(details, path))
    return path


def _path(loc: tuple[str | int, ...], data: Any) -> Path:
    """Return the part of Pydantic's `loc` that is in `data`: it also names the branches of unions."""
    path: Path = ()
    for part in loc:
        if (isinstance(data, dict) and part in data) or (
            isinstance(data, list) and isinstance(part, int) and part < len(data)
        ):
            data = data[part]  # type: ignore[index]
            path += (part,)
    return path


def _words(details: ErrorDetails, path: Path) -> Words:
    """Return what to tell of an error at `path` of a suite."""
    kind = details["type"]
    if kind == "string_pattern_mismatch":
        return f"{shown(details['input'])} is not known here", _PATTERNS[_last_key(path)], None
    message, expected, close = words(details, _model(path if kind == "missing" else path[:-1]))
    if kind == "value_error":
        return message, "{ from, to, times } or { from, to, step }", None
    if kind == "too_short":
        message = "an empty list asks for nothing"
    if expected is not None and kind not in ("extra_forbidden", "missing", "literal_error"):
        expected += _other_forms(kind, path)
    return message, expected, close


def _other_forms(kind: str, path: Path) -> str:
    """Return what else may stand at an axis."""
    if _last_key(path) not in COUNTED:
        return ""
    if kind == "list_type":
        return " such as [1, 2], a range { from = 8, to = 128, times = 2 }, or an expression"
    return ', or an expression such as "4 * d_model"'


def _model(path: Path) -> type[BaseModel]:
    """Return the model of the table at `path`."""
    name = _last_key(path)
    return Range if name in AXES else _MODELS.get(name, Suite)


def _last_key(path: Path) -> str:
    return next((part for part in reversed(path) if isinstance(part, str)), "")


def _prune(data: dict[str, Any], positions: list[int], paths: list[Path]) -> None:
    """Take what is faulty out of `data`: a whole axis, list or variant, so that what is left keeps its meaning."""
    dropped: set[int] = set()
    for path in paths:
        match path:
            case ("variant", int(index)) | ("variant", int(index), "name" | "layer", *_):
                dropped.add(index)
            case ("variant", int(index), *rest):
                _remove(data["variant"][index], tuple(rest))
            case () | ("title", *_):
                data["title"] = "untitled"
            case _:
                _remove(data, path)
    for index in sorted(dropped, reverse=True):
        del data["variant"][index], positions[index]


def _remove(table: dict[str, Any], path: Path) -> None:
    """Remove what `path` leads to, or the whole list that it is in."""
    keys = list(itertools.takewhile(lambda part: isinstance(part, str), path))
    inner: Any = table
    for key in keys[:-1]:
        inner = inner.get(key) if isinstance(inner, dict) else None
    if isinstance(inner, dict):
        inner.pop(keys[-1], None)
