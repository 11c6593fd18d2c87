"""Prints a History as one self-contained HTML page, as `reports.page` prints a Review."""

from __future__ import annotations

from itertools import groupby

from harness.metrics import METRICS
from reports.figures.base import Drawn
from reports.history import figures, words
from reports.history.axes import shown
from reports.history.history import History
from reports.history.shifts import Line
from reports.markup.assets import STYLES, plotly_js, policy, script, styles
from reports.markup.environment import environment
from reports.markup.texts import VERDICT_CLASS
from reports.markup.thin import thin

ROWS = 60
"""Groups of changes that the page lists."""
MEMBERS = 12
"""Cases that one of them lists."""


def render_page(history: History) -> str:
    """Return the page; the same History always gives the same bytes."""
    drawn = figures.figures(history)
    scripts = {
        "plotly": plotly_js(),
        "picture": script("picture.js"),
        "boot": script("unpack.js", "boot.js"),
        "script": script("page.js"),
    }
    page = (
        environment()
        .get_template("history.html.j2")
        .render(
            history=history,
            stops=history.runs.stops,
            variants=by_variant(history, drawn),
            figures=drawn,
            classes=VERDICT_CLASS,
            rows=ROWS,
            members=MEMBERS,
            words=words,
            shown=shown,
            unit=lambda metric: METRICS[metric].unit,
            eras={era.first: era for era in history.runs.eras[1:]},
            nights={night.run: night for night in history.runs.nights},
            css=styles((*STYLES, "changes.css", "history.css")),
            policy=policy(scripts.values()),
            **scripts,
        )
    )
    return thin(page)


def by_variant(history: History, drawn: list[Drawn]) -> list[tuple[Line, list[tuple[Line, Drawn]]]]:
    """Return the drawn trends by variant, each with its first: the variant that changed most comes first."""
    pairs = list(zip(history.trends.lines, drawn, strict=False))
    order = list(dict.fromkeys(line.subject.variant for line, _ in pairs))
    ranked = sorted(pairs, key=lambda pair: order.index(pair[0].subject.variant))
    groups = [list(some) for _, some in groupby(ranked, key=lambda pair: pair[0].subject.variant)]
    return [(some[0][0], some) for some in groups]
