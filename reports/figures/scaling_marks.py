"""What a scaling chart marks beside its lines: the ideal, and where one line overtakes another."""

from __future__ import annotations

import math
from html import escape

import plotly.graph_objects as go

from harness.metrics import show_interval, show_number
from reports.figures.base import tidy
from reports.sections.scaling_lines import Ideal, Overtaking
from reports.theme import MUTE, PAPER

ROW, CLEAR = 14, 8
"""Pixels that the name of a crossover takes above the lines, and that keep it clear of them."""
NARROWEST = 286
"""Pixels of the narrowest panel, the one on paper."""
DIGIT = 6.3
"""Mean width of a character at 11.5 px in a text with many digits."""


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
    """Return the name of a crossover above the lines: right of its rule, or as far left of that as it must begin."""
    x, text = math.log10(crossing.at.value), passing(crossing)
    rule = left + (x - across[0]) / (across[1] - across[0]) * (NARROWEST - left - right)
    shift = max(-rule, min(4, NARROWEST - DIGIT * len(text) - rule))
    return {"x": tidy(x), "xref": "x", "y": 1, "yanchor": "bottom", "yshift": CLEAR + ROW * row - 4,
            "xshift": round(shift), "text": escape(text), "bgcolor": PAPER}  # fmt: skip


def passing(crossing: Overtaking) -> str:
    """Return `soft passes dense at 13 [8, 19]`, names that are too long for a panel cut in their middle."""
    at = crossing.at
    where = f" at {show_number(at.value, at.low, at.high)} {show_interval(at.value, at.low, at.high)}"
    room = int(NARROWEST / DIGIT) - len(f" passes {where}")
    longest = max(room // 2, room - min(len(crossing.winner), len(crossing.other)))
    return f"{_middle(crossing.winner, longest)} passes {_middle(crossing.other, longest)}{where}"


def _middle(name: str, most: int) -> str:
    """Return `name` in at most `most` characters, both its ends kept: variants of one kind often differ by the last."""
    tail = most // 2
    return name if len(name) <= most else f"{name[: most - tail - 1]}…{name[-tail:]}"
