"""How near did the closed form of the peak come? Measured over predicted, one mark a case."""

from __future__ import annotations

import math
from html import escape
from typing import Any

import plotly.graph_objects as go

from harness.metrics import show_ratio
from reports.figures.base import Drawn, log_span, round_bytes, tidy
from reports.review import Review
from reports.sections.peaks import CLOSE, Pair
from reports.theme import BAND, MUTE, base_layout, log_axis, marker

HEIGHT = 320
MARKS = (
    (1.5, (0.85, 0.9, 0.95, 1, 1.05, 1.1, 1.15)),
    (6.0, (0.5, 0.75, 1, 1.5, 2, 3, 4)),
    (50.0, (0.1, 0.25, 0.5, 1, 2, 5, 10, 20)),
    (math.inf, tuple(10.0**power for power in range(-6, 7))),
)
"""Marks for the ratio's axis, by the ratio of its ends."""
HOVER = "<b>%{customdata}</b><br>measured over predicted: %{y:.3f}<extra></extra>"


def figures(review: Review) -> list[Drawn]:
    """Return the one figure, or none where nothing was predicted."""
    if len(review.memory.pairs) < 2:
        return []
    return [
        Drawn(
            id="fig-predicted",
            title="Predicted beside measured",
            unit="measured peak over its closed form, all cases",
            alt=review.memory.prediction,
            figure=figure(review),
        )
    ]


def caption(review: Review) -> str:
    """Return how near the closed form came, in a sentence."""
    return review.memory.prediction


def figure(review: Review) -> go.Figure:
    """Return the ratio of measured to predicted against the prediction; the band is what is called close."""
    pairs = review.memory.pairs
    low, high = log_span([pair.predicted for pair in pairs], pad=0.08)
    out = go.Figure(layout=base_layout(HEIGHT, HOVER, margin={"l": 40, "r": 26, "t": 10, "b": 46, "pad": 0}))
    out.add_hrect(y0=1 - CLOSE, y1=1 + CLOSE, fillcolor=BAND, line_width=0, layer="below")
    out.add_hline(y=1, line={"color": MUTE, "width": 1})
    for key in dict.fromkeys((pair.subject.variant, pair.subject.family, pair.subject.step) for pair in pairs):
        mine = [p for p in pairs if (p.subject.variant, p.subject.family, p.subject.step) == key]
        out.add_trace(_trace(mine))
    out.update_xaxes(log_axis(_ticks(low, high), (low, high), grid=False, title="predicted peak, log"))
    out.update_yaxes(_ratio_axis([pair.measured / pair.predicted for pair in pairs]))
    return out


def _ratio_axis(ratios: list[float]) -> dict[str, Any]:
    """Return a logarithmic axis that holds every ratio and the band, with 1 among its marks."""
    low, high = min(1 - 2 * CLOSE, *ratios) * 0.97, max(1 + 2 * CLOSE, *ratios) * 1.03
    marks = next(marks for widest, marks in MARKS if high / low <= widest)
    shown = [(mark, show_ratio(mark)) for mark in marks if low <= mark <= high]
    return log_axis(shown, (math.log10(low), math.log10(high)), grid=True)


def _trace(pairs: list[Pair]) -> go.Scatter:
    subject = pairs[0].subject
    return go.Scatter(
        name=escape(subject.variant),
        x=[tidy(pair.predicted) for pair in pairs],
        y=[tidy(pair.measured / pair.predicted) for pair in pairs],
        mode="markers",
        marker=marker(subject.family, subject.step, size=7),
        customdata=[escape(pair.subject.id) for pair in pairs],
    )


def _ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Return powers of two, at most four."""
    first, last = math.ceil(low / math.log10(2)), math.floor(high / math.log10(2))
    step = max(1, math.ceil((last - first + 1) / 4))
    return [(2.0**power, round_bytes(2.0**power)) for power in range(first, last + 1, step)]
