"""Prints a Review, History or Beside as JSON: exactly what its page says, so that all its numbers can be asserted."""

from __future__ import annotations

import dataclasses
import json
import math
from functools import cache
from typing import TYPE_CHECKING, Any

from reports.sections.base import Section
from reports.visible import visible

if TYPE_CHECKING:
    from reports.beside import Beside
    from reports.history import History
    from reports.review import Review

PLAIN = ("str", "int", "float", "str | None", "int | None", "float | None", "dict[str, float]")
"""What a property returns that is printed beside the fields: a word or a number that is worked out of them."""


def render_data(review: Review | History | Beside) -> str:
    """Return it as one JSON document; numbers that are none become null."""
    printed = frozenset(section.id for section in review.sections)
    text = json.dumps(_clean(review, printed), indent=1, ensure_ascii=False, allow_nan=False)
    return visible(text) + "\n"  # as JSON escapes a letter, so that the same data are read


def _clean(value: Any, printed: frozenset[str]) -> Any:
    """Return what JSON holds of a value, less the sections that are not printed."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        kept = ((name, getattr(value, name)) for name in _names(type(value)))
        return {name: _clean(item, printed) for name, item in kept if not _is_left_out(item, printed)}
    if isinstance(value, dict):
        return {str(key): _clean(item, printed) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean(item, printed) for item in value]
    return value


def _is_left_out(value: object, printed: frozenset[str]) -> bool:
    return isinstance(value, Section) and value.id not in printed


@cache
def _names(kind: type) -> tuple[str, ...]:
    """Return what of a class is printed: its fields, and the properties that are PLAIN."""
    members = [member for base in reversed(kind.__mro__) for member in vars(base).items()]
    worked_out = [name for name, member in members if isinstance(member, property) and _is_plain(member)]
    return tuple(dict.fromkeys([*(field.name for field in dataclasses.fields(kind)), *worked_out]))


def _is_plain(member: property) -> bool:
    return member.fget is not None and member.fget.__annotations__.get("return") in PLAIN
