"""Prints a Review as one self-contained HTML page: no request, a strict policy, complete without JavaScript."""

from __future__ import annotations

from urllib.parse import quote

from reports.figures import fronts as fronts_figure
from reports.figures import memory as memory_figure
from reports.figures import quantiles as quantiles_figure
from reports.figures import roofline as roofline_figure
from reports.figures import scaling as scaling_figure
from reports.markup.assets import STYLES, plotly_js, policy, script, styles
from reports.markup.charts import shared_by_all
from reports.markup.environment import environment
from reports.markup.shapes import strip
from reports.markup.thin import thin
from reports.review import Review

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
    panels = scaling_figure.figures(review)
    fronts = fronts_figure.figures(review)
    quantiles = quantiles_figure.figures(review)
    drawn = [*fronts, *panels, *roofline_figure.figures(review), *memory_figure.figures(review), *quantiles]
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
            quantiles=quantiles,
            numbers=NUMBERS,
            shown=SHOWN,
            css=styles((*STYLES, *AGAINST) if review.against else STYLES),
            policy=policy(scripts.values()),
            shared=shared,
            **scripts,
        )
    )
    return thin(page)
