"""Prints a Beside as one self-contained HTML page, as `reports.page` prints a Review."""

from __future__ import annotations

from reports.beside import figures
from reports.beside.beside import Beside
from reports.markup.assets import STYLES, plotly_js, policy, script, styles
from reports.markup.environment import environment
from reports.markup.thin import thin

LISTED, FOLDED = 80, 400
"""Cases that differ, and cases that do not, on the page."""
NUMBERS = 2
"""Numbers without noise that one cell tells."""


def render_page(found: Beside) -> str:
    """Return the page; the same Beside always gives the same bytes."""
    drawn = figures.figures(found)
    scripts = {
        "plotly": plotly_js(),
        "picture": script("picture.js"),
        "boot": script("unpack.js", "boot.js"),
        "script": script("page.js"),
    }
    page = (
        environment()
        .get_template("beside.html.j2")
        .render(
            beside=found,
            figures=drawn,
            panels=list(zip(found.multiples.panels, drawn, strict=True)),
            listed=LISTED,
            folded=FOLDED,
            numbers=NUMBERS,
            css=styles((*STYLES, "changes.css", "against.css", "beside.css")),
            policy=policy(scripts.values()),
            **scripts,
        )
    )
    return thin(page)
