"""What the roofs are called, beside them: where no point is, however narrow the chart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from harness.metrics import show_scaled
from reports.figures.base import CHARACTER, LABEL_HEIGHT, tidy
from reports.sections.roofline_points import Roof
from reports.theme import MUTE

NARROWEST, WIDEST = 190, 360
"""Pixels between the axes of a chart on paper, and on a wide screen."""
CLEAR = 8
"""Pixels that keep a mark clear of a label."""
PLACES = (0.85, 0.7, 1.0, 0.55)
"""How far up the sloping roof its name may end, the best first."""
Span = tuple[float, float]


def left_of(ridge: float, right: float, left: float, roof: Roof) -> float:
    """Return where the axis begins, in log10, so that the sloping roof is as long as its name."""
    share = (CHARACTER * len(_copying(roof)) + CLEAR) / NARROWEST / PLACES[0]
    return min(left, (ridge - share * right) / (1 - share))


def names(roof: Roof, points: Sequence[Span], across: Span, up: Span, inner: float) -> list[dict[str, object]]:
    """Return both roofs' names; `points` are FLOPs a byte and FLOP/s, spans in log10, `inner` the height in pixels."""
    ridge, flat = math.log10(roof.ridge), math.log10(roof.flops_per_s)
    place = next((p for p in PLACES if not _covers(p, roof, points, across, up, inner)), PLACES[0])
    x = across[0] + place * (ridge - across[0])
    y = math.log10(roof.at(10**x))
    above = max([flat, *(math.log10(rate) + CLEAR * (up[1] - up[0]) / inner for _, rate in points if rate > 10**flat)])
    drawn = {"xref": "x", "yref": "y", "xanchor": "right", "yanchor": "bottom", "xshift": 0, "font": {"color": MUTE}}
    return [
        drawn | {"x": tidy(x), "y": tidy(y), "text": escape(_copying(roof)), "xshift": -2},
        drawn | {"x": tidy(across[1]), "y": tidy(above), "text": escape(show_scaled(roof.flops_per_s, "FLOP/s"))},
    ]


def _copying(roof: Roof) -> str:
    return show_scaled(roof.bytes_per_s, "B/s")


def _covers(place: float, roof: Roof, points: Sequence[Span], across: Span, up: Span, inner: float) -> bool:
    """Return whether a name that ends so far up the sloping roof would lie over a point, on paper or on a screen."""
    end = across[0] + place * (math.log10(roof.ridge) - across[0])
    foot = math.log10(roof.at(10**end))
    return any(
        -CHARACTER * len(_copying(roof)) - CLEAR < (math.log10(x) - end) * width / (across[1] - across[0]) < CLEAR
        and -CLEAR < (math.log10(rate) - foot) * inner / (up[1] - up[0]) < LABEL_HEIGHT + CLEAR
        for x, rate in points
        for width in (NARROWEST, WIDEST)
    )
