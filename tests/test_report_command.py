"""`harness report` as a user types it, on what is damaged, foreign or in the way: a banner, or a sentence and 2."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from harness.cli import app
from tests import fake_run
from tests.test_cli import ends, harness

REFERENCE = Path(__file__).parent.parent / "docs" / "reference" / "planted" / "base"
"""A run that this repository keeps, with its journal."""


def report(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["report", *map(str, arguments)])


def refused(done: Result, page: Path, *words: str, code: int = 2) -> None:
    """Hold it to exit `code`, one sentence with `words`, and no page."""
    assert (done.exit_code, done.stdout) == (code, "")
    assert done.stderr.startswith("harness: ")
    assert done.stderr.count("\n") == 1, done.stderr
    assert all(word in done.stderr for word in words), done.stderr
    assert not page.exists()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return fake_run.write_run(tmp_path / "run", fake_run.quick_cases()[:4])


@pytest.mark.parametrize("records", [True, False], ids=["with records", "without records"])
def test_a_journal_is_shown_up_to_its_cut_with_a_banner(tmp_path: Path, records: bool) -> None:
    folder = Path(shutil.copytree(REFERENCE, tmp_path / "run"))
    journal = folder / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    half = len(lines) // 2
    journal.write_bytes(b"".join(lines[:half]) + lines[half][:99])
    if not records:
        (folder / "records.jsonl").unlink()
    done = report(folder)
    assert done.exit_code == 0, done.stderr
    banner = f"journal.jsonl breaks off in line {half + 1}: later visits are lost"
    for name in ("report.html", "summary.md", "report.json"):
        assert banner in (folder / name).read_text("utf-8").replace("\\", ""), name
    assert json.loads((folder / "report.json").read_text("utf-8"))["coverage"]["ok"] > 0


def test_records_are_shown_up_to_their_cut_with_a_banner(run: Path) -> None:
    records = run / "records.jsonl"
    records.write_bytes(records.read_bytes()[:-99])
    done = report(run)
    assert done.exit_code == 0, done.stderr
    assert "records.jsonl breaks off in line 4: this page shows what stands before it." in (
        run / "report.html"
    ).read_text("utf-8")


@pytest.mark.parametrize("kind", ["nothing", "a file", "a folder"])
def test_what_is_no_run(tmp_path: Path, kind: str) -> None:
    path, page = tmp_path / "there", tmp_path / "page.html"
    if kind == "a file":
        path.write_text("no run", "utf-8")
    if kind == "a folder":
        path.mkdir()
    refused(report(path, "-o", page), page, str(path))


def test_two_runs_of_different_suites(tmp_path: Path, run: Path) -> None:
    cases = fake_run.quick_cases()[:2]
    suite = fake_run.run_file(cases)["suite"] | {"name": "another"}
    other, page = fake_run.write_run(tmp_path / "other", cases, suite=suite), tmp_path / "page.html"
    for more in ((run, other), (run, other, "--beside"), (other, "--baseline", run)):
        refused(report(*more, "-o", page), page, "quick", "another")


@pytest.mark.parametrize("kind", ["other cases", "other cases of the same names"])
def test_runs_without_a_case_in_common_are_not_comparable(tmp_path: Path, run: Path, kind: str) -> None:
    """As `harness compare` ends with them; a layer whose size has come to mean another width is another case."""
    cases, named = fake_run.quick_cases()[4:8], "have no case in common: "
    if kind == "other cases of the same names":
        cases = [replace(case, d_model=64, d_ff=256) for case in fake_run.quick_cases()[:4]]
        named = f"have no case in common ({cases[0].id}: d_model was "
    other, page = (
        fake_run.write_run(tmp_path / "other", cases, started="2026-11-22T02:14:02+00:00"),
        tmp_path / "p.html",
    )
    refused(report(other, "--baseline", run, "-o", page), page, named, "other", run.parent.name, code=4)
    refused(report(run, other, "--beside", "-o", page), page, named, code=4)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "run"]
    assert sorted(path.name for path in other.iterdir()) == sorted(path.name for path in run.iterdir())
    assert CliRunner().invoke(app, ["compare", str(run), str(other)]).exit_code == 4


@pytest.mark.parametrize("name", ["run.json", "records.jsonl"])
def test_a_newer_schema(run: Path, name: str) -> None:
    path, page = run / name, run.parent / "page.html"
    path.write_text(
        path.read_text("utf-8").replace('"schema": 1', '"schema": 99', 1).replace('"schema":1', '"schema":99')
    )
    refused(report(run, "-o", page), page, name, "99", "newer")


def test_a_place_that_cannot_be_written_is_found_before_any_work(run: Path) -> None:
    (run / "records.jsonl").write_text("not even read", "utf-8")
    for place, words in (
        (run.parent / "none" / "page.html", "does not exist"),
        (run / "run.json" / "page.html", "run.json is no folder, but a file"),
        (run.parent, "is a folder"),
    ):
        done = report(run, "-o", place)
        assert (done.exit_code, done.stdout) == (2, "")
        assert words in done.stderr
        assert done.stderr.count("\n") == 1
    assert sorted(path.name for path in run.iterdir()) == ["records.jsonl", "run.json"]


@pytest.mark.parametrize("title", ["", " "])
def test_a_page_without_a_title_is_refused(run: Path, title: str) -> None:
    page = run / "report.html"
    refused(report(run, "--title", title), page, "--title is empty", "leave it out")
    assert report(run, "--title", "One").exit_code == 0
    assert "<title>One</title>" in page.read_text("utf-8")


def test_a_process_of_its_own_ends_so_too(tmp_path: Path) -> None:
    ends(2, harness("report", tmp_path), str(tmp_path), "run.json")
