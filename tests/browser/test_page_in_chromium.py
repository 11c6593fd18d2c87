"""The page in Chromium with the network off: nothing asked for, nothing complained of, nothing cut off."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from reports import render
from tests import fake_run
from tests.fake_journal import write_journal
from tests.test_page import hostile_run

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]

pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on the PATH")]


LABELS = """
[...document.querySelectorAll(".plot")].map((plot) => {
  const frame = plot.getBoundingClientRect();
  const texts = [...plot.querySelectorAll(".annotation-text, .xtick text, .ytick text, .g-xtitle text")];
  return texts.map((text) => [text.textContent, text.getBoundingClientRect()]).map(([text, box]) =>
    [text, box.left - frame.left, box.right - frame.right, box.top, box.bottom, box.left, box.right]);
})
"""
"""Every label of every chart: its text, how far it reaches beyond its chart on both sides, and its box."""

OUTSIDE = """
[...document.querySelectorAll("main *")]
  .filter((e) => e.children.length === 0 && e.textContent.trim())
  .filter((e) => !e.closest("details:not([open]), svg, .data"))
  .filter((e) => { const b = e.getBoundingClientRect(); return b.width && (b.right > innerWidth + 1 || b.left < -1); })
  .map((e) => e.textContent.slice(0, 60))
"""
"""Text that leaves the page on a side."""

PALE = """
(() => {
  const part = (v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  const light = (color) => {
    const [r, g, b] = color.match(/[\\d.]+/g).map((v) => part(Number(v) / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = light(getComputedStyle(document.body).backgroundColor);
  const contrast = (color) => {
    const [low, high] = [light(color), ground].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const words = [...document.querySelectorAll("main :is(p, td, th, h1, h2, h3, dd, dt, .v)")];
  const labels = [...document.querySelectorAll(".plot text")];
  return [...words.map((e) => [e.textContent.slice(0, 30), contrast(getComputedStyle(e).color)]),
          ...labels.map((e) => [e.textContent, contrast(getComputedStyle(e).fill)])].filter(([, ratio]) => ratio < 4.5);
})()
"""
"""Text whose contrast with the page is below 4.5."""


CHARTS = 13
"""Charts of the page of `report`."""


@dataclass
class Visit:
    """An open page, and everything that it said or asked for."""

    page: Page
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    cases = fake_run.quick_cases()
    folder = fake_run.write_run(tmp_path_factory.mktemp("run") / "quick", cases)
    write_journal(folder, [cases[0].id, cases[5].id], (1.0, 0.97, 1.3, 1.02))
    return render(folder, html=folder / "report.html").html


def visit(
    browser: Browser,
    report: Path,
    *,
    width: int = 1280,
    scheme: Literal["light", "dark"] = "light",
    query: str = "",
    script: bool = True,
    charts: bool = True,
    policy: bool = True,
) -> Visit:
    """Open a page that has `charts` to wait for; `policy=False` lets a test bring a script of its own."""
    context = browser.new_context(
        offline=True,
        color_scheme=scheme,
        viewport={"width": width, "height": 900},
        java_script_enabled=script,
        bypass_csp=not policy,
    )
    opened = Visit(context.new_page())
    opened.page.on("console", lambda message: opened.said.append(message.text))
    opened.page.on("pageerror", lambda error: opened.said.append(str(error)))
    opened.page.on("dialog", lambda dialog: opened.said.append(f"dialog: {dialog.message}"))
    opened.page.on("request", lambda request: opened.asked.append(request.url))
    opened.page.add_init_script(
        "addEventListener('securitypolicyviolation', (e) => console.error('policy', e.violatedDirective))"
    )
    opened.page.goto(report.as_uri() + query)
    if script and charts:
        opened.page.wait_for_selector("html[data-ready]", timeout=30_000)
    return opened


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 768, 390])
def test_the_page_is_quiet_and_fits(
    browser: Browser, report: Path, width: int, scheme: Literal["light", "dark"]
) -> None:
    opened = visit(browser, report, width=width, scheme=scheme)
    page = opened.page
    assert opened.said == []
    assert [url for url in opened.asked if not url.startswith(("file:", "data:"))] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator(".plot .main-svg").count() >= 10
    page.hover(".plot")
    assert page.locator("[data-title*='Share'], [data-title*='loud'], .modebar-btn").count() == 0
    assert page.locator(".plot .legend, .plot canvas, .plot .gl-container *").count() == 0
    page.context.close()


def clashes(page: Page) -> list[tuple[str, ...]]:
    """Return the labels of charts that reach out of their chart, and the pairs that lie on each other."""
    found: list[tuple[str, ...]] = []
    for labels in page.evaluate(LABELS):
        found += [(text,) for text, left, right, *_ in labels if left < -1 or right > 1]
        for index, (a, _, _, top, bottom, left, right) in enumerate(labels):
            for b, _, _, top2, bottom2, left2, right2 in labels[index + 1 :]:
                across, down = min(right, right2) - max(left, left2), min(bottom, bottom2) - max(top, top2)
                found += [(a, b)] if across > 1 and down > 2 else []
    return found


def test_no_label_of_a_chart_is_cut_off_or_lies_on_another(browser: Browser, report: Path) -> None:
    for width in (1280, 390):
        opened = visit(browser, report, width=width)
        assert len(opened.page.evaluate(LABELS)) == CHARTS
        assert clashes(opened.page) == []
        opened.page.context.close()


def test_no_text_leaves_its_page(browser: Browser, report: Path) -> None:
    opened = visit(browser, report, width=390)
    outside = opened.page.evaluate(OUTSIDE)
    assert outside == []
    opened.page.context.close()


def test_the_verdicts_need_no_javascript(browser: Browser, report: Path) -> None:
    opened = visit(browser, report, script=False)
    text = opened.page.inner_text("body")
    for words in ("at equal FLOPs", "slower", "not batch-invariant", "bit-equal", "All 128 cases are ok", "coupled"):
        assert words in text, words
    assert "Charts are drawn with JavaScript" in text
    assert "A case again: harness run quick --select 'id == \"its name\"' --device cpu" in text
    assert opened.page.locator(".cases tbody tr").count() == 128
    opened.page.context.close()


def test_filters_sort_and_a_link_bring_the_same_view(browser: Browser, report: Path) -> None:
    opened = visit(browser, report)
    page = opened.page
    page.select_option(".filters select[name=variant]", label="soft")
    page.fill(".filters input", "e32 b8")
    page.click(".cases th:nth-child(6) button")
    shown = page.locator(".cases tbody tr:visible")
    times = [float(text) for text in page.locator(".cases tbody tr:visible td:nth-child(6)").all_inner_texts()]
    assert shown.count() == 8
    assert page.locator(".further").text_content() == ""
    assert times == sorted(times)
    page.click(".cases th:nth-child(6) button")
    down = [float(text) for text in page.locator(".cases tbody tr:visible td:nth-child(6)").all_inner_texts()]
    assert down == sorted(times, reverse=True)
    again = visit(browser, report, query=page.evaluate("location.hash"))
    assert again.page.locator(".cases tbody tr:visible td:first-child").all_inner_texts() == \
        page.locator(".cases tbody tr:visible td:first-child").all_inner_texts()  # fmt: skip
    assert opened.said == again.said == []
    page.context.close()
    again.page.context.close()


def test_a_phone_gives_the_layer_of_a_determinism_row_its_whole_width(browser: Browser, report: Path) -> None:
    opened = visit(browser, report, width=390)
    for many in (False, True):
        opened.page.evaluate("(many) => document.querySelector('.det').classList.toggle('tight', many)", many)
        table, layer = opened.page.evaluate(
            "['.det', '.det tbody th'].map((e) => document.querySelector(e).clientWidth)"
        )
        assert layer == table > 300
    opened.page.context.close()


def test_a_phone_says_how_sure_a_time_is(browser: Browser, report: Path) -> None:
    opened = visit(browser, report, width=390)
    assert opened.page.locator(".cases tbody tr td:nth-child(7)").first.inner_text().startswith("±")
    assert opened.page.locator(".cases tbody tr:first-child td:nth-child(7)").is_visible()
    opened.page.context.close()


def test_an_intervals_bar_has_the_colour_of_its_verdict(browser: Browser, report: Path) -> None:
    """Bar and needle are one mark; on a telephone the labels of a folded row must not tint the bar."""
    tints = """[...document.querySelectorAll(".ratios td.gl[style]")].map((e) =>
        ["::before", "::after"].map((part) => getComputedStyle(e, part).backgroundColor))"""
    for width in (1280, 390):
        opened = visit(browser, report, width=width)
        found = opened.page.evaluate(tints)
        assert found
        assert [(bar, needle) for bar, needle in found if bar != needle] == []
        opened.page.context.close()


def test_sizes_are_sorted_by_bytes_not_by_their_text(browser: Browser, report: Path) -> None:
    opened = visit(browser, report)
    opened.page.click(".cases th:nth-child(11) button")
    texts = opened.page.locator(".cases tbody tr td:nth-child(11)").all_inner_texts()
    unit = {"KiB": 2**10, "MiB": 2**20}
    sizes = [float(number) * unit[name] for number, name in (text.split() for text in texts)]
    assert sizes == sorted(sizes)
    assert {name for _, name in (text.split() for text in texts)} == set(unit)
    opened.page.context.close()


def test_a_row_opens_to_its_command(browser: Browser, report: Path) -> None:
    opened = visit(browser, report)
    opened.page.click(".cases tbody tr:first-child summary")
    row = opened.page.locator(".cases tbody tr:first-child")
    name = row.locator("summary").inner_text()
    assert f"harness run quick --select 'id == \"{name}\"' --device cpu" in row.inner_text()
    opened.page.click(".cases tbody tr:first-child summary", click_count=2)
    assert row.get_by_role("button", name="copy").count() == 1
    opened.page.context.close()


def test_text_can_be_read_in_both_schemes(browser: Browser, report: Path) -> None:
    schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    for scheme in schemes:
        opened = visit(browser, report, scheme=scheme)
        low = opened.page.evaluate(PALE)
        assert low == [], scheme
        opened.page.context.close()


def test_hostile_text_runs_nowhere(browser: Browser, tmp_path: Path) -> None:
    report = render(hostile_run(tmp_path / "run"), html=tmp_path / "report.html").html
    for width in (1280, 390):
        opened = visit(browser, report, width=width)
        assert opened.said == []
        assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
        assert "<script>alert(1)</script>" in opened.page.inner_text("h1")
        opened.page.context.close()


def test_a_run_without_numbers_is_a_page_too(browser: Browser, tmp_path: Path) -> None:
    run = fake_run.write_run(tmp_path / "run", fake_run.quick_cases(),
                             edit=lambda _, record: fake_run.fail(record, "oom", "needs 9 GiB"))  # fmt: skip
    opened = visit(browser, render(run, html=tmp_path / "report.html").html)
    assert opened.said == []
    assert "No case has numbers" in opened.page.inner_text(".answer")
    opened.page.context.close()
