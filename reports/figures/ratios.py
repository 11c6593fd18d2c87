"""What charts of measured over predicted share: one mark a case around the line where both are the same."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import plotly.graph_objects as go

from harness.metrics import show_ratio
from reports.subjects import Subject
from reports.theme import MUTE, log_axis, marker

Mark = tuple[Subject, float, float]
"""A case, its prediction, and measured over predicted."""
TICKS = (
    (1.5, (0.85, 0.9, 0.95, 1, 1.05, 1.1, 1.15)),
    (6.0, (0.5, 0.75, 1, 1.5, 2, 3, 4)),
    (50.0, (0.1, 0.25, 0.5, 1, 2, 5, 10, 20)),
    (math.inf, tuple(10.0**power for power in range(-6, 7))),
)
"""Ticks for the ratio's axis, by the ratio of its ends."""
ROOM = 1.04
"""By what the axis goes beyond the ratios."""


def add_ratios(out: go.Figure, marks: Sequence[Mark], within: float) -> None:
    """Draw the marks, a trace a variant, and the line at 1; the axis holds every ratio, and at least 1 by `within`."""
    out.add_hline(y=1, line={"color": MUTE, "width": 1})
    for variant in dict.fromkeys(subject.variant for subject, _, _ in marks):
        out.add_trace(_trace([mark for mark in marks if mark[0].variant == variant]))
    out.update_yaxes(_axis([ratio for _, _, ratio in marks], within))


def _axis(ratios: Iterable[float], within: float) -> dict[str, Any]:
    low, high = min(1 - within, *ratios) / ROOM, max(1 + within, *ratios) * ROOM
    ticks = next(ticks for widest, ticks in TICKS if high / low <= widest)
    shown = [(tick, show_ratio(tick)) for tick in ticks if low <= tick <= high]
    return log_axis(shown, (math.log10(low), math.log10(high)), grid=True)


def _trace(marks: Sequence[Mark]) -> go.Scatter:
    subject = marks[0][0]
    return go.Scatter(
        name=escape(subject.variant),
        x=[x for _, x, _ in marks],
        y=[y for _, _, y in marks],
        mode="markers",
        marker=marker(subject.family, subject.step, size=7),
        customdata=[escape(each.id) for each, _, _ in marks],
    )
