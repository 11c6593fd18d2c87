"""Takes pictures of a page's sections, in the light and the dark scheme, small enough to be kept."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from tests.gallery.chromium import DESK, Scheme, chromium, opened

if TYPE_CHECKING:
    from playwright.sync_api import Page

SCHEMES: tuple[Scheme, ...] = get_args(Scheme)
FIRST = "desk"
"""The picture of the first screen, as a desk's window shows it."""
TALLEST = 1500
"""Pixels of a section that are shown; the table of all cases goes on for thousands."""
ROOM = 14
"""Pixels around a section."""
COLOURS = 64
"""Of a picture's palette: a third of the bytes, and no colour further off than an eye tells."""


def picture_name(section: str, scheme: Scheme) -> str:
    """Return the file of a section's picture."""
    return f"{section}-{scheme}.png"


def take(html: Path, folder: Path, sections: Iterable[str]) -> None:
    """Write a picture of the first screen and of each section of the page `html` to `folder`, in both schemes."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = list(sections)
    with chromium() as browser:
        for scheme in SCHEMES:
            with opened(browser, html, scheme=scheme) as page:
                (folder / picture_name(FIRST, scheme)).write_bytes(_small(page.screenshot()))
                for section in wanted:
                    (folder / picture_name(section, scheme)).write_bytes(_small(_section(page, section)))


def _section(page: Page, section: str) -> bytes:
    box = page.evaluate(
        "(id) => { const b = document.getElementById(id).getBoundingClientRect();"
        " return {x: b.x, y: b.y + scrollY, width: b.width, height: b.height}; }",
        section,
    )
    clip = {"x": box["x"] - ROOM, "y": box["y"], "width": min(box["width"] + 2 * ROOM, DESK[0] - box["x"] + ROOM),
            "height": min(box["height"], TALLEST)}  # fmt: skip
    return page.screenshot(full_page=True, clip=clip)  # type: ignore[arg-type]  # a TypedDict of four floats


def _small(png: bytes) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    picture.quantize(COLOURS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
        out, "PNG", optimize=True
    )
    return out.getvalue()
