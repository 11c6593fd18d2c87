"""The kept runs: real, small, of no place, and still read and rendered by today's code."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from harness.engine.folder import JOURNAL, RECORDS, RUN
from harness.engine.folder import read_run as read_folder
from reports import render
from reports.read import read_run
from reports.review import review
from reports.versus.versus import compare
from tests import fake_run
from tests.gallery.reference import HOME, Kept, NamesItsPlace, keep, kept, main, places

MOST = 6_000_000
"""Bytes of all kept runs."""
RUNS = kept()
FOLDERS = [run for one in RUNS for run in one.runs]


def named(run: Path) -> str:
    return run.relative_to(HOME).as_posix()


def test_there_are_a_run_and_a_pair() -> None:
    assert {one.paired for one in RUNS} == {False, True}
    assert sum(one.size for one in RUNS) <= MOST


@pytest.mark.parametrize("run", FOLDERS, ids=named)
def test_a_kept_run_is_whole_and_names_no_place(run: Path) -> None:
    assert sorted(path.name for path in run.iterdir()) == [JOURNAL, RECORDS, RUN]
    for path in run.iterdir():
        assert list(places(path.read_text("utf-8"))) == [], path
    document = json.loads((run / RUN).read_text("utf-8"))
    assert document["status"] == "complete"
    assert document["harness"]["dirty"] is False
    assert "hostname" not in document["environment"]


@pytest.mark.parametrize("run", FOLDERS, ids=named)
def test_the_records_are_still_what_the_journal_says(tmp_path: Path, run: Path) -> None:
    """Folded anew by today's code from every sample, the kept records come out number for number."""
    for name in (RUN, JOURNAL):
        shutil.copy(run / name, tmp_path)
    stored = {record.id: record for record in read_folder(run).records}
    folded = read_folder(tmp_path).records
    assert len(folded) == len(stored)
    for record in folded:
        assert record == stored[record.id]


@pytest.mark.parametrize("run", FOLDERS, ids=named)
def test_a_kept_run_gives_the_same_bytes_twice(tmp_path: Path, run: Path) -> None:
    first, second = (render(run, html=folder(tmp_path / word) / "page.html") for word in ("one", "two"))
    for a, b in ((first.html, second.html), (first.summary, second.summary), (first.data, second.data)):
        assert a.read_bytes() == b.read_bytes()
    assert first.html.stat().st_size > 50_000


def test_the_planted_change_is_found_and_nothing_else_is_worse() -> None:
    """Soft MoE was made 10 % slower: each of its cases is, and no other number of any case is worse."""
    base, candidate = (read_run(run) for run in Kept("planted", HOME / "planted").runs)
    found = compare(base, candidate)
    soft = {result.id for result in candidate.results if result.case.variant == "soft"}
    worse = {(row.id, row.metric) for row in found.rows if row.verdict in ("slower", "worse")}
    assert worse == {(case, "latency_ms") for case in soft}
    for row in found.rows:
        if row.verdict == "slower":
            assert row.change is not None
            assert row.change.ratio.low <= 1.1 <= row.change.ratio.high


def folder(path: Path) -> Path:
    path.mkdir(parents=True)
    return path


def a_run(where: Path, **top: Any) -> Path:
    facts = {"environment": {"hostname": "node-17", "torch": "2.13.0"}, "command": "harness run /home/ann/mine.toml"}
    run = fake_run.write_run(where, [fake_run.make_case("dense", "dense")], **facts | top)
    document = json.loads((run / RUN).read_text("utf-8"))
    document["suite"]["file"] = "/home/ann/mine.toml"
    (run / RUN).write_text(json.dumps(document), "utf-8")
    (run / JOURNAL).write_text("{}\n", "utf-8")
    return run


def test_keeping_takes_out_the_place_and_no_number(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run")
    keep(run, tmp_path / "kept")
    before, after = (json.loads((path / RUN).read_text("utf-8")) for path in (run, tmp_path / "kept"))
    for name in (JOURNAL, RECORDS):
        assert (tmp_path / "kept" / name).read_bytes() == (run / name).read_bytes()
    assert after.pop("command") == "harness run mine.toml"
    assert before.pop("command")
    assert before["environment"].pop("hostname") == "node-17"
    assert before["suite"].pop("file")
    assert after["suite"].pop("file") is None
    assert after == before


def test_both_sides_of_a_pair_are_kept(tmp_path: Path) -> None:
    for side in ("base", "candidate"):
        a_run(
            tmp_path / "pair" / side, paired={"id": "1", "side": side, "said": "/tmp/x/checkout", "python": "/a/python"}
        )
    keep(tmp_path / "pair", tmp_path / "kept")
    (found,) = kept(tmp_path)[:1]
    assert found.paired
    assert [run.name for run in found.runs] == ["base", "candidate"]
    assert found.document["paired"] == {"id": "1", "side": "candidate", "said": "checkout", "python": "python"}


@pytest.mark.parametrize("words", ["cannot read /home/ann/layer.py", "node-17 went away", "C:\\Users\\ann"])
def test_a_run_that_names_its_place_elsewhere_is_not_kept(
    tmp_path: Path, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = a_run(tmp_path / "run")
    (run / JOURNAL).write_text(json.dumps({"reason": words}) + "\n", "utf-8")
    with pytest.raises(NamesItsPlace, match="tells where it was measured"):
        keep(run, tmp_path / "kept")
    assert not (tmp_path / "kept").exists()
    assert main([str(run), "never"]) == 2
    assert "cannot be kept" in capsys.readouterr().err


def test_what_is_no_run_is_not_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path), "never"]) == 2
    assert "cannot be kept" in capsys.readouterr().err
    assert not (HOME / "never").exists()


def test_the_first_screen_says_how_small_a_change_the_run_could_tell() -> None:
    told = {name: review(read_run(HOME / name)).facts[-1].lines for name in ("quick", "determinism", "planted/base")}
    assert told["quick"][-1] == "noise floor 20 %"
    assert told["planted/base"][-1] == "noise floor 4.2 %"
    assert not any("noise floor" in line for line in told["determinism"])  # it times nothing
