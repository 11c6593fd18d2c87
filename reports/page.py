"""Prints a Review as one self-contained HTML page: no request, a strict policy, complete without JavaScript."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any
from urllib.parse import quote

from reports.figures import a_a as a_a_figure
from reports.figures import elsewhere as elsewhere_figure
from reports.figures import fronts as fronts_figure
from reports.figures import memory as memory_figure
from reports.figures import prediction as prediction_figure
from reports.figures import quantiles as quantiles_figure
from reports.figures import roofline as roofline_figure
from reports.figures import rounds as rounds_figure
from reports.figures import scaling as scaling_figure
from reports.figures.base import Drawn
from reports.markup.assets import STYLES, plotly_js, policy, script, styles
from reports.markup.charts import figure_data, shared_by_all
from reports.markup.environment import environment
from reports.markup.packed import packed
from reports.markup.rows import Rows, table
from reports.markup.shapes import strip
from reports.markup.thin import thin
from reports.review import Review

FIGURES: dict[str, Callable[[Review], list[Drawn]]] = {
    "fronts": fronts_figure.figures,
    "scaling": scaling_figure.figures,
    "roofline": roofline_figure.figures,
    "prediction": lambda review: [*prediction_figure.figures(review), *elsewhere_figure.figures(review)],
    "memory": memory_figure.figures,
    "regressions": quantiles_figure.figures,
    "noise": lambda review: [*a_a_figure.figures(review), *rounds_figure.figures(review)],
}
"""Section: what draws its figures."""
AGAINST = ("changes.css", "against.css")
"""What a page with a baseline needs beside STYLES."""
SHOWN = 12
"""Rows of a group of changes that stand open; the others fold."""
NUMBERS = 6
"""Numbers of one case whose change its row tells."""


def render_page(review: Review, run_folder: str = "") -> str:
    """Return the page; the same Review always gives the same bytes.

    `run_folder` is the way from the page's folder to the run's, ending in a slash; empty where they are one.
    """
    drawn = drawings(review)
    figures = [*chain(*drawn.values())]
    scripts = [plotly_js(), script("picture.js")] if figures else []
    scripts += [script("unpack.js", "boot.js"), script("page.js", "cases.js")]
    cases = table(review.cases)
    page = (
        environment()
        .get_template("page.html.j2")
        .render(
            review=review,
            beside=quote(run_folder),
            figures=figures,
            front_ids={figure.id for figure in drawn.get("fronts", ())},
            panel_ids={figure.id for figure in drawn.get("scaling", ())},
            columns=scaling_figure.columns(review),
            strip=strip(review.coverage),
            quantiles=drawn.get("regressions", []),
            numbers=NUMBERS,
            table=cases,
            shown=SHOWN,
            css=styles((*STYLES, *AGAINST) if review.against else STYLES),
            policy=policy(scripts),
            packed=packed(_scripted(review, figures, cases)),
            scripts=scripts,
        )
    )
    return thin(page)


def _scripted(review: Review, drawn: Sequence[Drawn], cases: Rows) -> dict[str, Any]:
    """Return what only the page's scripts read: the charts, and the rows that are not drawn yet."""
    shared, listed = shared_by_all(review), review.shows("cases")
    rows = {row.subject.id: number for number, row in enumerate(review.cases.rows)} if listed else {}
    figures = {one.id: figure_data(one.figure, rows, shared) for one in drawn}
    return {"shared": shared, "figures": figures, "table": cases.data if listed else None}


def drawings(review: Review) -> dict[str, list[Drawn]]:
    """Return the charts of each section that is printed and has any."""
    made = {section.id: FIGURES[section.id](review) for section in review.sections if section.id in FIGURES}
    return {section: figures for section, figures in made.items() if figures}
