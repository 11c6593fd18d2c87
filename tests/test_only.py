"""`harness report --only`: the verdict and the sections that were asked for, on the page and beside it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from harness.cli import app
from harness.cli.report import SECTIONS as NAMED
from reports.markup.assets import plotly_js
from reports.page import FIGURES, render_page
from reports.read import read_run
from reports.review import SECTIONS, VERSUS, Review, narrowed, review
from reports.summary import render_summary
from tests import fake_history, fake_journal, fake_run
from tests.test_page import Page


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    written = fake_run.write_run(tmp_path_factory.mktemp("run") / "quick", fake_run.quick_cases())
    fake_journal.write_journal(written)
    return written


@pytest.fixture(scope="module")
def made(folder: Path) -> Review:
    return review(read_run(folder))


def report(*arguments: str | Path) -> Result:
    """Run `harness report` in this process."""
    return CliRunner().invoke(app, ["report", *map(str, arguments)])


def test_the_sections_are_those_that_the_command_names(made: Review) -> None:
    assert NAMED == SECTIONS == tuple(section.id for section in made.sections)
    told = " ".join(report("--help").stdout.replace("│", " ").split())
    assert all(name in told for name in SECTIONS)
    assert set(FIGURES) <= {*SECTIONS, *VERSUS}


@pytest.mark.parametrize("section", SECTIONS)
def test_each_section_stands_alone(made: Review, section: str) -> None:
    source = render_page(narrowed(made, [section]))
    page = Page(source)
    assert re.findall(r"<section id=\"?([\w-]+)", source) == [section]
    rail = source[source.index("<nav") : source.index("</nav>")]
    assert re.findall(r'href="([^"]+)"', rail) == ["#verdict", f"#{section}"]
    assert page.headings.count("h2") == 1
    assert "An extract: " in "".join(page.text)
    assert bool(re.search(r"class=\"?plot", source)) == (section in FIGURES) == (plotly_js() in source)


def test_sections_stand_in_the_pages_order_and_once(made: Review) -> None:
    some = narrowed(made, ["noise", "claims", "noise"])
    assert [section.id for section in some.sections] == ["claims", "noise"]
    assert some.extract is not None
    assert "An extract: Claims and Noise, of 18 sections" in some.extract
    assert narrowed(made, []) is made is narrowed(made, SECTIONS)


def test_summary_and_data_say_the_same_sections_and_the_tests_are_all_there(folder: Path, tmp_path: Path) -> None:
    done = report(folder, "--only", "memory", "--only", "ratios", "--title", "A part", "-o", tmp_path / "part.html")
    assert (done.exit_code, done.stdout) == (0, f"{tmp_path / 'part.html'}\n"), done.stderr
    data = json.loads((tmp_path / "part.json").read_text("utf-8"))
    assert set(SECTIONS) & set(data) == {"memory", "ratios"} == set(data["only"])
    assert data["title"] == "A part"
    assert data["cards"]
    summary = (tmp_path / "part.summary.md").read_text("utf-8")
    assert re.findall(r"^\*\*([\w ]+)\.\*\*", summary, re.MULTILINE) == ["Key ratios", "Memory"]
    assert "# A part" in summary
    tests = (tmp_path / "part.junit.xml").read_text("utf-8")
    assert tests.count("<testcase ") == 128
    assert 'name="A part"' in tests


def test_the_summary_has_ratios_only_where_they_were_asked_for(made: Review) -> None:
    assert "Key ratios" in render_summary(made)
    assert "Key ratios" not in render_summary(narrowed(made, ["memory"]))


def test_a_name_that_is_none_is_told_before_anything_is_read(tmp_path: Path) -> None:
    done = report(tmp_path / "nowhere", "--only", "phasse", "-o", tmp_path / "page.html")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "--only phasse: expected a section, claims, ratios, fronts" in done.stderr
    assert "did you mean phases?" in done.stderr


def test_a_history_has_no_sections_to_pick(tmp_path: Path) -> None:
    done = report(*fake_history.write(tmp_path, 2), "--only", "phases")
    assert done.exit_code == 2
    assert "several runs" in done.stderr
