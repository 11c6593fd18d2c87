"""Does every run grow alike? One small log-log panel a layer and axis, one line a run, labelled at its end."""

from __future__ import annotations

import math
from html import escape

import plotly.graph_objects as go

from harness.metrics import show, show_interval
from reports.beside.beside import Beside
from reports.beside.panels import Multiple, RunLine
from reports.figures.base import CHARACTER, LABEL_HEIGHT, Drawn, decade_ticks, log_span, spread, tidy
from reports.theme import HUE, INK, base_layout, log_axis, marker
from reports.words import join

HEIGHT = 250
TOP, BOTTOM, LEFT = 10, 46, 40
LONGEST = 16
"""Characters of a run's name that a label keeps."""
DASHES = ("solid", "6px,4px", "2px,3px", "8px,3px,2px,3px", "12px,4px", "1px,5px")
"""The first run's line is solid; layers keep their colour, so that runs are told apart by dash and mark."""
FILLINGS = 4
HOVER = "<b>%{fullData.name}</b><br>%{x} UNIT<br>%{y:.4g} ms [%{customdata}]<extra></extra>"


def figures(found: Beside) -> list[Drawn]:
    """Return one figure for each panel."""
    return [_drawn(number, panel) for number, panel in enumerate(found.multiples.panels, start=1)]


def figure(panel: Multiple) -> go.Figure:
    """Return the panel as a log-log chart."""
    values = [value for line in panel.lines for p in line.points for value in (p.ms, p.low, p.high)]
    low, high = log_span([value for value in values if value is not None and value > 0])
    xs = [math.log10(x) for x, _ in panel.ticks]
    pad = 0.06 * (xs[-1] - xs[0])
    right = 14 + CHARACTER * max(len(label(line)) for line in panel.lines)
    margin = {"l": LEFT, "r": round(right), "t": TOP, "b": BOTTOM, "pad": 0}
    out = go.Figure(
        data=[_trace(panel, line) for line in panel.lines],
        layout=base_layout(HEIGHT, HOVER.replace("UNIT", panel.x_title), margin=margin),
    )
    ticks = [(mark, f"{mark:g}") for mark in decade_ticks(10**low, 10**high)]
    out.update_yaxes(log_axis(ticks, (low, high), grid=True))
    out.update_xaxes(
        log_axis(list(panel.ticks), (xs[0] - pad, xs[-1] + pad), grid=False, title=f"{panel.x_title}, log")
    )
    out.update_layout(annotations=_labels(panel, low, high))
    return out


def label(line: RunLine) -> str:
    """Return what stands at a line's end."""
    return line.name if len(line.name) <= LONGEST else f"{line.name[: LONGEST - 1]}…"


def _drawn(number: int, panel: Multiple) -> Drawn:
    title = f"{panel.variant}{f', {panel.detail}' if panel.detail else ''}"
    said = join(f"{line.name} from {_ms(line, 0)} to {_ms(line, -1)}" for line in panel.lines)
    return Drawn(
        id=f"fig-{number}",
        title=title,
        unit=f"ms against {panel.x_title}{f', {panel.where}' if panel.where else ''}",
        alt=f"Time of {title} against {panel.x_title}: {said}.",
        figure=figure(panel),
    )


def _ms(line: RunLine, at: int) -> str:
    return show("latency_ms", line.points[at].ms)


def _trace(panel: Multiple, line: RunLine) -> go.Scatter:
    color = HUE[panel.family]
    known = all(point.low is not None and point.high is not None for point in line.points)
    bars = {
        "array": [tidy((point.high or 0.0) - point.ms) for point in line.points],
        "arrayminus": [tidy(point.ms - (point.low or 0.0)) for point in line.points],
        "color": color,
    }
    return go.Scatter(
        name=escape(line.name),
        x=[point.x for point in line.points],
        y=[tidy(point.ms) for point in line.points],
        mode="lines+markers",
        line={"color": color, "dash": DASHES[line.run], "width": 1.8 if line.run == 0 else 1.4},
        marker=marker(panel.family, line.run % FILLINGS, size=7),
        error_y=bars if known else None,
        customdata=[
            "–" if p.low is None or p.high is None else show_interval(p.ms, p.low, p.high)[1:-1] for p in line.points
        ],
    )


def _labels(panel: Multiple, low: float, high: float) -> list[dict[str, object]]:
    """Return the lines' labels, moved apart so that none lies on another."""
    inner = HEIGHT - TOP - BOTTOM
    wanted = [(math.log10(line.points[-1].ms) - low) / (high - low) * inner for line in panel.lines]
    placed = spread(wanted, LABEL_HEIGHT, 0.0, float(inner))
    return [
        {"y": tidy(at / inner), "text": escape(label(line)), "font": {"color": INK[panel.family]}}
        for line, at in zip(panel.lines, placed, strict=True)
    ]
