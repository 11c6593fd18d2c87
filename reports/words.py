"""Sentences as data: marked spans that every printer can print, and the small grammar that they share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from harness.judge.stats import Interval
from harness.metrics import show_interval, show_number, show_ratio

Mark = Literal["", "strong", "interval", "code", "sup"]


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a sentence, and how it is set."""

    text: str
    mark: Mark = ""


Sentence = tuple[Span, ...]
"""Text as the page says it; `plain` gives it as one string."""


def sentence(*parts: str | Span | Sentence) -> Sentence:
    """Return one Sentence of strings, spans and sentences; empty strings leave no trace."""
    spans: list[Span] = []
    for part in parts:
        if isinstance(part, str):
            spans += [Span(part)] if part else []
        elif isinstance(part, Span):
            spans.append(part)
        else:
            spans += part
    return tuple(spans)


def plain(text: Sentence) -> str:
    """Return the words of `text` alone; an exponent is written with its caret."""
    return "".join(f"^{span.text}" if span.mark == "sup" else span.text for span in text)


def ratio(value: float, interval: Interval | None) -> Sentence:
    """Return `0.84× [0.82, 0.86]`, the number strong and its interval quiet."""
    if interval is None:
        return (Span(show_ratio(value), "strong"),)
    return _estimate(show_ratio(interval.value, interval.low, interval.high), interval)


def slope(interval: Interval) -> Sentence:
    """Return `0.24 [0.23, 0.26]`, the number strong and its interval quiet."""
    return _estimate(show_number(interval.value, interval.low, interval.high), interval)


def join(words: Iterable[str], last: str = "and") -> str:
    """Return `a`, `a and b`, or `a, b and c`."""
    *head, tail = list(words) or [""]
    return f"{', '.join(head)} {last} {tail}" if head else tail


def some(names: Sequence[str], most: int = 8, between: str = ", ") -> str:
    """Return the names, or the first `most` of them and how many more there are: `a, b and 7 more`."""
    left = len(names) - most
    return between.join(names) if left <= 1 else f"{between.join(names[:most])} and {left} more"


def join_sentences(parts: Sequence[Sentence], between: str = "; ") -> Sentence:
    """Return the sentences as one, with `between` between each two."""
    spans: list[Span] = []
    for index, part in enumerate(parts):
        spans += [Span(between)] if index else []
        spans += part
    return tuple(spans)


def count(number: int, noun: str, plural: str | None = None) -> str:
    """Return `1 case`, `2 cases`, `no cases`."""
    return f"{number or 'no'} {noun if number == 1 else plural or noun + 's'}"


def capital(text: str) -> str:
    """Return `text` with its first letter in upper case and the rest as it stands."""
    return text[:1].upper() + text[1:]


def _estimate(text: str, interval: Interval) -> Sentence:
    tail = show_interval(interval.value, interval.low, interval.high)
    return (Span(text, "strong"), Span(" "), Span(tail, "interval"))
