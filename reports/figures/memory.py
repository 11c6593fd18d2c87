"""How near did the closed form of the peak come? Measured over predicted, one mark a case."""

from __future__ import annotations

import math

import plotly.graph_objects as go

from reports.figures.base import Drawn, log_span, round_bytes, tidy
from reports.figures.ratios import add_ratios
from reports.review import Review
from reports.sections.peaks import CLOSE
from reports.theme import BAND, base_layout, log_axis

HEIGHT = 320
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
    marks = [(pair.subject, tidy(pair.predicted), tidy(pair.measured / pair.predicted)) for pair in pairs]
    add_ratios(out, marks, 2 * CLOSE)
    out.update_xaxes(log_axis(_ticks(low, high), (low, high), grid=False, title="predicted peak, log"))
    return out


def _ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Return powers of two, at most four."""
    first, last = math.ceil(low / math.log10(2)), math.floor(high / math.log10(2))
    step = max(1, math.ceil((last - first + 1) / 4))
    return [(2.0**power, round_bytes(2.0**power)) for power in range(first, last + 1, step)]
