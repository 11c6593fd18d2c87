"""The reader's question is answered where the reader looks: on the first screen of the reference run's page."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

from reports import render
from tests.gallery.chromium import CHROMIUM, DESK, HAND, chromium, opened
from tests.reader import BATCH, told
from tests.test_reader import QUICK, assert_by_how_much, assert_invariance, assert_who

pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on the PATH")]

SEEN = """
(lowest) => [...document.querySelectorAll("#verdict h1, #verdict p, #verdict dl, #verdict .card")]
  .filter((e) => { const b = e.getBoundingClientRect(); return b.height && b.top >= 0 && b.bottom <= lowest; })
  .map((e) => e.innerText.replace(/\\s+/g, " ")).join("\\n")
"""
"""The words of the first screen: all that lies wholly above a height."""


@pytest.mark.parametrize(
    ("size", "screens"), [(DESK, 1), (HAND, 2)], ids=["on one screen of a desk", "on two of a telephone"]
)
def test_the_reader_is_answered_before_scrolling(tmp_path: Path, size: tuple[int, int], screens: int) -> None:
    page = render(QUICK, html=tmp_path / "page.html").html
    with chromium() as browser, opened(browser, page, size, script=False) as shown:
        seen = shown.evaluate(SEEN, size[1] * screens)
    answer, expected = told_first(seen), told(QUICK)
    assert f"batch {BATCH}" in answer
    assert_who(answer, expected)
    assert_by_how_much(answer, expected)
    assert_invariance(answer, expected)
    assert "Batch invariance" in seen


def told_first(seen: str) -> str:
    """Return the paragraph that answers."""
    return next((line for line in seen.splitlines() if "at equal FLOPs" in line), "")
