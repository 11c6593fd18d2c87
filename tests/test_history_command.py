"""`harness report` with several runs, and what it refuses before any work."""

from __future__ import annotations

import json
import os
import webbrowser
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from harness.cli import app
from tests import fake_history

HERE = CliRunner()


def report(*arguments: object) -> Result:
    return HERE.invoke(app, ["report", *map(str, arguments)])


def test_several_runs_are_a_history_beside_them(tmp_path: Path) -> None:
    folders = fake_history.write(tmp_path, 3)
    done = report(*folders)
    assert done.exit_code == 0
    assert done.stdout == f"{tmp_path / 'history.html'}\n"
    assert "Too few runs to tell a change over 3 runs" in done.stderr
    assert json.loads((tmp_path / "history.json").read_text("utf-8"))["schema"] == 1
    assert (tmp_path / "history.summary.md").read_text("utf-8").startswith("# ")
    assert (tmp_path / "method.html").exists()
    assert sorted(path.name for path in folders[0].iterdir()) == ["records.jsonl", "run.json"]


def test_a_folder_of_runs_stands_for_them(tmp_path: Path) -> None:
    fake_history.write(tmp_path / "runs", 3)
    (tmp_path / "runs" / "notes").mkdir()
    done = report(tmp_path / "runs", "-o", tmp_path / "page.html", "--title", "Nights of <b>")
    assert done.exit_code == 0
    assert "Nights of &lt;b&gt;" in (tmp_path / "page.html").read_text("utf-8")
    assert (tmp_path / "page.json").exists()


def test_a_folder_of_nights_stands_for_their_runs_which_have_the_nights_names(tmp_path: Path) -> None:
    for run in fake_history.write(tmp_path / "runs", 3):
        night = tmp_path / "nights" / run.name.replace("quick", "nightly")
        night.mkdir(parents=True)
        run.rename(night / "run")
    done = report(tmp_path / "nights", "-o", tmp_path / "page.html")
    assert done.exit_code == 0
    assert "nightly-20260902" in (tmp_path / "page.html").read_text("utf-8")


def test_a_run_that_lacks_a_case_is_a_gap(tmp_path: Path) -> None:
    folders = fake_history.write(tmp_path, 6)
    records = (folders[3] / "records.jsonl").read_text("utf-8").splitlines(keepends=True)
    (folders[3] / "records.jsonl").write_text("".join(line for line in records if '"soft' not in line), "utf-8")
    done = report(*folders)
    assert done.exit_code == 0, done.exception
    assert "–" in (tmp_path / "history.html").read_text("utf-8")


@pytest.mark.parametrize("name", [b"night-\xff\xfe", b"night-\x1b[31m"])
def test_names_that_no_page_can_show_are_spelt(tmp_path: Path, name: bytes) -> None:
    folders = fake_history.write(tmp_path, 2)
    folders[1] = folders[1].rename(tmp_path / os.fsdecode(name))
    assert report(*folders, "-o", tmp_path / "page.html").exit_code == 0
    assert "\\x" in (page := (tmp_path / "page.html").read_text("utf-8")) or "\\udc" in page


def test_runs_of_several_folders_have_their_history_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = fake_history.write(tmp_path / "all", 2)
    (tmp_path / "other").mkdir()
    b = b.rename(tmp_path / "other" / "run")
    monkeypatch.chdir(tmp_path)
    done = report(a, b)
    assert done.stdout == "history.html\n"
    assert (tmp_path / "history.html").exists()


def test_one_run_is_reported_as_before(tmp_path: Path) -> None:
    (folder,) = fake_history.write(tmp_path, 1)
    done = report(folder, "--title", "Mine")
    assert done.exit_code == 0
    assert done.stdout == f"{folder / 'report.html'}\n"
    assert "<h1>Mine</h1>" in (folder / "report.html").read_text("utf-8")
    assert (folder / "report.json").exists()


def test_open_shows_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder,) = fake_history.write(tmp_path, 1)
    shown: list[str] = []

    def show(url: str) -> bool:
        shown.append(url)
        return True

    monkeypatch.setattr(webbrowser, "open", show)
    assert report(folder, "--open").exit_code == 0
    assert shown == [(folder / "report.html").as_uri()]
    monkeypatch.setattr(webbrowser, "open", lambda url: False)
    done = report(folder, "--open")
    assert done.exit_code == 0
    assert "there is no browser here" in done.stderr


def test_a_folder_with_a_single_run_has_no_history(tmp_path: Path) -> None:
    fake_history.write(tmp_path, 1)
    done = report(tmp_path)
    assert done.exit_code == 2
    assert "holds a single run, and a history needs two; try `harness report" in done.stderr


@pytest.mark.parametrize("wrong", ["missing", "file", "empty", "newer"])
def test_what_is_no_run_is_said_in_a_sentence(tmp_path: Path, wrong: str) -> None:
    folders = fake_history.write(tmp_path / "runs", 2)
    other = tmp_path / wrong
    if wrong == "file":
        other.write_text("no run", "utf-8")
    if wrong == "empty":
        other.mkdir()
    if wrong == "newer":
        other = folders.pop()
        document = json.loads((other / "run.json").read_text("utf-8"))
        (other / "run.json").write_text(json.dumps(document | {"schema": 99}), "utf-8")
    page = tmp_path / "page.html"
    done = report(*folders, other, "-o", page)
    assert done.exit_code == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert str(other) in done.stderr
    assert not page.exists()


def test_an_unwritable_page_is_found_before_any_work(tmp_path: Path) -> None:
    folders = fake_history.write(tmp_path / "runs", 2)
    (folders[1] / "records.jsonl").write_text("not even read", "utf-8")
    done = report(*folders, "-o", tmp_path / "nowhere" / "page.html")
    assert done.exit_code == 2
    assert "nowhere does not exist" in done.stderr


def test_a_history_does_not_go_into_a_run(tmp_path: Path) -> None:
    folders = fake_history.write(tmp_path, 2)
    done = report(*folders, "-o", folders[0] / "page.html")
    assert done.exit_code == 2
    assert "lies in the run folder" in done.stderr
