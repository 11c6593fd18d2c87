"""How did a number come to be what it is? One small chart a trend: a mark a run, its levels, where they change."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from itertools import pairwise
from typing import Any

import plotly.graph_objects as go

from harness.judge.compare import WORSE
from harness.metrics import METRICS, show, show_interval
from reports.figures.base import CHARACTER, Drawn, decade_ticks, tidy
from reports.history.history import History
from reports.history.shifts import Line, Point, Shift
from reports.history.stops import Stop
from reports.history.words import name_of, percent
from reports.theme import HUE, MUTE, base_layout, log_axis, marker
from reports.words import capital

HEIGHT = 186
TOP, BOTTOM, LEFT = 22, 30, 46
LEAST = 1.15
"""Ratio of an axis's ends below which it does not go: noise of a per cent is to look like noise of a per cent."""
BEYOND = 2.0
"""How far beyond the values, as a factor, an interval is drawn; a longer one runs off the chart."""
TICKS = 4
DECADE = 5.0
"""Ratio of an axis's ends from which round numbers stand evenly apart by their logarithms, and not by themselves."""
WORSE_INK, BETTER_INK = "rgb(174, 0, 56)", "rgb(63, 55, 176)"
"""Words of a change; `assets/history.css` gives them to the page's scheme."""
HOVER = "<b>%{text}</b><br>%{customdata}<extra></extra>"


def figures(history: History) -> list[Drawn]:
    """Return one figure for each trend that is drawn."""
    shown = history.trends.lines[: history.trends.drawn]
    return [_drawn(number, line, history) for number, line in enumerate(shown, start=1)]


def figure(line: Line, history: History) -> go.Figure:
    """Return the chart of one trend."""
    stops = history.runs.stops
    low, high = _span(_reach(line), exact=METRICS[line.metric].exact)
    end = _last(line)
    last = shown(line.metric, end)
    out = go.Figure(
        data=_traces(line, stops),
        layout=base_layout(
            HEIGHT, HOVER, margin={"l": LEFT, "r": round(12 + CHARACTER * len(last)), "t": TOP, "b": BOTTOM, "pad": 0}
        ),
    )
    out.update_xaxes(_runs_axis(stops))
    out.update_yaxes(_axis(line.metric, low, high))
    out.update_layout(
        shapes=_shapes(line, history), annotations=[_end(last, _height(line, end, low, high)), *_labels(line)]
    )
    return out


def shown(metric: str, value: float) -> str:
    """Return a number of a trend as its axis and its table show it; milliseconds without their unit."""
    return show(metric, value).removesuffix(" ms")


def round_ticks(low: float, high: float, most: int = TICKS) -> list[float]:
    """Return at most `most` round numbers, evenly apart, between `low` and `high`."""
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    for step in (power * factor for factor in (1, 2, 2.5, 5, 10, 20)):
        first, last = math.ceil(low / step), math.floor(high / step)
        if last - first < most:
            return [number * step for number in range(first, last + 1)]
    raise AssertionError("twenty times a tenth of the span is more than the span")


def _drawn(number: int, line: Line, history: History) -> Drawn:
    unit = METRICS[line.metric].unit
    title = ", ".join(part for part in (capital(name_of(line.metric)), line.subject.detail) if part)
    said = "; ".join(_said(shift, history.runs.stops) for shift in line.shifts) or "it keeps its level"
    return Drawn(
        id=f"trend-{number}",
        title=title,
        unit=f"{unit}, {line.where}" if unit == "ms" else line.where,
        alt=f"{line.subject.variant}, {title}, {line.where}, over {len(history.runs.stops)} runs: {said}.",
        figure=figure(line, history),
    )


def _said(shift: Shift, stops: Sequence[Stop]) -> str:
    name = stops[shift.run].name
    return f"a drift of {_by(shift)}" if shift.how == "drift" else f"{_by(shift)} with {name}"


def _by(shift: Shift) -> str:
    """Return the label of a change: `+12 %`, `3.1×`, or only that it is one."""
    if shift.change is not None:
        text = percent(shift.change.ratio).partition(" [")[0].removeprefix("less than ")
        return text if text.endswith("×") else f"{'+' if shift.change.ratio.value > 1 else '−'}{text}"
    if isinstance(shift.before, (int, float)) and isinstance(shift.after, (int, float)) and shift.before > 0:
        share = shift.after / shift.before - 1
        if abs(share) < 0.001:
            return "< +0.1 %" if share > 0 else "> −0.1 %"
        return f"{'+' if share > 0 else '−'}{100 * abs(share):.2g} %" if abs(share) < 1 else f"{share + 1:.3g}×"
    return "unsteady" if shift.how == "unsteady" else "changed"


def _reach(line: Line) -> list[float]:
    """Return what the axis must hold: every value, and of an interval as much as leaves the values to be told apart."""
    values = [point.value for point in line.points]
    least, most = min(values) / BEYOND, max(values) * BEYOND
    ends = [end for point in line.points for end in (point.low, point.high) if end is not None]
    return [*values, *(min(max(end, least), most) for end in ends)]


def _span(values: Sequence[float], *, exact: bool) -> tuple[float, float]:
    """Return the ends of the axis: from 0 for what has no noise, else around the marks on a logarithmic one."""
    low, high = min(values), max(values)
    if exact:
        return 0.0, 1.12 * high or 1.0
    room = max(1.0, (LEAST * low / high) ** 0.5)
    pad = 1 + 0.12 * (high / low * room**2 - 1)
    return low / room / pad, high * room * pad


def _axis(metric: str, low: float, high: float) -> dict[str, Any]:
    scale = 1024.0 ** max(0, math.floor(math.log(high, 1024))) if METRICS[metric].unit == "B" and high > 1 else 1.0
    narrow = METRICS[metric].exact or high < DECADE * low
    ticks_of = round_ticks if narrow else decade_ticks
    marks = [mark * scale for mark in ticks_of(low / scale, high / scale, TICKS)]
    ticks = [(tidy(mark), _plain(metric, mark)) for mark in marks]
    if METRICS[metric].exact:
        return log_axis(ticks, (low, high), grid=True) | {"type": "linear", "range": [low, tidy(high)]}
    return log_axis(ticks, (math.log10(low), math.log10(high)), grid=True)


def _plain(metric: str, mark: float) -> str:
    number, _, unit = shown(metric, mark).partition(" ")
    return f"{float(number):g} {unit}".strip()


def _runs_axis(stops: Sequence[Stop]) -> dict[str, Any]:
    """Return the axis of runs, with the days of the first, of one in the middle and of the last."""
    at = sorted({0, (len(stops) - 1) // 2, len(stops) - 1} if len(stops) > 6 else {0, len(stops) - 1})
    return {
        "range": [-0.7, len(stops) - 0.3],
        "tickvals": at,
        "ticktext": [stops[run].day[5:] for run in at],
        "showgrid": False,
        "showline": True,
        "ticks": "outside",
    }


def _traces(line: Line, stops: Sequence[Stop]) -> list[go.Scatter]:
    color = HUE[line.subject.family]
    usual = [point for point in line.points if point.run not in line.apart]
    alone = [point for point in line.points if point.run in line.apart]
    stroke = {"color": color, "width": 1.4}
    if METRICS[line.metric].exact:
        return [_marks(line, line.points, stops) | {"mode": "lines+markers", "line": stroke | {"shape": "hv"}}]
    xs, ys = _level_line(line)
    out = [go.Scatter(x=xs, y=ys, mode="lines", line={"color": color, "width": 2.2}, hoverinfo="skip")]
    return [*out, *(go.Scatter(_marks(line, some, stops, step)) for some, step in ((usual, 0), (alone, 1)) if some)]


def _marks(line: Line, points: Sequence[Point], stops: Sequence[Stop], step: int = 0) -> dict[str, Any]:
    return {
        "x": [point.run for point in points],
        "y": [tidy(point.value) for point in points],
        "mode": "markers",
        "marker": marker(line.subject.family, step, size=5),
        "error_y": _bars(line, points),
        "text": [escape(f"{stops[point.run].name}, {stops[point.run].commit}") for point in points],
        "customdata": [escape(_value(line.metric, point)) for point in points],
    }


def _bars(line: Line, points: Sequence[Point]) -> dict[str, Any] | None:
    if any(point.low is None or point.high is None for point in points):
        return None
    return {
        "array": [tidy((point.high or 0.0) - point.value) for point in points],
        "arrayminus": [tidy(point.value - (point.low or 0.0)) for point in points],
        "color": HUE[line.subject.family],
        "thickness": 0.8,
    }


def _value(metric: str, point: Point) -> str:
    text = show(metric, point.value, point.low, point.high)
    if point.low is None or point.high is None:
        return text
    return f"{text} {show_interval(point.value, point.low, point.high)}"


def _level_line(line: Line) -> tuple[list[float | None], list[float | None]]:
    """Return the levels as one line with gaps; of a drift, the line from its first run to its last."""
    parts: list[tuple[float, float, float, float]] = []
    parts += [(each.first - 0.4, each.value, each.last + 0.4, each.value) for each in line.levels]
    parts += [(shift.earliest, float(shift.before), shift.latest, float(shift.after))
              for shift in line.shifts
              if shift.how == "drift" and shift.before is not None and shift.after is not None]  # fmt: skip
    xs = [x for a, _, b, _ in parts for x in (a, b, None)]
    ys = [y and tidy(y) for _, a, _, b in parts for y in (a, b, None)]
    return xs[:-1], ys[:-1]


def _shapes(line: Line, history: History) -> list[dict[str, Any]]:
    upright = {"type": "line", "yref": "paper", "y0": 0, "y1": 1, "layer": "below"}
    changes = [shift.run - 0.5 for shift in line.shifts if shift.how in ("step", "exact")]
    eras = [era.first - 0.5 for era in history.runs.eras[1:]]
    return [upright | {"x0": x, "x1": x, "line": {"color": MUTE, "width": 1, "dash": dash}}
            for xs, dash in ((changes, "solid"), (eras, "2px,3px")) for x in xs]  # fmt: skip


def _labels(line: Line) -> list[dict[str, Any]]:
    """Return the labels of changes, above the chart; of two that would touch only the later one."""
    told = [shift for shift in line.shifts if shift.how != "status"]
    clear = [a for a, b in pairwise(told) if b.run - a.run > 4] + told[-1:]
    return [
        {
            "x": shift.run - 0.5 if shift.how != "drift" else (shift.earliest + shift.latest) / 2,
            "xref": "x",
            "xanchor": "center",
            "xshift": 0,
            "y": 1,
            "yanchor": "bottom",
            "text": _by(shift),
            "font": {"color": _ink(shift)},
        }
        for shift in clear
    ]


def _ink(shift: Shift) -> str:
    return WORSE_INK if shift.word in WORSE else BETTER_INK if shift.word in ("faster", "better") else MUTE


def _last(line: Line) -> float:
    """Return where the trend stands: its last level, or the end of its drift."""
    drifts = [shift for shift in line.shifts if shift.how == "drift"]
    if drifts and isinstance(drifts[-1].after, (int, float)) and drifts[-1].latest == line.points[-1].run:
        return float(drifts[-1].after)
    return line.levels[-1].value if line.levels else line.points[-1].value


def _height(line: Line, value: float, low: float, high: float) -> float:
    """Return how high a value stands in the chart, as a share of it."""
    if METRICS[line.metric].exact:
        return (value - low) / (high - low)
    return math.log(value / low) / math.log(high / low)


def _end(text: str, height: float) -> dict[str, Any]:
    """Return the label of where the trend stands."""
    return {"y": tidy(height), "text": escape(text)}
