"""How near does the predicted time come? Measured over predicted against the prediction, one mark a case."""

from __future__ import annotations

import plotly.graph_objects as go

from reports.figures.base import Drawn, decade_ticks, log_span, short
from reports.figures.ratios import add_ratios
from reports.review import Review
from reports.sections.prediction_pairs import Pair
from reports.theme import base_layout, log_axis
from reports.words import plain

HEIGHT = 300
MOST = 600
"""Marks of a chart: of more cases every so many-th by its error, and the worst ones."""
WITHIN = 0.1
"""The chart shows at least this much around 1."""
HOVER = "<b>%{customdata}</b><br>%{x:.3g} ms predicted, measured %{y:.2f}×<extra></extra>"


def figures(review: Review) -> list[Drawn]:
    """Return the one figure, or none where fewer than two cases were predicted."""
    pairs = list(review.prediction.pairs)
    if len(pairs) < 2:
        return []
    return [
        Drawn(
            id="fig-prediction",
            title="Measured over predicted time",
            unit="one mark a case, all settings; 1 is the ideal line",
            alt=caption(review),
            figure=figure(pairs),
        )
    ]


def caption(review: Review) -> str:
    """Return the section's finding in words."""
    return plain(review.prediction.finding)


def figure(pairs: list[Pair]) -> go.Figure:
    """Return the ratio of measured to predicted time against the prediction, and the line where both are the same."""
    shown = thinned(pairs)
    across = log_span([pair.predicted for pair in shown], pad=0.08)
    out = go.Figure(layout=base_layout(HEIGHT, HOVER, margin={"l": 46, "r": 20, "t": 10, "b": 46, "pad": 0}))
    add_ratios(out, [(pair.subject, short(pair.predicted), short(pair.ratio)) for pair in shown], WITHIN)
    ticks = decade_ticks(10 ** across[0], 10 ** across[1])
    out.update_xaxes(log_axis([(x, f"{x:g}") for x in ticks], across, grid=False, title="predicted ms, log"))
    return out


def thinned(pairs: list[Pair]) -> list[Pair]:
    """Return `pairs`, or of too many MOST of them, from the best to the worst prediction, in their order."""
    if len(pairs) <= MOST:
        return pairs
    ranked = sorted(range(len(pairs)), key=lambda index: -pairs[index].error)
    step = (len(pairs) - 1) / (MOST - 1)
    return [pairs[index] for index in sorted(ranked[round(place * step)] for place in range(MOST))]
