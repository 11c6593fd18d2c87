"""How did the whole sweep move? One line: which share of the cases has at most which ratio to its baseline."""

from __future__ import annotations

import math

import plotly.graph_objects as go

from harness.metrics import show_spread
from reports.against.curve import Curve
from reports.figures.base import Drawn, decade_ticks, tidy
from reports.review import Review
from reports.theme import BAND, BETTER_INK, MUTE, WORSE_INK, base_layout, log_axis
from reports.words import plain

HEIGHT = 290
TOP, BOTTOM, LEFT, RIGHT = 12, 46, 46, 14
LEAST = 1.06
"""The axis reaches at least so far on both sides of 1, and no further than MOST."""
MOST = 8.0
ROOM = 1.7
"""By how much further the axis reaches than the ratios, so that labels stand beside the line."""
HOVER = "%{y:.0%} of the cases take at most<br>%{x:.3f}× their baseline’s time<extra></extra>"


def figures(review: Review) -> list[Drawn]:
    """Return the curve, where latencies were compared."""
    curve = review.against.regressions.curve if review.against else None
    if curve is None:
        return []
    unit = f"share of cases with at most this ratio; grey: {band_words(curve)}"
    return [Drawn("fig-quantiles", "All cases in one line", unit, plain(curve.finding), figure(curve))]


def band_words(curve: Curve) -> str:
    """Return what the band is: `within ±3.0 %, the gate’s threshold`."""
    if not math.isfinite(curve.band):
        return "nothing can be told"
    return f"within ±{show_spread(curve.band)}, {curve.limit}"


def caption(review: Review) -> str:
    """Return the figure's caption, the finding."""
    curve = review.against.regressions.curve if review.against else None
    return plain(curve.finding) if curve else ""


def figure(curve: Curve) -> go.Figure:
    """Return the curve over a logarithmic axis with 1 in the middle, and what is not called a change as a band."""
    reach = _reach(curve)
    out = go.Figure(layout=base_layout(HEIGHT, HOVER, margin={"l": LEFT, "r": RIGHT, "t": TOP, "b": BOTTOM, "pad": 0}))
    xs = [1 / reach, *(min(reach, max(1 / reach, ratio)) for ratio in curve.ratios), reach]
    ys = [0.0, *curve.shares, 1.0]
    line = {"color": MUTE, "width": 1.8, "shape": "hv"}
    out.add_trace(go.Scatter(x=[tidy(x) for x in xs], y=[tidy(y) for y in ys], mode="lines", line=line))
    end = math.log10(reach)
    ticks = [(mark, f"{mark:g}") for mark in _ticks(reach)]
    out.update_xaxes(log_axis(ticks, (-end, end), grid=False, title="candidate over baseline, log"))
    shares = {"tickvals": [0, 0.25, 0.5, 0.75, 1], "ticktext": ["0 %", "25 %", "50 %", "75 %", "100 %"]}
    out.update_yaxes({"range": [-0.02, 1.02], **shares})
    out.update_layout(shapes=_shapes(curve.band, reach), annotations=_labels(curve))
    return out


def _reach(curve: Curve) -> float:
    ends = [max(ratio, 1 / ratio) for ratio in (curve.ratios[0], curve.ratios[-1])]
    beyond = 1 + curve.band if math.isfinite(curve.band) else LEAST
    return min(MOST, math.pow(max(LEAST, *ends, min(beyond, max(ends) ** 2)), ROOM))


def _ticks(reach: float) -> list[float]:
    """Return marks on both sides of 1, mirrored: 0.9, 1 and 1.1, or 0.5, 1 and 2."""
    if reach > 1.5:
        above = [mark for mark in decade_ticks(1.0, reach, most=4) if mark > 1.2]
        return sorted({1.0, *above, *(tidy(round(1 / mark, 2)) for mark in above)})
    step = next(step for step in (0.01, 0.02, 0.05, 0.1, 0.2) if reach - 1 <= 3.2 * step)
    return [round(1 + step * number, 2) for number in range(-4, 5) if 1 / reach <= 1 + step * number <= reach]


def _shapes(band: float, reach: float) -> list[dict[str, object]]:
    ends = (1 / reach, reach) if not math.isfinite(band) else (max(1 / reach, 1 / (1 + band)), min(reach, 1 + band))
    box = {"type": "rect", "x0": tidy(ends[0]), "x1": tidy(ends[1]), "fillcolor": BAND, "line": {"width": 0}}
    one = {"type": "line", "x0": 1, "x1": 1, "line": {"color": MUTE, "width": 1}}
    return [{"xref": "x", "yref": "paper", "y0": 0, "y1": 1, "layer": "below", **each} for each in (box, one)]


def _labels(curve: Curve) -> list[dict[str, object]]:
    """Return how many are slower and faster, where the line never is: below its right end, above its left."""
    at = {"xref": "paper", "yref": "paper", "xshift": 0}
    slower = {"x": 1, "y": 0.07, "xanchor": "right", "text": f"{curve.slower} slower", "font": {"color": WORSE_INK}}
    faster = {"x": 0.02, "y": 0.93, "text": f"{curve.faster} faster", "font": {"color": BETTER_INK}}
    return [at | each for each, number in ((slower, curve.slower), (faster, curve.faster)) if number]
