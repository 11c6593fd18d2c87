"""What does capacity cost? Each case by its cost and its capacity, those on the front joined and named."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

import plotly.graph_objects as go

from harness.metrics import show_scaled
from reports.figures.base import CHARACTER, LABEL_HEIGHT, Drawn, decade_ticks, log_span, round_bytes, spread, tidy
from reports.labels import cut
from reports.review import Review
from reports.sections.fronts_points import Front, Point, line_of
from reports.theme import HUE, INK, MUTE, base_layout, log_axis, marker
from reports.words import plain

HEIGHT = 272
TOP, BOTTOM, LEFT, RIGHT = 12, 46, 46, 12
INNER = 228
"""Width of a panel's plot in pixels on paper, where it is the narrowest and labels still find room left of marks."""
LONGEST = 20
"""Characters of a label: more would leave the marks no room."""
ROOM_UP = HEIGHT - TOP - BOTTOM
MARK = 8
"""Pixels of a mark."""
NAMED = 8
"""Marks that have a label."""
PALE = 0.35
Span = tuple[float, float]
"""Both ends of an axis, in log10."""
LEFT_OF_MARK = {"xref": "x", "xanchor": "right", "xshift": -7}
HOVER = "<b>%{fullData.name}</b><br>%{x:.4g} UNIT, %{y:.4s}<br>%{customdata}<extra></extra>"
AXIS = {"latency": "ms", "memory": "bytes held", "energy": "J for a million tokens"}
UNITS = {"latency": "ms", "memory": "B", "energy": "J/Mtoken"}


def figures(review: Review) -> list[Drawn]:
    """Return one figure for each cost and capacity."""
    return [
        Drawn(
            id=f"fig-{front.cost}-{front.capacity}",
            title=front.title,
            unit=front.where,
            alt=front.alt,
            figure=figure(front),
        )
        for front in review.fronts.fronts
    ]


def caption(review: Review) -> str:
    """Return the section's caption, the finding first."""
    return plain(review.fronts.caption)


def figure(front: Front) -> go.Figure:
    """Return the marks, and under them the step line through what is not dominated."""
    across = log_span([value for p in front.points for value in (p.cost, p.low or p.cost, p.high or p.cost)])
    up = log_span([point.capacity for point in front.points], pad=0.1)
    named = line_of(front.points)[-NAMED:]
    room = CHARACTER * max(len(_name(point)) for point in named) + 14
    across = (across[1] - (across[1] - across[0]) / (1 - room / INNER), across[1])
    hover = HOVER.replace("UNIT", UNITS[front.cost])
    out = go.Figure(layout=base_layout(HEIGHT, hover, margin={"l": LEFT, "r": RIGHT, "t": TOP, "b": BOTTOM, "pad": 0}))
    line = {"color": MUTE, "width": 1.2, "shape": "hv"}
    steps = line_of(front.points)
    at = {"x": [tidy(p.cost) for p in steps], "y": [p.capacity for p in steps]}
    out.add_trace(go.Scatter(**at, mode="lines", line=line, hoverinfo="skip"))
    for variant in dict.fromkeys(point.subject.variant for point in front.points):
        out.add_trace(_trace([point for point in front.points if point.subject.variant == variant]))
    show = round_bytes if front.cost == "memory" else "{:g}".format
    ticks = _powers(across) if front.cost == "memory" else decade_ticks(10 ** across[0], 10 ** across[1], most=4)
    out.update_xaxes(log_axis([(x, show(x)) for x in ticks], across, grid=False, title=f"{AXIS[front.cost]}, log"))
    ticks = decade_ticks(10 ** up[0], 10 ** up[1])
    out.update_yaxes(log_axis([(y, _round(y)) for y in ticks], up, grid=True))
    out.update_layout(annotations=_labels(named, front.points, across, up))
    return out


def _labels(named: Sequence[Point], every: Sequence[Point], across: Span, up: Span) -> list[dict[str, object]]:
    """Return labels left of their marks, where few cases can be: such a one would be cheaper. Moved apart."""
    wanted = [_height(point, up) for point in named]
    placed = spread(wanted, LABEL_HEIGHT, 0.0, float(ROOM_UP))
    return [
        {"x": tidy(_clear(point, at, every, across, up)), "y": tidy(at / ROOM_UP), **LEFT_OF_MARK,
         "text": escape(_name(point)), "font": {"color": INK[point.subject.family]}}
        for point, at in zip(named, placed, strict=True)
    ]  # fmt: skip


def _height(point: Point, up: Span) -> float:
    """Return where a mark stands, in pixels above the chart's foot."""
    return (math.log10(point.capacity) - up[0]) / (up[1] - up[0]) * ROOM_UP


def _left(point: Point) -> float:
    return math.log10(point.low or point.cost)


def _clear(point: Point, at: float, every: Sequence[Point], across: Span, up: Span) -> float:
    """Return, in log10, where the label of a mark ends: left of all marks that it would lie over, if there is room."""
    width = (CHARACTER * len(_name(point)) + MARK) * (across[1] - across[0]) / INNER
    level = [_left(other) for other in every if abs(_height(other, up) - at) < (LABEL_HEIGHT + MARK) / 2]
    end = _left(point)
    for other in sorted(level, reverse=True):
        if end - width < other < end:
            end = other
    return end if end - width > across[0] else _left(point)


def _name(point: Point) -> str:
    return cut(point.label, LONGEST)


def _trace(points: list[Point]) -> go.Scatter:
    subject = points[0].subject
    drawn = marker(subject.family, subject.step, size=7)
    pale = [PALE if point.standing == "dominated" else 1 for point in points]
    ends = [(point.low, point.high) for point in points]
    known = all(low is not None and high is not None for low, high in ends)
    error = {
        "color": HUE[subject.family],
        "array": [tidy((point.high or 0.0) - point.cost) for point in points],
        "arrayminus": [tidy(point.cost - (point.low or 0.0)) for point in points],
    }
    return go.Scatter(
        name=escape(subject.variant),
        x=[tidy(point.cost) for point in points],
        y=[point.capacity for point in points],
        mode="markers",
        marker=drawn | ({"opacity": pale} if PALE in pale else {}),
        error_x=error if known else None,
        customdata=[escape(point.subject.id) for point in points],
    )


def _powers(across: tuple[float, float]) -> list[float]:
    """Return powers of two, at most four."""
    first, last = math.ceil(across[0] / math.log10(2)), math.floor(across[1] / math.log10(2))
    step = max(1, math.ceil((last - first + 1) / 4))
    return [2.0**power for power in range(first, last + 1, step)]


def _round(value: float) -> str:
    number, _, unit = show_scaled(value, "").partition(" ")
    return f"{float(number):g} {unit}".strip()
