"""How long 10,000 cases take in Chromium: until the page is ready, and from a filter to the rows that it leaves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from reports import render
from tests.browser.test_page_in_chromium import Visit, browser, visit
from tests.large_run import write_large_run

if TYPE_CHECKING:
    from playwright.sync_api import Browser

__all__ = ["browser"]

CASES, ROUNDS = 10_000, 7
FILTERED = """
(typed) => new Promise((done) => {
  const field = document.querySelector(".filters input");
  const start = performance.now();
  field.value = typed;
  field.dispatchEvent(new Event("input", { bubbles: true }));
  requestAnimationFrame(() => setTimeout(() => done(performance.now() - start)));
})
"""
"""Milliseconds from a key to the frame that shows what it leaves."""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = write_large_run(tmp_path_factory.mktemp("large") / "run", CASES)
    return render(run, html=run / "report.html").html


@pytest.fixture(scope="module")
def opened(browser: Browser, page: Path) -> Iterator[Visit]:
    opened = visit(browser, page)
    yield opened
    assert opened.said == []
    opened.page.context.close()


@pytest.mark.benchmark(group="page")
def test_the_page_of_ten_thousand_cases_is_ready(benchmark: BenchmarkFixture, browser: Browser, page: Path) -> None:
    def ready() -> None:
        visit(browser, page).page.context.close()

    benchmark.pedantic(ready, rounds=ROUNDS)  # type: ignore[no-untyped-call]
    benchmark.extra_info["megabytes"] = page.stat().st_size / 1e6


@pytest.mark.benchmark(group="page")
def test_ten_thousand_cases_are_filtered(benchmark: BenchmarkFixture, opened: Visit) -> None:
    typed = iter(["e32", "e32 b8", "soft", "", "dense b1", "xyz", "f32", "top-2 e64 b32"] * ROUNDS)
    seen: list[float] = []

    def filtered() -> None:
        seen.append(opened.page.evaluate(FILTERED, next(typed)))

    benchmark.pedantic(filtered, rounds=8 * ROUNDS)  # type: ignore[no-untyped-call]
    benchmark.extra_info |= {"worst_ms_to_the_frame": max(seen), "median_ms_to_the_frame": sorted(seen)[len(seen) // 2]}
