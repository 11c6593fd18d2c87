"""Prints a Review as one self-contained HTML page: no request, a strict policy, complete without JavaScript."""

from __future__ import annotations

from urllib.parse import quote

from reports.figures import elsewhere as elsewhere_figure
from reports.figures import fronts as fronts_figure
from reports.figures import memory as memory_figure
from reports.figures import prediction as prediction_figure
from reports.figures import roofline as roofline_figure
from reports.figures import scaling as scaling_figure
from reports.markup.assets import plotly_js, policy, script, styles
from reports.markup.charts import shared_by_all
from reports.markup.environment import environment
from reports.markup.shapes import strip
from reports.markup.thin import thin
from reports.review import Review


def render_page(review: Review, run_folder: str = "") -> str:
    """Return the page; the same Review always gives the same bytes.

    `run_folder` is the way from the page's folder to the run's, ending in a slash; empty where they are one.
    """
    panels = scaling_figure.figures(review)
    fronts = fronts_figure.figures(review)
    rest = (roofline_figure, prediction_figure, elsewhere_figure, memory_figure)
    drawn = [*fronts, *panels, *(one for each in rest for one in each.figures(review))]
    scripts = {"plotly": plotly_js(), "boot": script("boot.js"), "script": script("page.js")}
    shared = shared_by_all(review)
    page = (
        environment()
        .get_template("page.html.j2")
        .render(
            review=review,
            beside=quote(run_folder),
            figures=drawn,
            rows={row.subject.id: number for number, row in enumerate(review.cases.rows)},
            front_ids={figure.id for figure in fronts},
            panel_ids={figure.id for figure in panels},
            columns=scaling_figure.columns(review),
            strip=list(strip(review.coverage)),
            css=styles(),
            policy=policy(scripts.values()),
            shared=shared,
            **scripts,
        )
    )
    return thin(page)
