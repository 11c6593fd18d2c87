"""Prints a Review, or a History, as JSON: exactly what the page says, so that every number on it can be asserted."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import TYPE_CHECKING, Any

from reports.sections.base import Section

if TYPE_CHECKING:
    from reports.history import History
    from reports.review import Review


def render_data(review: Review | History) -> str:
    """Return it as one JSON document; numbers that are none become null."""
    data = dataclasses.asdict(review)
    for name in left_out(review):
        del data[name]
    return json.dumps(_clean(data), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def left_out(review: Review | History) -> list[str]:
    """Return the fields that hold a section which is not printed."""
    printed = {section.id for section in review.sections}
    fields = [field.name for field in dataclasses.fields(review)]
    return [name for name in fields if isinstance(getattr(review, name), Section) and name not in printed]


def _clean(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(key): _clean(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean(item) for item in value]
    return value
