"""Prints a Review as one self-contained HTML page: no request, a strict policy, complete without JavaScript."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from urllib.parse import quote

from reports.figures import fronts as fronts_figure
from reports.figures import memory as memory_figure
from reports.figures import roofline as roofline_figure
from reports.figures import scaling as scaling_figure
from reports.figures.base import Drawn
from reports.markup.assets import plotly_js, policy, script, styles
from reports.markup.charts import shared_by_all
from reports.markup.environment import environment
from reports.markup.shapes import strip
from reports.markup.thin import thin
from reports.review import Review

FIGURES: dict[str, Callable[[Review], list[Drawn]]] = {
    "fronts": fronts_figure.figures,
    "scaling": scaling_figure.figures,
    "roofline": roofline_figure.figures,
    "memory": memory_figure.figures,
}
"""Section: what draws its figures."""


def render_page(review: Review, run_folder: str = "") -> str:
    """Return the page; the same Review always gives the same bytes.

    `run_folder` is the way from the page's folder to the run's, ending in a slash; empty where they are one.
    """
    drawn = drawings(review)
    figures = [*chain(*drawn.values())]
    scripts = [plotly_js(), script("picture.js")] if figures else []
    scripts += [script("boot.js"), script("page.js")]
    listed = review.cases.rows if review.shows("cases") else ()
    page = (
        environment()
        .get_template("page.html.j2")
        .render(
            review=review,
            beside=quote(run_folder),
            figures=figures,
            rows={row.subject.id: number for number, row in enumerate(listed)},
            front_ids={figure.id for figure in drawn.get("fronts", ())},
            panel_ids={figure.id for figure in drawn.get("scaling", ())},
            columns=scaling_figure.columns(review),
            strip=list(strip(review.coverage)),
            css=styles(),
            policy=policy(scripts),
            shared=shared_by_all(review),
            scripts=scripts,
        )
    )
    return thin(page)


def drawings(review: Review) -> dict[str, list[Drawn]]:
    """Return the charts of each section that is printed and has any."""
    made = {section: draw(review) for section, draw in FIGURES.items() if review.shows(section)}
    return {section: figures for section, figures in made.items() if figures}
