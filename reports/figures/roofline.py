"""How near does each phase come to its roof? FLOP/s against FLOPs a byte, both logarithmic."""

from __future__ import annotations

import math
from html import escape

import plotly.graph_objects as go

from harness.metrics import show_percent, show_scaled
from reports.figures.base import Drawn, decade_ticks, log_span, tidy
from reports.figures.roofs import Span, left_of, names
from reports.review import Review
from reports.sections.roofline_points import Point, Roof
from reports.theme import INK, MUTE, base_layout, log_axis, marker
from reports.words import plain

HEIGHT = 340
TOP, BOTTOM = 24, 46
HOVER = "<b>%{fullData.name}</b><br>%{x:.3g} FLOP/B, %{y:.3s}FLOP/s<br>%{customdata} of its roof<extra></extra>"
WRONG = "x-thin"
"""The mark of a point that cannot be where it is."""


def figures(review: Review) -> list[Drawn]:
    """Return the one figure, or none where no phase has products or no roof was measured."""
    roof, points = review.roofline.roof, _drawable(review)
    if roof is None or not points:
        return []
    return [
        Drawn(
            id="fig-roofline",
            title="Phases with products under the measured roofs",
            unit=f"FLOP/s against FLOP/B, one mark a phase, {review.roofline.where}",
            alt=caption(review),
            figure=figure(points, roof),
        )
    ]


def caption(review: Review) -> str:
    """Return the section's finding in words."""
    return plain(review.roofline.finding)


def figure(points: list[Point], roof: Roof) -> go.Figure:
    """Return the points under the roofs, which meet at the ridge."""
    across, up = _spans(points, roof)
    left, right = 10 ** across[0], 10 ** across[1]
    out = go.Figure(layout=base_layout(HEIGHT, HOVER, margin={"l": 66, "r": 20, "t": TOP, "b": BOTTOM, "pad": 0}))
    line = {"color": MUTE, "width": 1.4}
    knees = [left, roof.ridge, right]
    roofs = [tidy(roof.at(x)) for x in knees]
    out.add_trace(go.Scatter(x=[tidy(x) for x in knees], y=roofs, mode="lines", line=line, hoverinfo="skip"))
    for key in dict.fromkeys((p.subject.variant, p.subject.family, p.subject.step, p.phase) for p in points):
        mine = [p for p in points if (p.subject.variant, p.subject.family, p.subject.step, p.phase) == key]
        out.add_trace(_trace(mine, roof))
    ticks = [(mark, _round(mark)) for mark in decade_ticks(10 ** up[0], 10 ** up[1])]
    out.update_yaxes(log_axis(ticks, up, grid=True))
    marks = [(mark, f"{mark:g}") for mark in decade_ticks(left, right)]
    out.update_xaxes(log_axis(marks, across, grid=False, title="FLOPs a byte, log"))
    at = [(point.intensity, _rate(point, roof)) for point in points]
    out.update_layout(shapes=[_ridge(roof, up)], annotations=names(roof, at, across, up, HEIGHT - TOP - BOTTOM))
    return out


def _ridge(roof: Roof, up: Span) -> dict[str, object]:
    """Return the line from the axis up to where both roofs meet: left of it memory bounds, right of it products."""
    x, line = tidy(roof.ridge), {"width": 1, "dash": "1px,3px", "color": MUTE}
    return {
        "type": "line",
        "yref": "y",
        "y0": tidy(10 ** up[0]),
        "y1": tidy(roof.flops_per_s),
        "x0": x,
        "x1": x,
        "line": line,
    }


def _spans(points: list[Point], roof: Roof) -> tuple[Span, Span]:
    """Return the range of both axes, in log10, with room for the names of the roofs."""
    left, right = log_span([roof.ridge, *(point.intensity for point in points)], pad=0.12)
    up = log_span([roof.flops_per_s, *(_rate(point, roof) for point in points)], pad=0.12)
    return (left_of(math.log10(roof.ridge), right, left, roof), right), up


def _drawable(review: Review) -> list[Point]:
    return [point for point in review.roofline.points if point.flops]


def _round(rate: float) -> str:
    """Return round FLOP/s without idle zeros: `30 G`."""
    number, _, unit = show_scaled(rate, "").partition(" ")
    return f"{float(number):g} {unit}"


def _rate(point: Point, roof: Roof) -> float:
    return point.fraction * roof.at(point.intensity)


def _trace(points: list[Point], roof: Roof) -> go.Scatter:
    subject, phase = points[0].subject, points[0].phase
    drawn = marker(subject.family, subject.step, size=9 if phase == "experts" else 6)
    marks = [WRONG if point.standing == "above" else drawn["symbol"] for point in points]
    outline = drawn["line"] | {"color": INK[subject.family], "width": 2}
    pale = {} if phase == "experts" else {"opacity": 0.75}
    return go.Scatter(
        name=escape(f"{subject.variant}, {phase}"),
        x=[tidy(point.intensity) for point in points],
        y=[tidy(_rate(point, roof)) for point in points],
        mode="markers",
        marker=drawn | ({"symbol": marks, "line": outline} if WRONG in marks else {}) | pale,
        customdata=[show_percent(round(point.fraction, 3)) for point in points],
    )
