"""Prints a Review, or a History, as JSON: exactly what the page says, so that every number on it can be asserted."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import TYPE_CHECKING, Any

from reports.visible import visible

if TYPE_CHECKING:
    from reports.history import History
    from reports.review import Review


def render_data(review: Review | History) -> str:
    """Return it as one JSON document; numbers that are none become null."""
    text = json.dumps(_clean(dataclasses.asdict(review)), indent=1, ensure_ascii=False, allow_nan=False)
    return visible(text) + "\n"  # as JSON escapes a letter, so that the same data are read


def _clean(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(key): _clean(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean(item) for item in value]
    return value
