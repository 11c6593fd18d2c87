"""The charts as SVG files: each by its button, or all by `harness export --format svg`, and always the same bytes."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from xml.etree import ElementTree as Xml

import pytest

from reports import render, render_history
from reports.export import ReportError, pictures
from reports.export.pictures import FILES_A_PAGE
from reports.read import read_run
from tests import fake_history, fake_run
from tests.browser.test_page_in_chromium import CHARTS, Visit, browser, pytestmark, report, visit
from tests.test_cli import harness
from tests.test_export import command
from tests.test_page import HOSTILE, hostile_run

if TYPE_CHECKING:
    from playwright.sync_api import Browser

__all__ = ["browser", "pytestmark", "report"]

SVG = "{http://www.w3.org/2000/svg}"
BEYOND = """
[...document.querySelectorAll("text")].filter((text) => {
  const box = text.getBoundingClientRect();
  return box.width && (box.left < 0 || box.right > 640 || box.top < 0 || box.bottom > innerHeight);
}).map((text) => text.textContent)
"""
"""Words that leave the picture."""
LYING = """
(() => {
  const words = "tspan, .legendtext, .annotation-text, .xtick text, .ytick text, .xtitle";
  const boxes = [...document.querySelectorAll(words)].filter((text) => !text.querySelector("tspan"))
    .map((text) => [text.textContent, text.getBoundingClientRect()]);
  return boxes.flatMap(([a, one], index) => boxes.slice(index + 1).filter(([, other]) =>
    Math.min(one.right, other.right) - Math.max(one.left, other.left) > 1 &&
    Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top) > 3).map(([b]) => [a, b]));
})()
"""
"""Words that lie on others."""


def saved(opened: Visit) -> dict[str, str]:
    """Press every chart's button, and return the files by name."""
    found = {}
    for index, button in enumerate(opened.page.locator(".save").all(), 1):
        if index % FILES_A_PAGE == 0:
            opened.page.wait_for_timeout(1000)  # nobody presses ten a second, and Chromium drops the eleventh
        with opened.page.expect_download() as download:
            button.click()
        found[download.value.suggested_filename] = download.value.path().read_text("utf-8")
    return found


@pytest.fixture(scope="module")
def files(browser: Browser, report: Path) -> dict[str, str]:
    """The files of the page as a desk shows it."""
    opened = visit(browser, report)
    found = saved(opened)
    assert opened.said == []
    assert [url for url in opened.asked if not url.startswith(("file:", "data:", "blob:"))] == []
    opened.page.context.close()
    return found


def test_every_chart_has_a_file_that_says_what_it_shows(browser: Browser, report: Path, files: dict[str, str]) -> None:
    opened = visit(browser, report)
    plots = opened.page.locator(".plot")
    assert len(files) == plots.count() == opened.page.locator(".save").count() == CHARTS
    for plot in plots.all():
        root = Xml.fromstring(files[f"{str(plot.get_attribute('id')).removeprefix('fig-')}.svg"])
        assert root.findtext(f"{SVG}title") == plot.get_attribute("aria-label")
        caption = plot.evaluate("plot => plot.closest('section').querySelector('.cap').innerText")
        told = str(root.findtext(f"{SVG}desc"))
        assert " ".join(caption.split())[-60:] in told
        words = " ".join(each.text or "" for each in root.iter(f"{SVG}tspan"))
        assert str(plot.get_attribute("aria-label")) in words
        assert "(moe-harness, quick)" in words
    opened.page.context.close()


def test_a_file_needs_nothing_else(files: dict[str, str]) -> None:
    for source in files.values():
        root = Xml.fromstring(source)
        assert set(re.findall(r'https?://[^"]+', source)) <= {
            "http://www.w3.org/2000/svg",
            "http://www.w3.org/1999/xlink",
        }
        assert not {"script", "style", "image", "foreignObject"} & {each.tag.removeprefix(SVG) for each in root.iter()}
        assert "var(" not in source
        used = set(re.findall(r"url\('?#([\w-]+)'?\)", source))
        assert used <= set(re.findall(r'id="([\w-]+)"', source))
        assert 'fill="#fdfdfb"' in source
        assert "Liberation Sans" in source


def test_no_word_leaves_a_picture_or_lies_on_another(browser: Browser, files: dict[str, str], tmp_path: Path) -> None:
    page = browser.new_page()
    for name, source in files.items():
        (tmp_path / name).write_text(source, "utf-8")
        root = Xml.fromstring(source)
        page.set_viewport_size({"width": 640, "height": int(root.get("height", "0"))})
        page.goto((tmp_path / name).as_uri())
        assert page.evaluate(BEYOND) == [], name
        assert page.evaluate(LYING) == [], name
    page.close()


def test_names_that_no_label_has_stand_in_a_key(files: dict[str, str]) -> None:
    keys = {name: re.findall(r'class="legendtext"[^>]*>([^<]+)<', source) for name, source in files.items()}
    assert {"top-1", "soft", "dense-1"} <= set(keys["predicted.svg"])
    assert "soft, experts" in keys["roofline.svg"]
    assert keys["experts.svg"] == [], "every line is labelled at its end"
    assert "sparse MoE" in files["a-a.svg"], "its rows are families, named on the axis"
    for name, source in files.items():
        assert name == "a-a.svg" or all(variant in source for variant in ("soft", "top-1")), name


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark")])
def test_the_bytes_are_the_same_wherever_it_is_pressed(
    browser: Browser, report: Path, files: dict[str, str], width: int, scheme: Literal["light", "dark"]
) -> None:
    opened = visit(browser, report, width=width, scheme=scheme)
    assert saved(opened) == files
    opened.page.context.close()


def test_the_command_writes_the_same_files_each_time(report: Path, files: dict[str, str], tmp_path: Path) -> None:
    for folder in (tmp_path / "new" / "a", tmp_path):
        done = harness("export", report.parent, "--format", "svg", "-o", folder)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.split() == [str(folder / name) for name in files]
        assert {name: (folder / name).read_text("utf-8") for name in files} == files
    assert list(tmp_path.rglob(".*")) == []


def test_the_buttons_are_for_keys_and_not_for_paper(browser: Browser, report: Path) -> None:
    opened = visit(browser, report)
    button = opened.page.get_by_role("button", name="SVG of Experts")
    button.focus()
    with opened.page.expect_download() as download:
        opened.page.keyboard.press("Enter")
    assert download.value.suggested_filename == "experts.svg"
    opened.page.emulate_media(media="print")
    assert opened.page.locator(".save:visible").count() == 0
    opened.page.context.close()
    opened = visit(browser, report, script=False)
    assert opened.page.locator(".save").count() == 0
    opened.page.context.close()


def test_hostile_text_is_text_in_a_picture(browser: Browser, tmp_path: Path) -> None:
    opened = visit(browser, render(hostile_run(tmp_path / "run"), html=tmp_path / "report.html").html)
    found = saved(opened)
    assert opened.said == []
    assert found
    for source in found.values():
        root = Xml.fromstring(source)
        assert HOSTILE not in source
        assert not [each for each in root.iter() if each.tag.endswith("script")]
        assert HOSTILE.split("(")[0] in "".join(root.itertext()).replace(" ", "")
    opened.page.context.close()


def test_a_history_has_its_pictures_too(browser: Browser, tmp_path: Path) -> None:
    folders = fake_history.write(tmp_path, 6)
    opened = visit(browser, render_history(folders, html=tmp_path / "history.html").html)
    with opened.page.expect_download() as download:
        opened.page.locator(".save").first.click()
    name = download.value.suggested_filename
    assert re.fullmatch(r"trend-\d+\.svg", name)
    title = str(Xml.parse(download.value.path()).getroot().findtext(f"{SVG}title"))
    assert "over 6 runs" in title
    assert title.split(",")[0] in ("soft", "top-2", "dense"), "a picture says whose numbers it shows"
    assert opened.said == []
    opened.page.context.close()


def test_without_a_browser_it_says_what_to_install(report: Path, tmp_path: Path) -> None:
    nowhere = str(tmp_path)
    arguments = ("export", report.parent, "--format", "svg", "-o", tmp_path / "a")
    done = harness(*arguments, PATH=nowhere, PLAYWRIGHT_BROWSERS_PATH=nowhere)
    assert done.returncode == 2
    assert done.stderr.startswith("harness: Chromium did not draw the charts (")
    assert "apt-get install chromium" in done.stderr
    assert done.stderr.count("\n") == 1


def test_without_playwright_it_says_what_to_install(
    report: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "playwright.sync_api", None)
    done = command(report.parent, "--format", "svg", "-o", tmp_path / "a")
    assert done.exit_code == 2
    assert 'needs Playwright, which is not installed: pip install "moe-harness[svg]"' in done.stderr


def test_a_run_without_charts_says_so(tmp_path: Path) -> None:
    run = fake_run.write_run(tmp_path / "none", [fake_run.make_case("soft", "soft", experts=8)],
                             edit=lambda _, record: fake_run.fail(record, "oom", "too large"))  # fmt: skip
    with pytest.raises(ReportError, match="the report of none has no charts"):
        pictures.pictures(read_run(run))
