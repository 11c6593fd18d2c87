"""Strange, huge and hostile runs in Chromium: quiet, no wider than the screen, and no longer than a reader reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.declare.cluster_file import parse_cluster
from reports import render
from tests.browser.test_page_in_chromium import browser, pytestmark, visit
from tests.hostile_run import BIDI, SCRIPT, hostile_cluster, write_hostile_run
from tests.strange_runs import LONG, RUNS

if TYPE_CHECKING:
    from playwright.sync_api import Browser

__all__ = ["browser", "pytestmark"]

DESK = 34_000
"""Pixels that the page of a thousand variants has at most at 1280; that of `quick` has about 19,000."""


def size(browser: Browser, page: Path, width: int) -> tuple[int, int]:
    """Return width and height of an opened page that says nothing."""
    opened = visit(browser, page, width=width)
    assert opened.said == []
    wide, high = opened.page.evaluate("(e => [e.scrollWidth, e.scrollHeight])(document.documentElement)")
    opened.page.context.close()
    return wide, high


@pytest.mark.parametrize("name", ["huge numbers", "numbers of 1e59", "zeros", "all oom", "determinism alone"])
def test_a_strange_run_is_quiet_and_fits(browser: Browser, tmp_path: Path, name: str) -> None:
    page = render(RUNS[name](tmp_path / "run"), html=tmp_path / "page.html").html
    for width in (1280, 390):
        assert size(browser, page, width)[0] <= width


def test_a_thousand_variants_are_no_longer_than_a_reader_reads(browser: Browser, tmp_path: Path) -> None:
    page = render(RUNS["a thousand variants"](tmp_path / "run"), html=tmp_path / "page.html").html
    wide, high = size(browser, page, 1280)
    assert wide <= 1280
    assert high < DESK


@pytest.mark.parametrize("text", [SCRIPT, BIDI, LONG], ids=["script", "bidi", "long"])
def test_hostile_text_in_every_field_runs_nowhere_and_fits(browser: Browser, tmp_path: Path, text: str) -> None:
    run, cluster = write_hostile_run(tmp_path / "run", text), parse_cluster(hostile_cluster(text))
    page = render(run, html=tmp_path / "page.html", cluster=cluster).html
    for width in (1280, 390):
        assert size(browser, page, width)[0] <= width
