"""What a run of more cases than a page can list sums up to, by variant and by the value of each axis."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass

from reports.context import Context
from reports.results import Result
from reports.settings import PASS_WORDS

VALUES = 40
"""Values of one axis that are told, those with the most cases."""

AXES: dict[str, Callable[[Result], str]] = {
    "Variant": lambda result: result.case.variant,
    "Size": lambda result: result.case.size or f"d_model {result.case.d_model}",
    "Experts": lambda result: _text(result.case.experts),
    "Top-k": lambda result: _text(result.case.top_k),
    "Slots": lambda result: _text(result.case.slots),
    "Batch": lambda result: str(result.case.batch),
    "Tokens": lambda result: str(result.case.tokens),
    "Format": lambda result: result.case.dtype,
    "Pass": lambda result: PASS_WORDS.get(result.case.pass_, result.case.pass_),
}


@dataclass(frozen=True, slots=True)
class Sum:
    """The cases that share one value of an axis."""

    value: str
    cases: int
    ok: int
    fastest: float | None
    """Milliseconds, as are the next two; None where no case has a time."""
    median: float | None
    slowest: float | None
    peak: float | None
    """The largest, in bytes."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis, and what its cases sum up to."""

    title: str
    sums: tuple[Sum, ...]
    left_out: int


def build(context: Context) -> tuple[Axis, ...]:
    """Return the axes that take more than one value, the variants first."""
    axes = (_axis(title, value, context.results) for title, value in AXES.items())
    return tuple(axis for axis in axes if len(axis.sums) > 1)


def _axis(title: str, value: Callable[[Result], str], results: list[Result]) -> Axis:
    groups: dict[str, list[Result]] = {}
    for result in results:
        groups.setdefault(value(result), []).append(result)
    groups.pop("", None)
    most = sorted(groups, key=lambda text: -len(groups[text]))[:VALUES]
    shown = [text for text in groups if text in {*most}]
    return Axis(title, tuple(_sum(text, groups[text]) for text in _ordered(shown)), len(groups) - len(shown))


def _sum(value: str, results: list[Result]) -> Sum:
    times = [ms for result in results if (ms := result.ms) is not None]
    peaks = [peak for result in results if (peak := result.number("memory_peak_bytes")) is not None]
    return Sum(
        value=value,
        cases=len(results),
        ok=sum(result.ok for result in results),
        fastest=min(times, default=None),
        median=statistics.median(times) if times else None,
        slowest=max(times, default=None),
        peak=max(peaks, default=None),
    )


def _ordered(values: list[str]) -> list[str]:
    return sorted(values, key=int) if all(value.isdecimal() for value in values) else values


def _text(value: int | None) -> str:
    return "" if value is None else str(value)
