"""How does time grow along each swept axis? One small panel an axis, one line a variant, labelled at its end."""

from __future__ import annotations

import math
from html import escape

import plotly.graph_objects as go

from harness.metrics import show, show_interval, show_number, show_scaled
from reports.figures.base import CHARACTER, LABEL_HEIGHT, Drawn, decade_ticks, log_span, spread, tidy
from reports.figures.scaling_marks import DIGIT, band, dots, headroom, named, reached
from reports.labels import cut
from reports.review import Review
from reports.sections.scaling_lines import Line, Panel, Point
from reports.sections.scaling_words import is_unsure
from reports.theme import HUE, INK, MUTE, base_layout, log_axis, marker, stroke
from reports.words import plain

HEIGHT = 272
TOP, BOTTOM, LEFT = 10, 46, 40
LONGEST = 20
"""Characters of a name that a label keeps."""
HOVER = ("<b>%{fullData.name}</b><br>%{x} UNIT<br>%{y:.4g} ms [%{customdata[0]}]<br>n = %{customdata[1]}"
         "<br>%{customdata[2]}RATE<extra></extra>")  # fmt: skip
INPUT = ("batch", "tokens")
"""Axes along which tokens a second say what a time alone does not: whether more input is worth its time."""


def figures(review: Review) -> list[Drawn]:
    """Return one figure for each swept axis."""
    rows = max((len(panel.crossings) for panel in review.scaling.panels), default=0)
    return [_drawn(panel, rows) for panel in review.scaling.panels]


def caption(review: Review) -> str:
    """Return the section's caption, the finding first."""
    return plain(review.scaling.caption)


def columns(review: Review) -> int:
    """Return how many panels stand in a row: two where labels are long or many, else three."""
    longest = max((len(label(line)) for panel in review.scaling.panels for line in panel.lines), default=0)
    return 2 if longest > 13 or len(review.scaling.panels) in (2, 4) else 3


def label(line: Line) -> str:
    """Return what stands at a line's end: its name and slope, or a question mark where its sign cannot be told."""
    name = cut(line.variant, LONGEST)
    if line.slope is None:
        return name
    if is_unsure(line.slope):
        return f"{name} ?"
    return f"{name} {show_number(line.slope.value, line.slope.low, line.slope.high)}"


def figure(panel: Panel, rows: int = 0) -> go.Figure:
    """Return the panel as a log-log chart, with room for `rows` names of crossovers above it."""
    values = [value for line in panel.lines for point in line.points for value in (point.ms, point.low, point.high)]
    known = [value for value in (*values, *reached(panel.ideal)) if value is not None and value > 0]
    low, high = log_span(known)
    xs = [math.log10(x) for x, _ in panel.ticks]
    pad = 0.05 * (xs[-1] - xs[0])
    across = xs[0] - pad, xs[-1] + pad
    right = round(14 + CHARACTER * max(len(text) for text, *_ in _ends(panel)))
    above = headroom(rows)
    ticks = [(mark, f"{mark:g}") for mark in decade_ticks(10**low, 10**high)]
    left = max(LEFT, round(12 + DIGIT * max(len(text) for _, text in ticks)))
    out = go.Figure(
        data=[*(_trace(line, rate=panel.axis in INPUT) for line in panel.lines), *dots(panel.ideal)],
        layout=base_layout(
            HEIGHT + above,
            _hover(panel),
            margin={"l": left, "r": right, "t": TOP + above, "b": BOTTOM, "pad": 0},
        ),
    )
    out.update_yaxes(log_axis(ticks, (low, high), grid=True))
    out.update_xaxes(log_axis(_thinned(panel.ticks), across, grid=False, title=_x_title(panel)))
    inner = HEIGHT - TOP - BOTTOM
    names = [named(crossing, row, across, left, right) for row, crossing in enumerate(panel.crossings)]
    bands = [shape for row, crossing in enumerate(panel.crossings) for shape in band(crossing, row, inner)]
    out.update_layout(annotations=[*_labels(panel, low, high), *names], shapes=bands)
    return out


def _drawn(panel: Panel, rows: int) -> Drawn:
    return Drawn(
        id=f"fig-{panel.axis.replace('_', '-')}",
        title=panel.title,
        unit=f"ms, {panel.where}" if panel.where else "ms",
        alt=panel.alt,
        figure=figure(panel, rows),
    )


def _hover(panel: Panel) -> str:
    rate = "<br>%{customdata[3]} tokens/s" if panel.axis in INPUT else ""
    return HOVER.replace("UNIT", panel.x_title).replace("RATE", rate)


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


def _trace(line: Line, *, rate: bool) -> go.Scatter:
    level = line.slope is None and len({point.id for point in line.points}) == 1
    return go.Scatter(
        name=escape(line.variant + (f", {line.detail}" if line.detail else "")),
        x=[point.x for point in line.points],
        y=[tidy(point.ms) for point in line.points],
        mode="lines" if level else "lines+markers",
        line=stroke(line.family) | ({"width": 1.2} if level else {}),
        marker=marker(line.family, line.step),
        error_y=None if level else _bars(line),
        customdata=[_beside(point, rate=rate) for point in line.points],
    )


def _beside(point: Point, *, rate: bool) -> list[object]:
    """Return what the pointer shows of a point beside its place: with `rate` its tokens a second, as the table has."""
    told = "–" if point.tokens_per_s is None else show_scaled(point.tokens_per_s, "")
    known: list[object] = [_interval(point.ms, point.low, point.high), point.n or "–", escape(point.id)]
    return [*known, told] if rate else known


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
    ends = _ends(panel)
    placed = spread([(math.log10(ms) - low) / (high - low) * inner for _, ms, _ in ends], LABEL_HEIGHT, 0.0, inner)
    return [
        {"y": tidy(at / inner), "text": escape(text), "font": {"color": color}}
        for (text, _, color), at in zip(ends, placed, strict=True)
    ]


def _ends(panel: Panel) -> list[tuple[str, float, str]]:
    """Return what stands at the right end of each line, at which time, and in which ink; the ideal's last."""
    out = [(label(line), line.points[-1].ms, INK[line.family]) for line in panel.lines]
    if panel.ideal:
        out.append((f"ideal {round(panel.ideal.power, 2):g}", panel.ideal.points[-1][1], MUTE))
    return out
