"""How does time grow along each swept axis? One small panel an axis, one line a variant, labelled at its end."""

from __future__ import annotations

import math
from html import escape

import plotly.graph_objects as go

from harness.metrics import show, show_interval, show_number
from reports.figures.base import CHARACTER, LABEL_HEIGHT, Drawn, decade_ticks, log_span, spread, tidy
from reports.review import Review
from reports.sections.scaling import Line, Panel
from reports.theme import DASH, HUE, INK, WIDTH, base_layout, log_axis, marker
from reports.words import plain

HEIGHT = 272
TOP, BOTTOM, LEFT = 10, 46, 40
LONGEST = 20
"""Characters of a name that a label keeps."""
HOVER = ("<b>%{fullData.name}</b><br>%{x} UNIT<br>%{y:.4g} ms [%{customdata[0]}]<br>n = %{customdata[1]}"
         "<br>%{customdata[2]}<extra></extra>")  # fmt: skip


def figures(review: Review) -> list[Drawn]:
    """Return one figure for each swept axis."""
    return [_drawn(panel) for panel in review.scaling.panels]


def caption(review: Review) -> str:
    """Return the section's caption, the finding first."""
    return plain(review.scaling.caption)


def columns(review: Review) -> int:
    """Return how many panels stand in a row: two where labels are long or many, else three."""
    longest = max((len(label(line)) for panel in review.scaling.panels for line in panel.lines), default=0)
    return 2 if longest > 13 or len(review.scaling.panels) in (2, 4) else 3


def label(line: Line) -> str:
    """Return what stands at a line's end: its name and slope."""
    name = line.variant if len(line.variant) <= LONGEST else f"{line.variant[: LONGEST - 1]}…"
    if line.slope is None:
        return name
    return f"{name} {show_number(line.slope.value, line.slope.low, line.slope.high)}"


def figure(panel: Panel) -> go.Figure:
    """Return the panel as a log-log chart."""
    values = [value for line in panel.lines for point in line.points for value in (point.ms, point.low, point.high)]
    known = [value for value in values if value is not None and value > 0]
    low, high = log_span(known)
    xs = [math.log10(x) for x, _ in panel.ticks]
    pad = 0.05 * (xs[-1] - xs[0])
    right = 14 + CHARACTER * max(len(label(line)) for line in panel.lines)
    out = go.Figure(
        data=[_trace(line) for line in panel.lines],
        layout=base_layout(
            HEIGHT,
            HOVER.replace("UNIT", panel.x_title),
            margin={"l": LEFT, "r": round(right), "t": TOP, "b": BOTTOM, "pad": 0},
        ),
    )
    ticks = [(mark, f"{mark:g}") for mark in decade_ticks(10**low, 10**high)]
    out.update_yaxes(log_axis(ticks, (low, high), grid=True))
    out.update_xaxes(log_axis(_thinned(panel.ticks), (xs[0] - pad, xs[-1] + pad), grid=False, title=_x_title(panel)))
    out.update_layout(annotations=_labels(panel, low, high))
    return out


def _drawn(panel: Panel) -> Drawn:
    return Drawn(
        id=f"fig-{panel.axis.replace('_', '-')}",
        title=panel.title,
        unit=f"ms, {panel.where}" if panel.where else "ms",
        alt=panel.alt,
        figure=figure(panel),
    )


def _x_title(panel: Panel) -> str:
    return f"{panel.x_title}, log"


def _thinned(ticks: tuple[tuple[float, str], ...]) -> list[tuple[float, str]]:
    """Return the ticks that stand apart by a seventh of the axis, the last one always."""
    apart = math.log(ticks[-1][0] / ticks[0][0]) / 7
    kept = [ticks[-1]]
    for tick in reversed(ticks[:-1]):
        if math.log(kept[-1][0] / tick[0]) >= apart * 0.99:
            kept.append(tick)
    return kept[::-1]


def _trace(line: Line) -> go.Scatter:
    level = line.slope is None and len({point.id for point in line.points}) == 1
    return go.Scatter(
        name=escape(line.variant + (f", {line.detail}" if line.detail else "")),
        x=[point.x for point in line.points],
        y=[tidy(point.ms) for point in line.points],
        mode="lines" if level else "lines+markers",
        line={"color": HUE[line.family], "dash": DASH[line.family], "width": 1.2 if level else WIDTH[line.family]},
        marker=marker(line.family, line.step),
        error_y=None if level else _bars(line),
        customdata=[[_interval(p.ms, p.low, p.high), p.n or "–", escape(p.id)] for p in line.points],
    )


def _bars(line: Line) -> dict[str, object] | None:
    if any(point.low is None or point.high is None for point in line.points):
        return None
    return {
        "array": [tidy((point.high or 0.0) - point.ms) for point in line.points],
        "arrayminus": [tidy(point.ms - (point.low or 0.0)) for point in line.points],
        "color": HUE[line.family],
    }


def _interval(value: float, low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return show("latency_ms", value)
    return escape(show_interval(value, low, high)[1:-1])


def _labels(panel: Panel, low: float, high: float) -> list[dict[str, object]]:
    """Return the lines' labels, moved apart so that none lies on another."""
    inner = HEIGHT - TOP - BOTTOM
    ends = [line.points[-1] for line in panel.lines]
    wanted = [(math.log10(point.ms) - low) / (high - low) * inner for point in ends]
    placed = spread(wanted, LABEL_HEIGHT, 0.0, float(inner))
    return [
        {"y": tidy(at / inner), "text": escape(label(line)), "font": {"color": INK[line.family]}}
        for line, at in zip(panel.lines, placed, strict=True)
    ]
