"""Texts that nobody reads to their end, cut: a name, a reason or a claim of ten thousand letters is not a page."""

from __future__ import annotations

from typing import Any

LONGEST = 500
"""Letters of a text that a page prints; the run's own files have the rest."""


def shortened(text: str) -> str:
    """Return `text`, or its first LONGEST letters and how many more there are."""
    left = len(text) - LONGEST
    return text if left <= 0 else f"{text[:LONGEST]}… ({left:,} more letters)"


def all_shortened(data: Any, *whole: str) -> Any:
    """Return lists and dicts of texts with each of them shortened, keys too, but for what stands at the path `whole`.

    It is the keys to what is long by nature, as a suite's source is.
    """
    if isinstance(data, str):
        return shortened(data)
    if isinstance(data, list):
        return [all_shortened(item) for item in data]
    if not isinstance(data, dict):
        return data
    return {shortened(key): _item(item, key, whole) for key, item in data.items()}


def _item(item: Any, key: str, whole: tuple[str, ...]) -> Any:
    if whole == (key,) and isinstance(item, str):
        return item
    return all_shortened(item, *(whole[1:] if whole[:1] == (key,) else ()))
