"""How did a number come to be what it is? One small chart a trend: a mark a run, its levels, where they change."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import pairwise
from typing import Any

import plotly.graph_objects as go

from harness.judge.compare import WORSE
from harness.metrics import METRICS, show, show_interval
from reports.figures.base import CHARACTER, Drawn, tidy
from reports.history.axes import axis, height, reach, runs_axis, shown, span
from reports.history.history import History
from reports.history.shifts import Line, Point, Shift
from reports.history.stops import Stop
from reports.history.words import percent
from reports.labels import name_of
from reports.theme import BETTER_INK, HUE, MUTE, WORSE_INK, base_layout, marker
from reports.words import capital

HEIGHT = 186
TOP, BOTTOM, LEFT = 22, 30, 46
HOVER = "<b>%{text}</b><br>%{customdata}<extra></extra>"


def figures(history: History) -> list[Drawn]:
    """Return one figure for each trend that is drawn."""
    shown = history.trends.lines[: history.trends.drawn]
    return [_drawn(number, line, history) for number, line in enumerate(shown, start=1)]


def figure(line: Line, history: History) -> go.Figure:
    """Return the chart of one trend."""
    stops = history.runs.stops
    low, high = span(reach(line), exact=METRICS[line.metric].exact)
    end = _last(line)
    last = shown(line.metric, end)
    out = go.Figure(
        data=_traces(line, stops),
        layout=base_layout(
            HEIGHT, HOVER, margin={"l": LEFT, "r": round(12 + CHARACTER * len(last)), "t": TOP, "b": BOTTOM, "pad": 0}
        ),
    )
    out.update_xaxes(runs_axis(stops))
    out.update_yaxes(axis(line.metric, low, high))
    out.update_layout(
        shapes=_shapes(line, history), annotations=[_end(last, height(line, end, low, high)), *_labels(line)]
    )
    return out


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


def _end(text: str, at: float) -> dict[str, Any]:
    """Return the label of where the trend stands."""
    return {"y": tidy(at), "text": escape(text)}
