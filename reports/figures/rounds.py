"""Did the machine drift? Every sample of the first screen's cases by round, over its case's median."""

from __future__ import annotations

import math
from html import escape
from itertools import chain

import plotly.graph_objects as go

from reports.figures.base import Drawn, decade_ticks, log_span, short
from reports.review import Review
from reports.sections.rounds import Rounds, Strip
from reports.theme import MUTE, base_layout, log_axis, marker
from reports.words import plain

HEIGHT = 280
HOVER = "round %{x}: %{y:.3f}× in the median of all cases<extra></extra>"
SHARE = 0.8
"""Of a round's width, what its samples take."""
TICKS = 13
"""Rounds that are numbered at most."""


def figures(review: Review) -> list[Drawn]:
    """Return the strip, or none where no sample was kept."""
    found = review.noise.rounds
    if found is None or not found.strips:
        return []
    unit = f"time over the case’s median, by round; {found.where}"
    return [Drawn("fig-rounds", "Every sample, round by round", unit, caption(review), figure(found))]


def caption(review: Review) -> str:
    """Return the finding in words, in one sentence."""
    return review.noise.rounds.finding[0].text if review.noise.rounds else plain(review.noise.finding)


def figure(found: Rounds) -> go.Figure:
    """Return a strip of marks a round, and the median of all cases as a line."""
    seen = [ratio for strip in found.strips for ratio in chain(*strip.samples)]
    up = log_span([*seen, *(row.middle for row in found.rounds), 1.0])
    out = go.Figure(layout=base_layout(HEIGHT, HOVER, margin={"l": 52, "r": 12, "t": 10, "b": 46, "pad": 0}))
    for strip in found.strips:
        out.add_trace(_trace(strip))
    at = [row.number for row in found.rounds]
    middle = [short(row.middle) for row in found.rounds]
    out.add_trace(go.Scatter(x=at, y=middle, mode="lines", line={"color": MUTE, "width": 1.4}))
    last = max(*at, *(len(strip.samples) for strip in found.strips))
    step = math.ceil(last / TICKS)
    marks = [*range(1, last + 1, step)]
    out.update_xaxes({"range": [0.5, last + 0.5], "tickvals": marks, "title": {"text": "round"}})
    out.update_yaxes(log_axis([(y, f"{y:g}×") for y in _ticks(up)], up, grid=True))
    return out


def _ticks(up: tuple[float, float]) -> list[float]:
    """Return round ratios with 1 among them."""
    low, high = 10 ** up[0], 10 ** up[1]
    near = [mark for mark in (0.9, 0.95, 1.0, 1.05, 1.1) if low <= mark <= high]
    return near if high / low < 1.5 else sorted({1.0, *decade_ticks(low, high)})


def _trace(strip: Strip) -> go.Scatter:
    """Return the case's samples: each round's side by side, in the order in which they were taken."""
    spots = [
        (short(number + SHARE * ((place + 0.5) / len(ratios) - 0.5)), short(ratio))
        for number, ratios in enumerate(strip.samples, start=1)
        for place, ratio in enumerate(ratios)
    ]
    return go.Scatter(
        name=escape(strip.subject.variant),
        x=[x for x, _ in spots],
        y=[y for _, y in spots],
        mode="markers",
        marker=marker(strip.subject.family, strip.subject.step, size=5),
        hoverinfo="skip",
    )
