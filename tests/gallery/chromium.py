"""Opens pages in the machine's Chromium with the network off."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
DESK, HAND = (1280, 900), (390, 844)
"""Width and height in pixels of a desk's window, and of a telephone's."""
Scheme = Literal["light", "dark"]


@contextmanager
def chromium() -> Iterator[Browser]:
    """Give a Chromium, and end it."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(
    browser: Browser, html: Path, size: tuple[int, int] = DESK, scheme: Scheme = "light", *, script: bool = True
) -> Iterator[Page]:
    """Give the page `html` in a window of `size`, its charts drawn, and close it."""
    context = browser.new_context(
        offline=True,
        color_scheme=scheme,
        viewport={"width": size[0], "height": size[1]},
        java_script_enabled=script,
    )
    try:
        page = context.new_page()
        page.goto(html.resolve().as_uri())
        if script:
            page.wait_for_selector("html[data-ready]", timeout=30_000)
        yield page
    finally:
        context.close()
