"""The page on paper, printed from light and from dark: whole, legible, nothing cut off, no heading left alone."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from tests.browser.test_page_in_chromium import CHARTS, PALE, browser, clashes, pytestmark, report, visit

if TYPE_CHECKING:
    from playwright.sync_api import Browser

__all__ = ["browser", "pytestmark", "report"]

READER = shutil.which("pdftotext")
needs_reader = pytest.mark.skipif(READER is None, reason="there is no pdftotext to read the paper with")
BOX = re.compile(r'<word xMin="([\d.-]+)" yMin="([\d.-]+)" xMax="([\d.-]+)" yMax="([\d.-]+)">(.*?)</word>')
MARGIN = 28.0
"""Points at the sides of a page that nothing reaches into."""


@dataclass(frozen=True)
class Word:
    """A word on paper: its page, counted from 0, and its box in points."""

    text: str
    page: int
    left: float
    right: float
    top: float
    bottom: float


@pytest.fixture(scope="module", params=["light", "dark"])
def paper(
    browser: Browser, report: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Path:
    scheme: Literal["light", "dark"] = request.param
    opened = visit(browser, report, scheme=scheme)
    target = tmp_path_factory.mktemp("paper") / f"{scheme}.pdf"
    opened.page.pdf(path=str(target), prefer_css_page_size=True)
    opened.page.context.close()
    return target


@pytest.fixture(scope="module")
def told(browser: Browser, report: Path) -> dict[str, list[str]]:
    """What the screen says: its verdicts, the numbers on its cards, its headings and the titles of its charts."""
    opened = visit(browser, report)
    places = {"verdicts": ".card > .v", "cards": ".card .big b", "headings": "h2", "charts": "h3.sub"}
    words = {name: opened.page.locator(where).all_inner_texts() for name, where in places.items()}
    opened.page.context.close()
    return words


def read(paper: Path, *options: str) -> str:
    assert READER
    return subprocess.run([READER, *options, str(paper), "-"], capture_output=True, text=True, check=True).stdout


def words_of(paper: Path) -> tuple[list[Word], float, float]:
    """Return every word on paper, and the width and height of its pages."""
    pages = read(paper, "-bbox").split("<page ")[1:]
    found = [Word(unescape(text), number, float(left), float(right), float(top), float(bottom))
             for number, page in enumerate(pages)
             for left, top, right, bottom, text in BOX.findall(page)]  # fmt: skip
    size = re.match(r'width="([\d.]+)" height="([\d.]+)"', pages[0])
    assert size
    return found, float(size[1]), float(size[2])


def flat(text: str) -> str:
    """Return the words of `text` without what a line end does to them; an exponent is printed beside its base."""
    return re.sub(r"[\s-]+", "", text)


@needs_reader
def test_verdicts_cards_and_every_figure_are_on_paper(paper: Path, told: dict[str, list[str]]) -> None:
    text = flat(read(paper))
    assert len(told["verdicts"]) == len(told["cards"]) == 4
    assert len(told["charts"]) == CHARTS
    for words in (*told["verdicts"], *told["cards"], *told["charts"]):
        assert flat(words) in text, words
    for axis in ("experts, log", "slots an expert, log", "sequences, log", "d_model, log", "FLOPs a byte, log",
                 "bytes held, log", "predicted peak, log", "predicted ms, log", "round"):  # fmt: skip
        assert flat(axis) in text, axis


@needs_reader
def test_nothing_reaches_into_the_margins(paper: Path) -> None:
    words, width, height = words_of(paper)
    out = [word for word in words if word.left < MARGIN or word.right > width - MARGIN or word.bottom > height - MARGIN]
    assert out == []


@needs_reader
def test_no_heading_stands_alone_at_the_foot_of_a_page(paper: Path, told: dict[str, list[str]]) -> None:
    words, _, height = words_of(paper)
    names = {flat(heading) for heading in told["headings"]}
    for number in range(max(word.page for word in words) + 1):
        below = [word for word in words if word.page == number and word.top > 0.9 * height - MARGIN]
        foot = flat(" ".join(word.text for word in below))
        assert not [name for name in names if foot.endswith(name)], number


@needs_reader
def test_the_table_of_all_cases_is_left_off_and_says_so(paper: Path) -> None:
    text = read(paper)
    assert "The table of 128 cases is left off paper" in " ".join(text.split())
    assert text.count("m64-f32-forward_backward") < 20
    assert text.count("\f") <= 16


def test_paper_is_never_pale(browser: Browser, report: Path) -> None:
    opened = visit(browser, report, scheme="dark")
    opened.page.emulate_media(media="print", color_scheme="dark")
    assert opened.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert opened.page.evaluate(PALE) == []
    dark = opened.page.evaluate("getComputedStyle(document.querySelector('.v.slow')).color")
    opened.page.emulate_media(media="print", color_scheme="light")
    assert (
        opened.page.evaluate("getComputedStyle(document.querySelector('.v.slow')).color") == dark == "rgb(174, 0, 56)"
    )
    opened.page.context.close()


def test_no_label_is_cut_off_or_lies_on_another_on_paper(browser: Browser, report: Path) -> None:
    opened = visit(browser, report, width=688)  # of A4 between the margins
    opened.page.evaluate("dispatchEvent(new Event('beforeprint'))")  # first, as in print: charts are laid out unzoomed
    opened.page.wait_for_timeout(500)
    opened.page.emulate_media(media="print")
    widths = opened.page.evaluate(
        "[...document.querySelectorAll('.plot')].map((e) => e.clientWidth - e.querySelector('.main-svg').clientWidth)"
    )
    assert len(widths) == CHARTS
    assert all(0 <= room <= 60 for room in widths), widths
    assert clashes(opened.page) == []
    opened.page.context.close()
