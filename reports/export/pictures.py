"""The charts of a run's page as SVG files: Chromium opens the page with the network off and presses each one's button.

So they are the bytes that a reader of the page gets, and the same at every export.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from reports.read import ReportError
from reports.results import Run

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Playwright

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
"""Programs that can draw, as systems name them; else Playwright's own is taken."""
FILES_A_PAGE = 8
"""Chromium takes ten files a second from a page, and drops the eleventh without a word."""
READY_MS = 120_000
NEEDED = (
    'pip install "moe-harness[svg]", and a Chromium on the PATH (Debian: apt-get install chromium) or that of '
    "`playwright install chromium`; or open the report and press SVG beside a chart"
)


def pictures(run: Run) -> dict[str, bytes]:
    """Return the SVG of each chart by the name of its file.

    Raises:
        ReportError: The run's page has no chart, or there is nothing to draw with.
    """
    from reports.page import FIGURES, drawings, render_page
    from reports.review import narrowed, review

    made = narrowed(review(run), tuple(FIGURES))
    if not drawings(made):
        raise ReportError(f"the report of {run.name} has no charts: too few of its cases have numbers.")
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        raise ReportError(f"drawing charts needs Playwright, which is not installed: {NEEDED}.") from None
    try:
        with sync_playwright() as play, _chromium(play) as browser:
            return _drawn(browser, render_page(made))
    except Error as error:
        why = next(iter(error.message.splitlines()), "no reason given")
        raise ReportError(f"Chromium did not draw the charts ({why}): {NEEDED}.") from None


def _chromium(play: Playwright) -> Browser:
    """Start a browser; a sandbox of its own it cannot have as root, and the page is ours and asks for nothing."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    alone = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    return play.chromium.launch(executable_path=program, args=["--disable-gpu", *alone])


def _drawn(browser: Browser, page: str) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "page.html"
        file.write_text(page, "utf-8")
        while True:
            opened = browser.new_page(offline=True, viewport={"width": 1280, "height": 900})
            opened.goto(file.as_uri())
            opened.wait_for_selector("html[data-ready]", timeout=READY_MS)
            left = opened.locator(".save").all()[len(found) :]
            for button in left[:FILES_A_PAGE]:
                with opened.expect_download() as download:
                    button.evaluate("button => button.click()")
                found[download.value.suggested_filename] = download.value.path().read_bytes()
            opened.close()
            if len(left) <= FILES_A_PAGE:
                break
    return found
