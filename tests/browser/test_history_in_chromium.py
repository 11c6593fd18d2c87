"""The history of many runs in Chromium with the network off, wide and narrow, light, dark and on paper."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from reports import render_history
from tests import fake_history
from tests.browser.test_page_in_chromium import OUTSIDE, PALE, browser, clashes, pytestmark, visit
from tests.test_history import torch_changes
from tests.test_history_page import mixed

if TYPE_CHECKING:
    from playwright.sync_api import Browser

__all__ = ["browser", "pytestmark"]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("runs")
    folders = fake_history.write(root, 24, plant=mixed, top=lambda run: torch_changes(run + 7))
    return render_history(folders, html=root / "history.html").html


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_it_is_quiet_fits_and_can_be_read(
    browser: Browser,
    page: Path,
    width: int,
    scheme: Literal["light", "dark"],
) -> None:
    opened = visit(browser, page, width=width, scheme=scheme)
    assert opened.said == []
    assert [url for url in opened.asked if not url.startswith(("file:", "data:"))] == []
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
    assert opened.page.evaluate(OUTSIDE) == []
    assert opened.page.evaluate(PALE) == []
    assert opened.page.locator(".plot .main-svg").count() >= 5
    opened.page.context.close()


def test_no_label_is_cut_off_or_lies_on_another(browser: Browser, page: Path) -> None:
    for width in (1280, 390):
        opened = visit(browser, page, width=width)
        assert clashes(opened.page) == []
        opened.page.context.close()


def test_the_changes_need_no_javascript_and_stand_on_paper(
    browser: Browser,
    page: Path,
    tmp_path: Path,
) -> None:
    opened = visit(browser, page, script=False)
    text = opened.page.inner_text("body")
    for words in ("cases changed", "slower", "worse", "stand alone", "Environment changed", "Charts are drawn"):
        assert words in text, words
    opened.page.context.close()
    opened = visit(browser, page, scheme="dark")
    target = tmp_path / "history.pdf"
    opened.page.pdf(path=str(target), prefer_css_page_size=True)
    opened.page.context.close()
    reader = shutil.which("pdftotext")
    if reader is None:
        pytest.skip("the PDF was made; pdftotext is not here to read it")
    paper = subprocess.run([reader, str(target), "-"], capture_output=True, text=True, check=True).stdout
    for words in ("cases changed", "slower", "worse", "stand alone", "Environment changed"):
        assert words in paper, words
    assert paper.count("\f") <= 6
