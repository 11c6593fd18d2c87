"""Letters that would hide or reorder a page's text, spelt out: controls, overrides of direction, halves of a pair."""

from __future__ import annotations

import re
from typing import Any

_HIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


def visible(text: str) -> str:
    r"""Return `text` with what nobody would see spelt as `\u202e`; lines and tabs stay."""
    return _HIDDEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def all_visible(data: Any) -> Any:
    """Return lists and dicts of texts with each of them visible."""
    if isinstance(data, str):
        return visible(data)
    if isinstance(data, dict):
        return {key: all_visible(value) for key, value in data.items()}
    return [all_visible(item) for item in data] if isinstance(data, list | tuple) else data


def finalized(value: Any) -> Any:
    """Return what a template prints: a text from elsewhere made visible, markup as it is."""
    return visible(value) if type(value) is str else value
