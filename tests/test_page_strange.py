"""Strange, hostile and damaged runs: each renders, says what is wrong, and shows every text as text."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import pytest
from junitparser import JUnitXml

from harness.declare.cluster_file import parse_cluster
from reports import ReportError, render, render_beside, render_history
from reports.data import render_data
from reports.markup.assets import plotly_js
from reports.page import render_page
from reports.read import read_run
from reports.review import review
from reports.summary import render_summary
from reports.visible import visible
from reports.words import plain
from tests import fake_run
from tests.hostile_run import BIDI, SCRIPT, hostile_cluster, write_hostile_run
from tests.strange_runs import LONG, RUNS
from tests.test_page import Page

MARKUP = "</style><!--]]>{% raw %}{%endraw%}`x`|*y*[a](javascript:alert(1))</title>&amp;"
"""What a style sheet, a comment, CDATA, a template, Markdown or an entity would begin or end with."""
_XML_HAS_NO = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
HIDDEN = "\u202e\u2066\u2069\u202c\x00\x07\x1b\u2028\ufeff"


def shown_in(source: str, section: str) -> str:
    """Return the text of a section of a page."""
    return "".join(Page(source.partition(f"<section id={section}")[2].partition(">")[2].partition("<section")[0]).text)


@pytest.mark.parametrize("name", RUNS)
def test_a_strange_run_is_a_page_that_reads(tmp_path: Path, name: str) -> None:
    made = review(read_run(RUNS[name](tmp_path / "run")))
    source = render_page(made)
    page = Page(source)
    text = " ".join("".join(page.text).split())
    assert " ".join(plain(made.answer).split()) in text
    assert page.headings.count("h2") == len(made.sections)
    for nonsense in (">nan", " nan ", "inf%", "nan%", ">None<", "None ms", "Undefined"):
        assert nonsense not in source.partition("<main>")[2].partition("<footer>")[0], nonsense


@pytest.mark.parametrize("name", ["huge numbers", "numbers of 1e59"])
def test_no_number_is_printed_without_end(tmp_path: Path, name: str) -> None:
    made = review(read_run(RUNS[name](tmp_path / "run")))
    assert made.coverage.ok == made.coverage.planned
    text = "".join(Page(render_page(made)).text) + render_summary(made)
    assert max(map(len, re.findall(r"\d+", text.replace(",", "")))) <= 20
    json.loads(render_data(made))


@pytest.mark.parametrize("name", ["numbers of 1e150", "numbers at the ends"])
def test_a_number_that_nothing_measures_makes_its_case_missing(tmp_path: Path, name: str) -> None:
    made = review(read_run(RUNS[name](tmp_path / "run")))
    lines = made.coverage.planned
    assert made.coverage.counts == {"missing": lines}
    assert f"{lines} of {lines} lines of records.jsonl are no valid records, the first is line 1" in made.banners[0]


@pytest.mark.parametrize("text", [SCRIPT, BIDI, MARKUP], ids=["script", "bidi", "markup"])
def test_hostile_text_in_every_field_is_text(tmp_path: Path, text: str) -> None:
    cluster = parse_cluster(hostile_cluster(text))
    made = render(write_hostile_run(tmp_path / "run", text), html=tmp_path / "page.html", cluster=cluster)
    source = made.html.read_text("utf-8")
    scripts = [given for given, _ in Page(source).scripts if given.get("type") is None]
    assert len(scripts) == 4
    own = source.partition("<main>")[2].partition("<footer>")[0]
    assert "<img src=x" not in own
    assert "<script>alert" not in own
    printed = "".join(Page(source).text)
    assert printed.count(" ".join(visible(text).split())[:12]) > 30
    for written in (own, made.summary.read_text("utf-8"), made.data.read_text("utf-8")):
        assert not set(HIDDEN) & set(written)
    prose = made.summary.read_text("utf-8").partition("Again:")[0]  # what follows stands in a fence of code
    assert "<script>" not in prose.replace("\\<", "")
    assert "](javascript" not in prose
    json.loads(made.data.read_text("utf-8"))
    for section in ("claims", "noise", "prediction", "provenance"):
        assert visible(text)[:8] in shown_in(source, section), section
    (tests,) = JUnitXml.fromfile(str(made.junit))
    assert {test.name for test in tests if test.classname == "harness.claims"} == {_XML_HAS_NO.sub("\ufffd", text)}


def test_hostile_text_is_text_against_a_baseline_beside_others_and_in_a_history(tmp_path: Path) -> None:
    folders = [write_hostile_run(tmp_path / name, SCRIPT) for name in "ab"]
    for day, folder in enumerate(folders):
        document = json.loads((folder / "run.json").read_text("utf-8"))
        document["started"] = f"2026-11-2{day}T02:14:02+00:00"
        (folder / "run.json").write_text(json.dumps(document), "utf-8")
    for made in (
        render(folders[1], html=tmp_path / "against.html", baseline=folders[0]),
        render_beside(folders, html=tmp_path / "beside.html"),
        render_history(folders, html=tmp_path / "history.html"),
    ):
        own = made.html.read_text("utf-8").partition("<main>")[2].partition("<footer>")[0]
        assert "<script>alert" not in own
        assert "<img src=x" not in own
        assert "&lt;script&gt;alert(1)" in own
        assert "<script>" not in made.summary.read_text("utf-8").partition("Again:")[0].replace("\\<", "")


def test_of_a_text_without_end_a_page_has_the_beginning(tmp_path: Path) -> None:
    made = render(write_hostile_run(tmp_path / "run", LONG), html=tmp_path / "page.html")
    source, summary = (path.read_text("utf-8") for path in (made.html, made.summary))
    assert len(source.encode()) - len(plotly_js().encode()) < 400_000
    assert len(summary.encode()) < 60_000
    assert LONG[:500] in source
    assert LONG[:520] not in shown_in(source, "claims") + shown_in(source, "noise") + summary.replace("\\", "")
    assert "more letters)" in source


def test_half_a_pair_of_letters_does_not_stop_a_report(tmp_path: Path) -> None:
    run = fake_run.write_run(tmp_path / "run", fake_run.quick_cases()[:2], command="run \ud800")
    made = render(run, html=tmp_path / "page.html")
    assert "run \\ud800" in made.html.read_text("utf-8")


def test_a_cut_journal_of_records_is_shown_up_to_the_cut(tmp_path: Path) -> None:
    run = fake_run.write_run(tmp_path / "run", fake_run.quick_cases()[:6])
    whole = (run / "records.jsonl").read_bytes()
    draw = random.Random(3)
    for cut in [draw.randrange(1, len(whole)) for _ in range(20)]:
        (run / "records.jsonl").write_bytes(whole[:cut])
        made = review(read_run(run))
        lines, broken = whole[:cut].count(b"\n"), not whole[:cut].endswith(b"\n")
        last_is_whole = broken and whole[cut : cut + 1] == b"\n"
        assert made.coverage.ok == lines + last_is_whole
        told = [f"breaks off in line {lines + 1}"] if broken and not last_is_whole else []
        assert [banner for banner in made.banners if any(words in banner for words in told)] == list(made.banners)


@pytest.mark.parametrize("bad", ["NaN", "Infinity", "-Infinity", "0", "-1", '"fast"', "null", "[]"])
def test_a_time_that_is_none_makes_its_case_missing(tmp_path: Path, bad: str) -> None:
    run = fake_run.write_run(tmp_path / "run", fake_run.quick_cases()[:3])
    lines = (run / "records.jsonl").read_text("utf-8").splitlines()
    record = json.loads(lines[1])
    record["metrics"]["latency_ms"]["value"] = "HERE"
    lines[1] = json.dumps(record).replace('"HERE"', bad)
    (run / "records.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    made = review(read_run(run))
    assert render_page(made)
    if bad != '"fast"':
        assert made.coverage.ok == 2
        assert "the first is line 2" in made.banners[0]


def test_what_is_no_run_is_refused_in_one_sentence(tmp_path: Path) -> None:
    run = fake_run.write_run(tmp_path / "run", fake_run.quick_cases()[:2], schema=99)
    for folder in (run, tmp_path, tmp_path / "none"):
        with pytest.raises(ReportError) as refused:
            render(folder, html=tmp_path / "page.html")
        assert str(refused.value).count("\n") == 0
        assert not (tmp_path / "page.html").exists()


def said(name: str, folder: Path) -> dict[str, str]:
    """Return of each section of a strange run what it says: why it has no data, or its finding."""
    made = review(read_run(RUNS[name](folder)))
    return {section.id: section.missing or plain(section.finding) for section in made.sections}


def test_what_was_measured_without_times_is_shown_without_them(tmp_path: Path) -> None:
    assert said("energy alone", tmp_path / "e")["energy"].startswith("A million tokens take ")
    phases = said("phases alone", tmp_path / "p")
    assert "routing and moving tokens takes up to " in phases["phases"]
    assert phases["roofline"] == "A phase’s speed is known by its share of a time, and no case has latency."
    assert phases["energy"] == "No case has energy: the suite does not measure it."
    assert said("routing alone", tmp_path / "r")["routing"].endswith("chance alone would give 1.23 times.")


def test_a_run_without_times_does_not_count_its_rounds(tmp_path: Path) -> None:
    for name, rounds in (("one case", True), ("memory alone", False), ("all oom", False)):
        made = review(read_run(RUNS[name](tmp_path / name)))
        assert ("5 rounds a case" in made.facts[3].lines) == rounds, name


def test_one_case_is_spoken_of_as_one(tmp_path: Path) -> None:
    one = said("one case", tmp_path / "run")
    assert re.fullmatch(r"The prediction of the one case is off by [\d.]+×\.", one["prediction"])
    assert re.fullmatch(r"The one time is known to ±[\d.]+ %\.", one["noise"])
    assert one["ratios"] == "Only soft has times (1 case): there is nothing to hold it against."


def test_lines_of_cases_out_of_memory_are_told_apart_and_counted(tmp_path: Path) -> None:
    made = review(read_run(RUNS["all oom"](tmp_path / "run")))
    rows = [(row.subject.variant, row.axis, row.where) for row in made.memory.frontier]
    assert len(rows) == len(set(rows)) > 12
    assert ("top-1", "experts", "k = 1, dropless, size S, batch 1, forward") in rows
    note = f"{len(rows) - 12} more lines of cases stand in the report’s data"
    assert note in shown_in(render_page(made), "memory")
