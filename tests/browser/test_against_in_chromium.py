"""A candidate against its baseline, and runs side by side, in Chromium with the network off."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest

from harness.case import Case
from reports import render, render_beside
from tests import fake_run
from tests.browser.test_page_in_chromium import LABELS, OUTSIDE, PALE, browser, pytestmark, visit
from tests.test_against import ELSEWHERE
from tests.test_beside import slow
from tests.test_page import HOSTILE
from tests.test_versus import again

if TYPE_CHECKING:
    from playwright.sync_api import Browser

__all__ = ["browser", "pytestmark"]
CASES = fake_run.quick_cases()
PAGES = ("against", "beside")
BEYOND = """() => [...document.querySelectorAll(".scale i")].map((mark) => [mark, mark.closest("section")])
  .filter(([mark]) => mark.getBoundingClientRect().width)
  .map(([mark, section]) => [mark.textContent, mark.getBoundingClientRect(), section.getBoundingClientRect()])
  .filter(([, mark, section]) => mark.left < section.left - .5 || mark.right > section.right + .5)
  .map(([text]) => text)"""
"""Marks of a scale that reach beyond their section."""
ASIDE = """() => [...document.querySelectorAll("table")]
  .map((table) => [table, table.querySelector("th.gl .scale"), table.querySelector("td.gl>svg")])
  .filter(([, scale, bars]) => scale && bars && scale.getBoundingClientRect().width)
  .map(([table, scale, bars]) => [table.className, scale.getBoundingClientRect(), bars.getBoundingClientRect()])
  .filter(([, scale, bars]) => Math.abs(scale.left - bars.left) > 1 || Math.abs(scale.right - bars.right) > 1)
  .map(([name]) => name)"""
"""Tables whose scale does not stand over its bars."""


def mixed(case: Case, record: dict[str, Any]) -> dict[str, Any]:
    """Some slower, some faster, one heavier, one out of memory."""
    if case.variant == "soft":
        record = slow(1.3)(record)
    if case.variant == "dense-1":
        record = slow(0.8)(record)
    if case.variant == "top-1" and case.experts == 32:
        record["metrics"]["memory_peak_bytes"]["value"] += 65536
        return fake_run.fail(record, "oom", f"it needs 251 GiB {HOSTILE}") if case.batch == 8 else record
    return record


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("runs")
    commits = [{"version": "0.1.0", "commit": f"{n}f3c1ab41d", "dirty": False, "source": "a"} for n in range(4)]
    runs = [
        fake_run.write_run(root / "base", CASES, edit=again(1), harness=commits[0]),
        fake_run.write_run(root / "candidate", CASES, edit=again(2, mixed), harness=commits[1], started="2026-11-22"),
        fake_run.write_run(root / "later", CASES, edit=again(3), harness=commits[2], started="2026-11-23"),
        fake_run.write_run(root / "elsewhere", CASES, edit=again(4), harness=commits[3], device=ELSEWHERE),
    ]
    return {
        "against": render(runs[1], html=root / "against.html", baseline=runs[0]).html,
        "beside": render_beside(runs, html=root / "beside.html").html,
    }


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_it_is_quiet_fits_and_can_be_read(
    browser: Browser,
    pages: dict[str, Path],
    name: str,
    width: int,
    scheme: Literal["light", "dark"],
) -> None:
    opened = visit(browser, pages[name], width=width, scheme=scheme)
    assert opened.said == []
    assert [url for url in opened.asked if not url.startswith(("file:", "data:"))] == []
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
    assert opened.page.evaluate(OUTSIDE) == []
    assert opened.page.evaluate(BEYOND) == []
    assert opened.page.evaluate(ASIDE) == []
    assert opened.page.evaluate(PALE) == []
    assert_labels_stand_clear(opened.page.evaluate(LABELS))
    opened.page.context.close()


def assert_labels_stand_clear(charts: list[list[Any]]) -> None:
    """No label is cut off, and none lies on another."""
    for labels in charts:
        assert all(left >= -1 and right <= 1 for _, left, right, *_ in labels), labels
        for index, (a, _, _, top, bottom, left, right) in enumerate(labels):
            for b, _, _, top2, bottom2, left2, right2 in labels[index + 1 :]:
                across, down = min(right, right2) - max(left, left2), min(bottom, bottom2) - max(top, top2)
                assert across <= 1 or down <= 2, (a, b)


WORDS = {
    "against": ("Against the baseline base", "slower", "faster", "out of memory", "it needs 251 GiB", "≠", "Drift",
                "counted together"),
    "beside": ("is fastest at", "the reference", "not comparable", "another device", "slower", "counted together"),
}  # fmt: skip


@pytest.mark.parametrize("name", PAGES)
def test_the_verdicts_need_no_javascript_and_stand_on_paper(
    browser: Browser,
    pages: dict[str, Path],
    name: str,
    tmp_path: Path,
) -> None:
    opened = visit(browser, pages[name], script=False)
    text = opened.page.inner_text("body")
    for words in WORDS[name]:
        assert words in text, words
    opened.page.context.close()
    opened = visit(browser, pages[name], scheme="dark")
    opened.page.pdf(path=str(tmp_path / "page.pdf"), prefer_css_page_size=True)
    opened.page.context.close()
    reader = shutil.which("pdftotext")
    if reader is None:
        pytest.skip("the PDF was made; pdftotext is not here to read it")
    paper = subprocess.run([reader, str(tmp_path / "page.pdf"), "-"], capture_output=True, text=True, check=True).stdout
    for words in WORDS[name]:
        assert words in " ".join(paper.split()), words


def test_a_row_opens_to_its_command_and_copies_it(browser: Browser, pages: dict[str, Path]) -> None:
    opened = visit(browser, pages["against"])
    opened.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    row = opened.page.locator(".reg .row").first
    row.locator("summary").click()
    row.locator(".copy").click()
    row.get_by_text("copied").wait_for()
    case = row.locator("summary").inner_text()
    copied = opened.page.evaluate("navigator.clipboard.readText()")
    assert copied == f"harness run quick --select 'id == \"{case}\"' --device cpu"
    opened.page.context.close()
