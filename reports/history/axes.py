"""The axes of a trend: the runs in their order, and a number, no more finely than its noise deserves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from harness.metrics import METRICS, show
from reports.figures.base import decade_ticks, tidy
from reports.history.shifts import Line
from reports.history.stops import Stop, dates
from reports.theme import log_axis

LEAST = 1.15
"""Ratio of an axis's ends below which it does not go: noise of a per cent is to look like noise of a per cent."""
BEYOND = 2.0
"""How far beyond the values, as a factor, an interval is drawn; a longer one runs off the chart."""
TICKS = 4
DECADE = 5.0
"""Ratio of an axis's ends from which round numbers stand evenly apart by their logarithms, and not by themselves."""


def shown(metric: str, value: float) -> str:
    """Return a number of a trend as its axis and its table show it; milliseconds without their unit."""
    return show(metric, value).removesuffix(" ms")


def reach(line: Line) -> list[float]:
    """Return what the axis must hold: every value, and of an interval as much as leaves the values to be told apart."""
    values = [point.value for point in line.points]
    least, most = min(values) / BEYOND, max(values) * BEYOND
    ends = [end for point in line.points for end in (point.low, point.high) if end is not None]
    return [*values, *(min(max(end, least), most) for end in ends)]


def span(values: Sequence[float], *, exact: bool) -> tuple[float, float]:
    """Return the ends of the axis: from 0 for what has no noise, else around the marks on a logarithmic one."""
    low, high = min(values), max(values)
    if exact:
        return 0.0, 1.12 * high or 1.0
    room = max(1.0, (LEAST * low / high) ** 0.5)
    pad = 1 + 0.12 * (high / low * room**2 - 1)
    return low / room / pad, high * room * pad


def axis(metric: str, low: float, high: float) -> dict[str, Any]:
    """Return the axis of a number, with few and round ticks."""
    scale = 1024.0 ** max(0, math.floor(math.log(high, 1024))) if METRICS[metric].unit == "B" and high > 1 else 1.0
    narrow = METRICS[metric].exact or high < DECADE * low
    ticks_of = round_ticks if narrow else decade_ticks
    marks = [mark * scale for mark in ticks_of(low / scale, high / scale, TICKS)]
    ticks = [(tidy(mark), _plain(metric, mark)) for mark in marks]
    if METRICS[metric].exact:
        return log_axis(ticks, (low, high), grid=True) | {"type": "linear", "range": [low, tidy(high)]}
    return log_axis(ticks, (math.log10(low), math.log10(high)), grid=True)


def round_ticks(low: float, high: float, most: int = TICKS) -> list[float]:
    """Return at most `most` round numbers, evenly apart, between `low` and `high`."""
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    for step in (power * factor for factor in (1, 2, 2.5, 5, 10, 20)):
        first, last = math.ceil(low / step), math.floor(high / step)
        if last - first < most:
            return [number * step for number in range(first, last + 1)]
    raise AssertionError("twenty times a tenth of the span is more than the span")


def _plain(metric: str, mark: float) -> str:
    number, _, unit = shown(metric, mark).partition(" ")
    return f"{float(number):g} {unit}".strip()


def runs_axis(stops: Sequence[Stop]) -> dict[str, Any]:
    """Return the axis of runs, with the days of the first, of one in the middle and of the last."""
    at = sorted({0, (len(stops) - 1) // 2, len(stops) - 1} if len(stops) > 6 else {0, len(stops) - 1})
    return {
        "range": [-0.7, len(stops) - 0.3],
        "tickvals": at,
        "ticktext": dates([stops[run] for run in at]),
        "showgrid": False,
        "showline": True,
        "ticks": "outside",
    }


def height(line: Line, value: float, low: float, high: float) -> float:
    """Return how high a value stands in the chart, as a share of it."""
    if METRICS[line.metric].exact:
        return (value - low) / (high - low)
    return math.log(value / low) / math.log(high / low)
