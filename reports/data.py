"""Prints a Review, History or Beside as JSON: exactly what its page says, so that all its numbers can be asserted."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reports.beside import Beside
    from reports.history import History
    from reports.review import Review


def render_data(review: Review | History | Beside) -> str:
    """Return it as one JSON document; numbers that are none become null."""
    return json.dumps(_clean(dataclasses.asdict(review)), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _clean(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(key): _clean(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean(item) for item in value]
    return value
