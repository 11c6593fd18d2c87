"""How far does a layer's time lie from its own? The ratio of every A/A pair, a row a family."""

from __future__ import annotations

import math

import plotly.graph_objects as go

from reports.figures.base import Drawn, decade_ticks, log_span, tidy
from reports.review import Review
from reports.sections.a_a import Again, SameAgainstSame
from reports.theme import BAND, HUE, MUTE, base_layout, log_axis, marker
from reports.words import plain

ROW, TOP, BOTTOM = 52, 10, 46
"""Pixels of a family's row, and around all rows."""
HOVER = "%{x:.3f}×<extra></extra>"
HALF = 0.26
"""Half the height of a box, in rows."""


def figures(review: Review) -> list[Drawn]:
    """Return the distribution, or none where the run has no A/A pairs."""
    found = review.noise.same
    if found is None:
        return []
    unit = "second label over first, one mark a round; grey is the noise floor"
    return [Drawn("fig-a-a", "The same layer, timed twice", unit, caption(review), figure(found))]


def caption(review: Review) -> str:
    """Return the finding in words, in one sentence."""
    return review.noise.same.finding[0].text if review.noise.same else plain(review.noise.finding)


def figure(found: SameAgainstSame) -> go.Figure:
    """Return a row of marks a family, its middle half as a box, and the noise floor as a band."""
    ends = (1 / (1 + found.band), 1 + found.band) if found.band else (1.0, 1.0)
    across = log_span([*ends, *(ratio for one in found.families for ratio in one.ratios)], pad=0.08)
    height = TOP + BOTTOM + ROW * len(found.families)
    out = go.Figure(layout=base_layout(height, HOVER, margin={"l": 84, "r": 14, "t": TOP, "b": BOTTOM, "pad": 0}))
    for row, one in enumerate(found.families):
        out.add_trace(_marks(one, row))
    low, high = 10 ** across[0], 10 ** across[1]
    ticks = sorted({1.0, *(mark for mark in decade_ticks(low, high) if abs(math.log(mark)) > math.log(1.1))})
    out.update_xaxes(log_axis([(x, f"{x:g}×") for x in ticks], across, grid=False))
    rows = {"tickvals": [*range(len(found.families))], "ticktext": [one.name for one in found.families]}
    out.update_yaxes({"range": [len(found.families) - 0.5, -0.5], **rows})
    out.update_layout(
        shapes=[*_behind(ends), *(shape for row, one in enumerate(found.families) for shape in _box(one, row))]
    )
    return out


def _marks(one: Again, row: int) -> go.Scatter:
    """Return the pairs in their row, every other one a little lower: so that two that are alike are seen as two."""
    return go.Scatter(
        name=one.name,
        x=[tidy(ratio) for ratio in one.ratios],
        y=[tidy(row + (0.1 if place % 2 else -0.1)) for place in range(len(one.ratios))],
        mode="markers",
        marker=marker(one.family, 0, size=6),
    )


def _behind(ends: tuple[float, float]) -> list[dict[str, object]]:
    band = {"x0": tidy(ends[0]), "x1": tidy(ends[1]), "fillcolor": BAND, "line": {"width": 0}}
    one = {"type": "line", "x0": 1, "x1": 1, "line": {"color": MUTE, "width": 1}}
    return [band, one] if ends[1] > 1 else [one]


def _box(one: Again, row: int) -> list[dict[str, object]]:
    """Return the middle half as an open box, and the median as a line through it."""
    low, middle, high = (tidy(value) for value in one.quarters)
    line = {"color": HUE[one.family], "width": 1.4}
    place = {"yref": "y", "y0": row - HALF, "y1": row + HALF, "line": line, "fillcolor": "rgba(0,0,0,0)"}
    return [place | {"x0": low, "x1": high}, place | {"type": "line", "x0": middle, "x1": middle}]
