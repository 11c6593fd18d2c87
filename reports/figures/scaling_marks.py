"""What a scaling chart marks beside its lines: the ideal, and where one line overtakes another."""

from __future__ import annotations

import math
from html import escape

import plotly.graph_objects as go

from reports.figures.base import CHARACTER, tidy
from reports.sections.scaling_lines import Ideal, Overtaking
from reports.sections.scaling_words import passing
from reports.theme import MUTE, PAPER

ROW, CLEAR = 14, 8
"""Pixels that the name of a crossover takes above the lines, and that keep it clear of them."""
NARROWEST = 286
"""Pixels of the narrowest panel, the one on paper."""


def headroom(rows: int) -> int:
    """Return the pixels that `rows` names of crossovers take above a chart."""
    return ROW * rows + CLEAR if rows else 0


def reached(ideal: Ideal | None) -> list[float]:
    """Return the times of the ideal, in ms."""
    return [ms for _, ms in ideal.points] if ideal else []


def dots(ideal: Ideal | None) -> list[go.Scatter]:
    """Return the ideal as a line of dots; no trace where there is none."""
    if ideal is None:
        return []
    xs, ys = [x for x, _ in ideal.points], [tidy(ms) for ms in reached(ideal)]
    return [
        go.Scatter(x=xs, y=ys, mode="lines", hoverinfo="skip", line={"color": MUTE, "dash": "1px,3px", "width": 1.2})
    ]


def band(crossing: Overtaking, row: int, inner: int) -> list[dict[str, object]]:
    """Return the interval of the axis at which a line overtakes another, and a rule from the axis up to its name."""
    at, top = crossing.at, 1 + (CLEAR + ROW * row) / inner
    rule = {"x0": tidy(at.value), "x1": tidy(at.value), "y1": tidy(top), "line": {"width": 1}}
    return [{"x0": tidy(at.low), "x1": tidy(at.high)}, rule]


def named(crossing: Overtaking, row: int, across: tuple[float, float], left: int, right: int) -> dict[str, object]:
    """Return the name of a crossover above the lines: right of its rule, or where the panel has room."""
    x, text = math.log10(crossing.at.value), passing(crossing)
    reach = CHARACTER * len(text)
    before = left + (x - across[0]) / (across[1] - across[0]) * (NARROWEST - left - right)
    side = "left" if NARROWEST - before >= reach else "right" if before >= reach else "center"
    return {"x": tidy(x), "xref": "x", "xanchor": side, "y": 1, "yanchor": "bottom", "yshift": CLEAR + ROW * row - 4,
            "text": escape(text), "bgcolor": PAPER}  # fmt: skip
