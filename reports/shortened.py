"""Texts that nobody reads to their end, cut: a name, a reason or a claim of ten thousand letters is not a page."""

from __future__ import annotations

from typing import Any

LONGEST = 500
"""Letters of a text that a page prints; the run's own files have the rest. The suite's source is printed whole."""
WHOLE = "source"
"""The key in run.json of what is long by nature."""


def shortened(text: str) -> str:
    """Return `text`, or its first LONGEST letters and how many more there are."""
    left = len(text) - LONGEST
    return text if left <= 0 else f"{text[:LONGEST]}… ({left:,} more letters)"


def all_shortened(data: Any) -> Any:
    """Return lists and dicts of texts with each of them shortened, keys too."""
    if isinstance(data, str):
        return shortened(data)
    if isinstance(data, dict):
        return {shortened(key): item if key == WHOLE and isinstance(item, str) else all_shortened(item)
                for key, item in data.items()}  # fmt: skip
    return [all_shortened(item) for item in data] if isinstance(data, list) else data
