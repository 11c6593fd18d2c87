"""The pages by axe-core, by keyboard and by what a screen reader is told: nobody is left out of a verdict."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest

from reports import render, render_history
from tests import fake_history, fake_run
from tests.browser.test_page_in_chromium import browser, pytestmark, visit

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")

__all__ = ["browser", "pytestmark"]

OPEN = "document.querySelectorAll('details').forEach((one) => { one.open = true; })"
GRAVE = ("moderate", "serious", "critical")
PLACES = [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]
Scheme = Literal["light", "dark"]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A report of a run that has some of everything, failures too, its method page, and a history."""
    root = tmp_path_factory.mktemp("pages")
    cases = [case for case in fake_run.quick_cases() if case.size == "S"]

    def edit(case: Any, record: dict[str, Any]) -> dict[str, Any]:
        large = case.batch == 8 and case.experts == 32 and case.variant == "top-2"
        return fake_run.fail(record, "oom", "needs 9 GiB") if large else record

    run = fake_run.write_run(root / "quick", cases, edit=edit, status="interrupted")
    made = render(run, html=root / "report.html")
    nights = fake_history.write(root / "nights", 12)
    history = render_history(nights, html=root / "nights" / "history.html").html
    return {"report": made.html, "method": root / "method.html", "history": history}


def faults(page: Page) -> list[str]:
    """Return what axe-core finds on the page with all its details open, one line a fault."""
    page.evaluate(OPEN)
    found = axe.Axe().run(page).response["violations"]
    return [f"{one['impact']} {one['id']}: {one['help']}: {[node['html'][:120] for node in one['nodes'][:3]]}"
            for one in found if one["impact"] in GRAVE]  # fmt: skip


@pytest.mark.parametrize(("width", "scheme"), PLACES)
def test_axe_finds_no_fault_in_a_report(browser: Browser, pages: dict[str, Path], width: int, scheme: Scheme) -> None:
    opened = visit(browser, pages["report"], width=width, scheme=scheme, policy=False)
    assert faults(opened.page) == []
    opened.page.context.close()


@pytest.mark.parametrize(("width", "scheme"), [PLACES[1], PLACES[2]])
@pytest.mark.parametrize("name", ["history", "method"])
def test_axe_finds_no_fault_in_the_other_pages(
    browser: Browser, pages: dict[str, Path], name: str, width: int, scheme: Scheme
) -> None:
    opened = visit(browser, pages[name], width=width, scheme=scheme, policy=False, charts=name == "history")
    assert faults(opened.page) == []
    opened.page.context.close()


def test_axe_would_find_a_fault(browser: Browser, pages: dict[str, Path]) -> None:
    opened = visit(browser, pages["method"], policy=False, charts=False)
    opened.page.evaluate(
        "document.querySelector('main').insertAdjacentHTML('beforeend', '<img src=data:,><button></button>')"
    )
    assert {line.split(":")[0] for line in faults(opened.page)} >= {"critical image-alt", "critical button-name"}
    opened.page.context.close()


def test_every_control_is_reached_by_the_tab_key_and_shows_it(browser: Browser, pages: dict[str, Path]) -> None:
    """From the skip link on: rail, method links, summaries, filters, sort buttons, copy; each with an outline."""
    opened = visit(browser, pages["report"])
    page = opened.page
    controls = page.evaluate(
        "[...document.querySelectorAll('a[href], button, input, select, summary')]"
        ".filter((e) => e.checkVisibility()).length"
    )
    met: set[str] = set()
    bare: list[str] = []
    for _ in range(controls):
        page.keyboard.press("Tab")
        name, outlined = page.evaluate(
            "(() => { const e = document.activeElement; e.dataset.met ??= String(Math.random());"
            " const s = getComputedStyle(e);"
            " return [e.dataset.met, s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2]; })()"
        )
        met.add(name)
        bare += [] if outlined else [page.evaluate("document.activeElement.outerHTML.slice(0, 80)")]
    assert len(met) == controls
    assert bare == []
    opened.page.context.close()


def test_the_skip_link_comes_first_and_leads_to_the_verdict(browser: Browser, pages: dict[str, Path]) -> None:
    opened = visit(browser, pages["report"])
    page = opened.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the verdict"
    assert page.evaluate("document.activeElement.getBoundingClientRect().left") >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#verdict"
    opened.page.context.close()


def test_cases_are_sorted_filtered_and_opened_by_keyboard_alone(browser: Browser, pages: dict[str, Path]) -> None:
    opened = visit(browser, pages["report"])
    page = opened.page
    button = page.locator(".cases th").nth(5).locator("button")
    button.focus()
    page.keyboard.press("Enter")
    assert page.locator(".cases th").nth(5).get_attribute("aria-sort") == "ascending"
    page.keyboard.press("Space")
    assert page.locator(".cases th").nth(5).get_attribute("aria-sort") == "descending"
    count = page.locator(".filters output")
    assert count.get_attribute("aria-live") == "polite"
    page.focus(".filters input")
    page.keyboard.type("soft e32")
    assert count.inner_text().startswith("8 of ")
    page.locator(".cases tbody tr:visible summary").first.focus()
    page.keyboard.press("Enter")
    page.locator(".cases tbody tr:visible .copy").first.wait_for()
    assert "harness run quick" in page.locator(".cases tbody tr:visible").first.inner_text()
    opened.page.context.close()


def test_a_screen_reader_is_told_every_chart_and_table(browser: Browser, pages: dict[str, Path]) -> None:
    """A chart is an image with its finding for a name; a table has a name and heads."""
    opened = visit(browser, pages["report"])
    charts = opened.page.evaluate(
        "[...document.querySelectorAll('.plot')].map((e) => [e.getAttribute('role'), e.getAttribute('aria-label')])"
    )
    assert len(charts) >= 8
    assert all(role == "img" and len(name) > 30 and name.endswith(".") for role, name in charts), charts
    tables = opened.page.evaluate(
        "[...document.querySelectorAll('section table')].map((e) => [e.getAttribute('aria-label') ?? '',"
        " e.querySelectorAll('thead th').length, e.rows[1]?.cells.length ?? 0, e.closest('section').id])"
    )
    for name, heads, cells, section in tables:
        assert name, section
        assert heads >= 2, section
        assert heads == cells or cells == 1, section
    opened.page.context.close()


def test_what_is_drawn_twice_is_told_once(browser: Browser, pages: dict[str, Path]) -> None:
    """Glyphs and bars stand beside their numbers: they are hidden from who hears the numbers."""
    opened = visit(browser, pages["report"])
    told = opened.page.evaluate(
        "[...document.querySelectorAll('main svg:not(.plot svg, svg svg)')]"
        ".filter((e) => e.getAttribute('aria-hidden') !== 'true' && !e.getAttribute('aria-label'))"
        ".map((e) => e.outerHTML.slice(0, 90))"
    )
    assert told == []
    opened.page.context.close()
