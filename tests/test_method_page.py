"""The method page: each metric has a heading that says how it is measured, and no link leads nowhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.metrics import METRICS
from reports import method
from reports.sections.base import METHODS
from tests import fake_run

PAGE = method.render_method()
ANCHORS = set(re.findall(r'<h\d id="([^"]+)"', PAGE))


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_has_a_heading(metric: str) -> None:
    assert method.method_of(metric) in ANCHORS


def test_a_metric_without_a_method_is_an_error() -> None:
    with pytest.raises(KeyError):
        method.method_of("beauty")


def test_every_section_of_the_report_leads_to_a_heading() -> None:
    assert set(METHODS.values()) <= ANCHORS


def test_every_link_of_the_page_leads_somewhere() -> None:
    links = re.findall(r'href="([^"]+)"', PAGE)
    assert links
    for link in links:
        assert link == "data:," or link.startswith("https://") or link.removeprefix("#") in ANCHORS | {"method"}, link


def test_the_page_fetches_nothing_and_what_is_written_as_html_stays_text() -> None:
    assert "default-src 'none'" in PAGE
    assert "<script" not in PAGE
    assert "<table>" in PAGE
    assert "&lt;b&gt;" in method._MARKDOWN.render("a <b>word</b>")


@pytest.mark.parametrize(
    ("heading", "anchor"), [("Batch-determinism", "batch-determinism"), ("torch.compile", "torch-compile")]
)
def test_anchors(heading: str, anchor: str) -> None:
    assert method.anchor(heading) == anchor


def test_the_report_has_the_page_beside_it(tmp_path: Path) -> None:
    from reports import render

    folder = fake_run.write_run(tmp_path / "run", fake_run.sweep_cases())
    rendered = render(folder, html=tmp_path / "page.html")
    assert rendered.method == tmp_path / "method.html"
    assert rendered.method.read_text("utf-8") == PAGE
    assert "href=method.html#latency" in rendered.html.read_text("utf-8")


@pytest.mark.parametrize(
    ("page", "way"), [("run/report.html", ""), ("page.html", "run/"), ("other/page.html", "../run/")]
)
def test_the_report_leads_to_the_raw_samples(tmp_path: Path, page: str, way: str) -> None:
    from reports import render

    (tmp_path / "other").mkdir()
    folder = fake_run.write_run(tmp_path / "run", fake_run.sweep_cases())
    html = render(folder, html=tmp_path / page).html
    links = re.findall(r'href="?([^" >]*\.jsonl)', html.read_text("utf-8"))
    assert links == [f"{way}records.jsonl", f"{way}journal.jsonl"]
    assert (html.parent / links[0]).resolve() == folder.resolve() / "records.jsonl"
