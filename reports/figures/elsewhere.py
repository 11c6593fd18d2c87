"""What would other devices take? Measured here and predicted there, a row a case, where a cluster was given."""

from __future__ import annotations

from html import escape
from typing import Any

import plotly.graph_objects as go

from reports.figures.base import Drawn, decade_ticks, log_span, short
from reports.labels import label
from reports.review import Review
from reports.sections.elsewhere import Elsewhere
from reports.theme import HUE, MUTE, PAPER, base_layout, log_axis

AROUND, ROW = 60, 26
"""Pixels of a chart around its rows, and of one case."""
HOVER = "<b>%{fullData.name}</b><br>%{x:.3g} ms<extra></extra>"
SYMBOLS = ("circle-open", "square-open", "diamond-open", "triangle-up-open", "cross-thin-open", "x-thin-open")
"""Of the devices, whose times are predictions: hollow."""
LETTERS = "○□◇△+×"
"""The same in words."""


def figures(review: Review) -> list[Drawn]:
    """Return the one figure, or none where no cluster was given."""
    section = review.prediction
    if not section.elsewhere:
        return []
    key = ", ".join(f"{letter} {place}" for letter, place in zip(LETTERS, section.places, strict=False))
    return [
        Drawn(
            id="fig-elsewhere",
            title=f"Measured here, predicted on {section.cluster}",
            unit=f"ms, {section.elsewhere[0].where}; ● measured here; predicted: {key}",
            alt=caption(review),
            figure=figure(section.elsewhere, section.places),
        )
    ]


def caption(review: Review) -> str:
    """Return in words what is side by side."""
    return f"Predicted times on {', '.join(review.prediction.places)} beside the measured ones."


def figure(rows: tuple[Elsewhere, ...], places: tuple[str, ...]) -> go.Figure:
    """Return for each case its measured time, solid, and the predicted ones, a hollow mark for each place."""
    here = [row.measured for row in rows]
    there = [[row.ms(index) for row in rows] for index in range(len(places))]
    across = log_span([time for times in (here, *there) for time in times if time], pad=0.08)
    margin = {"l": 170, "r": 20, "t": 10, "b": 46, "pad": 0}
    out = go.Figure(layout=base_layout(AROUND + ROW * len(rows), HOVER, margin=margin))
    out.add_trace(_dots("measured here", here, _solid(rows)))
    for name, times, symbol in zip(places, there, SYMBOLS, strict=False):
        out.add_trace(_dots(name, times, _hollow(symbol)))
    ticks = decade_ticks(10 ** across[0], 10 ** across[1])
    out.update_xaxes(log_axis([(x, f"{x:g}") for x in ticks], across, grid=False, title="ms, log"))
    names = [escape(label(row.subject)) for row in rows]
    out.update_yaxes(tickvals=list(range(len(rows))), ticktext=names, range=[len(rows) - 0.5, -0.5])
    return out


def _dots(name: str, times: list[float | None], mark: dict[str, Any]) -> go.Scatter:
    along = [None if time is None else short(time) for time in times]
    return go.Scatter(name=escape(name), x=along, y=list(range(len(times))), mode="markers", marker=mark)


def _solid(rows: tuple[Elsewhere, ...]) -> dict[str, Any]:
    hues = [HUE[row.subject.family] for row in rows]
    return {"symbol": "circle", "size": 8, "color": hues, "line": {"color": PAPER, "width": 1}}


def _hollow(symbol: str) -> dict[str, Any]:
    return {"symbol": symbol, "size": 8, "color": MUTE, "line": {"color": MUTE, "width": 1.5}}
