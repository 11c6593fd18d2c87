"""How near does the predicted time come? Measured over predicted against the prediction, one mark a case.

Where a cluster was given, also the times that are predicted on its devices beside those measured here.
"""

from __future__ import annotations

import math
from html import escape
from typing import Any

import plotly.graph_objects as go

from harness.metrics import show_ratio
from reports.figures.base import Drawn, decade_ticks, log_span
from reports.figures.memory import MARKS
from reports.labels import label
from reports.review import Review
from reports.sections.prediction import Elsewhere, Pair
from reports.theme import HUE, MUTE, PAPER, base_layout, log_axis, marker
from reports.words import plain

HEIGHT = 300
ROW = 26
"""Pixels of one case where devices are side by side."""
MOST = 600
"""Marks of a chart: of more cases every so many-th by its error, and the worst ones."""
HOVER = "<b>%{customdata}</b><br>%{x:.3g} ms predicted, measured %{y:.2f}×<extra></extra>"
HOVER_ELSEWHERE = "<b>%{fullData.name}</b><br>%{x:.3g} ms<extra></extra>"
SYMBOLS = ("circle-open", "square-open", "diamond-open", "triangle-up-open", "cross-thin-open", "x-thin-open")
"""Of the devices elsewhere, whose times are predictions: hollow."""
LETTERS = "○□◇△+×"
"""The same in words."""


def figures(review: Review) -> list[Drawn]:
    """Return the scatter of predictions here, and the dots of those elsewhere, each where there is something."""
    section, out = review.prediction, []
    if len(section.pairs) > 1:
        out.append(
            Drawn(
                id="fig-prediction",
                title="Measured over predicted time",
                unit="one mark a case, all settings; 1 is the ideal line",
                alt=caption(review),
                figure=figure(list(section.pairs)),
            )
        )
    if section.elsewhere:
        out.append(
            Drawn(
                id="fig-elsewhere",
                title=f"Measured here, predicted on {section.cluster}",
                unit=f"ms, {section.elsewhere[0].where}; ● measured here; predicted: {_key(section.places)}",
                alt=f"Predicted times on {', '.join(section.places)} beside the measured ones.",
                figure=elsewhere(section.elsewhere, section.places),
            )
        )
    return out


def caption(review: Review) -> str:
    """Return the section's finding in words."""
    return plain(review.prediction.finding)


def figure(pairs: list[Pair]) -> go.Figure:
    """Return the ratio of measured to predicted time against the prediction, and the line where both are the same."""
    shown = thinned(pairs)
    across = log_span([pair.predicted for pair in shown], pad=0.08)
    out = go.Figure(layout=base_layout(HEIGHT, HOVER, margin={"l": 46, "r": 20, "t": 10, "b": 46, "pad": 0}))
    out.add_hline(y=1, line={"color": MUTE, "width": 1})
    for variant in dict.fromkeys(pair.subject.variant for pair in shown):
        out.add_trace(_trace([pair for pair in shown if pair.subject.variant == variant]))
    ticks = decade_ticks(10 ** across[0], 10 ** across[1])
    out.update_xaxes(log_axis([(x, f"{x:g}") for x in ticks], across, grid=False, title="predicted ms, log"))
    out.update_yaxes(_ratio_axis([pair.ratio for pair in shown]))
    return out


def thinned(pairs: list[Pair]) -> list[Pair]:
    """Return `pairs`, or of too many MOST of them, from the best to the worst prediction, in their order."""
    if len(pairs) <= MOST:
        return pairs
    ranked = sorted(range(len(pairs)), key=lambda index: -pairs[index].error)
    step = (len(pairs) - 1) / (MOST - 1)
    return [pairs[index] for index in sorted(ranked[round(place * step)] for place in range(MOST))]


def elsewhere(rows: tuple[Elsewhere, ...], places: tuple[str, ...]) -> go.Figure:
    """Return for each case its measured time, and hollow the predicted ones, a mark for each place."""
    times = [row.measured for row in rows] + [_ms(row, index) for row in rows for index in range(len(places))]
    across = log_span([time for time in times if time], pad=0.08)
    height = 60 + ROW * len(rows)
    out = go.Figure(layout=base_layout(height, HOVER_ELSEWHERE, margin={"l": 170, "r": 20, "t": 10, "b": 46, "pad": 0}))
    up = list(range(len(rows)))
    solid: dict[str, Any] = {"symbol": "circle", "size": 8, "color": [HUE[row.subject.family] for row in rows]}
    out.add_trace(
        _dots("measured here", [row.measured for row in rows], solid | {"line": {"color": PAPER, "width": 1}})
    )
    for index, place in enumerate(places):
        hollow = {
            "symbol": SYMBOLS[index % len(SYMBOLS)],
            "size": 8,
            "color": MUTE,
            "line": {"color": MUTE, "width": 1.5},
        }
        out.add_trace(_dots(place, [_ms(row, index) for row in rows], hollow))
    ticks = decade_ticks(10 ** across[0], 10 ** across[1])
    out.update_xaxes(log_axis([(x, f"{x:g}") for x in ticks], across, grid=False, title="ms, log"))
    names = [escape(label(row.subject)) for row in rows]
    out.update_yaxes(tickvals=up, ticktext=names, range=[len(rows) - 0.5, -0.5])
    return out


def _key(places: tuple[str, ...]) -> str:
    return ", ".join(f"{letter} {place}" for letter, place in zip(LETTERS, places, strict=False))


def _dots(name: str, times: list[float | None], mark: dict[str, Any]) -> go.Scatter:
    ups = list(range(len(times)))
    return go.Scatter(name=escape(name), x=[_short(time) for time in times], y=ups, mode="markers", marker=mark)


def _ms(row: Elsewhere, place: int) -> float | None:
    found = row.priced[place].prediction
    return None if found is None else found.seconds * 1e3


def _ratio_axis(ratios: list[float]) -> dict[str, Any]:
    """Return a logarithmic axis that holds every ratio, with 1 among its marks."""
    low, high = min(0.9, *ratios) * 0.95, max(1.1, *ratios) * 1.05
    marks = next(marks for widest, marks in MARKS if high / low <= widest)
    shown = [(mark, show_ratio(mark)) for mark in marks if low <= mark <= high]
    return log_axis(shown, (math.log10(low), math.log10(high)), grid=True)


def _trace(pairs: list[Pair]) -> go.Scatter:
    subject = pairs[0].subject
    return go.Scatter(
        name=escape(subject.variant),
        x=[_short(pair.predicted) for pair in pairs],
        y=[_short(pair.ratio) for pair in pairs],
        mode="markers",
        marker=marker(subject.family, subject.step, size=7),
        customdata=[escape(pair.subject.id) for pair in pairs],
    )


def _short(value: float | None) -> float | None:
    """Return three significant digits: of so many marks nobody sees more, and the page stays small."""
    return None if value is None else float(f"{value:.3g}")
