"""Baselines of record: found by name, kept whole or not at all, replaced only on purpose."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from harness.nightly import baselines
from harness.nightly.baselines import BaselineError, check_name, find, keep, kept
from tests import fake_run
from tests.test_versus import CASES


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a run; baselines are kept beside it."""
    monkeypatch.setenv("HARNESS_BASELINES", str(tmp_path / "kept"))
    return fake_run.write_run(tmp_path / "run", CASES[:1])


def test_what_is_kept_is_found_by_its_name(run: Path) -> None:
    (run / "traces").mkdir()
    (run / ".lock").touch()
    folder = keep(run, "quick-h200", replace=False)
    assert find("quick-h200", "quick").folder == folder
    assert kept() == ["quick-h200"]
    assert {path.name for path in folder.iterdir()} == {"run.json", "records.jsonl"}
    assert (folder / "records.jsonl").read_bytes() == (run / "records.jsonl").read_bytes()


def test_a_name_without_a_run_is_none_yet(run: Path) -> None:
    assert find("quick", "quick") == baselines.Baseline("quick", None)
    assert kept() == []


def test_a_run_is_found_by_its_folder(run: Path) -> None:
    assert find(str(run), "quick").folder == run


@pytest.mark.parametrize("by", ["name", "folder"])
def test_a_run_of_another_suite_is_no_baseline(run: Path, by: str) -> None:
    folder = keep(run, "mine", replace=False)
    with pytest.raises(BaselineError, match=r"is a run of another suite, quick, and tonight measures experts"):
        find("mine" if by == "name" else str(folder), "experts")


@pytest.mark.parametrize("named", ["no/such/run", "../run2"])
def test_a_folder_that_is_no_run_is_refused(run: Path, named: str) -> None:
    with pytest.raises(BaselineError, match=r"cannot be read: .*is not a run folder"):
        find(named, "quick")


def test_a_baseline_of_a_newer_harness_is_refused(run: Path) -> None:
    folder = keep(run, "quick", replace=False)
    (folder / "run.json").write_text((folder / "run.json").read_text().replace('"schema": 1', '"schema": 99', 1))
    with pytest.raises(BaselineError, match="the baseline quick cannot be read"):
        find("quick", "quick")


def test_nothing_is_replaced_unasked(run: Path) -> None:
    folder = keep(run, "quick", replace=False)
    before = (folder / "records.jsonl").read_bytes()
    other = fake_run.write_run(run.with_name("other"), CASES[:2])
    with pytest.raises(BaselineError, match=r"there is a baseline quick already .* --replace"):
        keep(other, "quick", replace=False)
    assert (folder / "records.jsonl").read_bytes() == before
    keep(other, "quick", replace=True)
    assert (folder / "records.jsonl").read_bytes() == (other / "records.jsonl").read_bytes()
    assert [path.name for path in folder.parent.iterdir()] == ["quick"]


def test_a_copy_that_breaks_off_leaves_the_old_one(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = keep(run, "quick", replace=False)

    def full(source: Path, target: Path, **_: object) -> None:
        target.mkdir()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copytree", full)
    with pytest.raises(BaselineError, match="No space left on device"):
        keep(run, "quick", replace=True)
    assert (folder / "run.json").exists()
    assert [path.name for path in folder.parent.iterdir()] == ["quick"]


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "..", "a b", "-x", "x" * 101])
def test_names_stay_in_their_folder(run: Path, name: str) -> None:
    with pytest.raises(BaselineError, match="is no name for a baseline"):
        check_name(name, replace=True)


def test_a_run_that_was_cut_short_is_no_baseline(run: Path) -> None:
    cut = fake_run.write_run(run.with_name("cut"), CASES[:1], status="interrupted")
    with pytest.raises(BaselineError, match="it is interrupted"):
        keep(cut, "quick", replace=False)
    with pytest.raises(BaselineError, match="cannot be a baseline"):
        keep(run.with_name("nothing"), "quick", replace=False)
