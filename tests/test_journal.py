from __future__ import annotations

import json
import math
import os
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from harness.engine.folder import new_folder, read_document, read_run, write_run
from harness.engine.journal import Journal, Line, RunFolderError, WriteError, check_schema, read_journal, write_durably
from tests.fuzz.seeds import write_seed_run


def line(visit: int = 0, **changes: Any) -> Line:
    fields: dict[str, Any] = {"visit": visit, "key": "k", "id": "dense-S", "probe": "latency", "round": 0}
    fields |= {"status": "ok", "values": {"latency_ms": [1.0, 2.5]}, "started": "2026-01-01T00:00:00Z", "seconds": 0.1}
    return Line.model_validate(fields | changes)


def written(path: Path, count: int) -> bytes:
    journal = Journal(path)
    for visit in range(count):
        journal.append(line(visit))
    journal.close()
    return path.read_bytes()


def test_what_is_appended_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    written(path, 3)
    assert read_journal(path) == [line(visit) for visit in range(3)]
    assert all(json.loads(text)["schema"] == 1 for text in path.read_text().splitlines())


def test_whole_numbers_stay_whole_and_words_words(tmp_path: Path) -> None:
    values: dict[str, Any] = {"params": 37_754_112, "det_run": 1.0, "det_run_cause": "none"}
    journal = Journal(tmp_path / "journal.jsonl")
    journal.append(line(values=values))
    journal.close()
    back = read_journal(tmp_path / "journal.jsonl")[0].values
    assert back == values
    assert isinstance(back["params"], int)


def test_a_line_is_on_disk_before_append_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "journal.jsonl"
    synced: list[bytes] = []
    monkeypatch.setattr("harness.engine.journal.os.fsync", lambda fd: synced.append(path.read_bytes()))
    written(path, 2)
    assert [len(data.splitlines()) for data in synced] == [0, 1, 2], "the folder first, then each line"


def test_a_journal_cut_anywhere_in_its_last_line_loses_that_line_alone(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    data = written(path, 2)
    first = data.index(b"\n") + 1
    for end in range(first, len(data)):
        path.write_bytes(data[:end])
        assert [entry.visit for entry in read_journal(path)] == [0]
    Journal(path).close()
    assert path.read_bytes() == data[:first], "the torn line must be gone before the next one is written"


def test_no_journal_is_an_empty_one(tmp_path: Path) -> None:
    assert read_journal(tmp_path / "journal.jsonl") == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{}", "line 1, is not of a run: it has no schema number"),
        ('{"schema": 2}', "line 1, has schema 2, this version of moe-harness reads up to 1: update it"),
        ('{"schema": 1}', "line 1, is not a visit"),
        ("rubbish", "line 1, is not a visit"),
        ("[1]", "line 1, is not of a run"),
    ],
)
def test_a_whole_line_that_is_no_visit_is_named(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text(text + "\n")
    with pytest.raises(RunFolderError) as caught:
        read_journal(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_document_is_replaced_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.json"
    write_durably(path, "old")

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("harness.engine.journal.os.fsync", full)
    with pytest.raises(WriteError, match=r"run\.json cannot be written: No space left"):
        write_durably(path, "new")
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["run.json"]


def test_a_full_disk_tears_at_most_the_line_at_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "journal.jsonl"
    written(path, 1)
    journal = Journal(path)

    def full(fd: int) -> None:
        os.truncate(path, path.stat().st_size - 10)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("harness.engine.journal.os.fsync", full)
    with pytest.raises(WriteError, match=r"journal\.jsonl cannot be written: No space left"):
        journal.append(line(1))
    journal.close()
    monkeypatch.undo()
    assert [entry.visit for entry in read_journal(path)] == [0]
    assert written(path, 1).count(b"\n") == 2


def test_a_folder_is_no_journal(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.mkdir()
    with pytest.raises(RunFolderError, match="cannot be read: Is a directory"):
        read_journal(path)
    with pytest.raises(WriteError, match="cannot be written: Is a directory"):
        Journal(path)


def test_folders_are_named_by_suite_and_time_and_never_shared(tmp_path: Path) -> None:
    when = datetime(2026, 11, 21, 2, 14, 2)
    names = [new_folder(tmp_path / "runs", "quick", when).name for _ in range(3)]
    assert names == ["quick-20261121-021402", "quick-20261121-021402-2", "quick-20261121-021402-3"]
    assert new_folder(tmp_path, "../etc/x y", when).parent == tmp_path


def test_a_place_that_cannot_hold_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunFolderError, match=r"no run folder can be made in .*file: .*; name another with -o"):
        new_folder(tmp_path / "file", "quick", datetime(2026, 1, 1))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, r"is not a run folder: it has no run\.json"),
        ("{", r"run\.json cannot be read"),
        ("[]", r"run\.json is not of a run: it has no schema number"),
        ('{"schema": 99}', r"run\.json has schema 99"),
        ('{"schema": 1}', r"run\.json is not of a run: suite: Field required, and 6 more"),
    ],
)
def test_a_folder_that_is_no_run_says_why(tmp_path: Path, content: str | None, words: str) -> None:
    if content is not None:
        (tmp_path / "run.json").write_text(content)
    with pytest.raises(RunFolderError, match=words):
        read_document(tmp_path)


def test_a_folder_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="there is no such folder"):
        read_run(tmp_path / "none")


DOCUMENT: dict[str, Any] = {
    "schema": 1,
    "suite": {"name": "s", "source": "", "overrides": [], "select": None, "measure": {"rounds": 2}},
    "cases": [],
    "device": {"kind": "cpu", "name": "A CPU"},
    "environment": {"torch": "2.13.0", "variables": {}},
    "harness": {"source": "0"},
    "started": "2026-01-01T00:00:00Z",
    "status": "complete",
}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"suite": {}}, "suite.name: Field required"),
        ({"suite": []}, "suite: "),
        (
            {"suite": {k: v for k, v in DOCUMENT["suite"].items() if k != "overrides"}},
            "suite.overrides: Field required",
        ),
        ({"suite": DOCUMENT["suite"] | {"source": 5}}, "suite.source: Input should be a valid string"),
        ({"suite": DOCUMENT["suite"] | {"select": 5}}, "suite.select: Input should be a valid string"),
        ({"suite": DOCUMENT["suite"] | {"measure": {"rounds": "2"}}}, "suite.measure.rounds: "),
        ({"device": {}}, "device.kind: Field required, and 1 more"),
        ({"device": None}, "device: "),
        ({"device": {"kind": "tpu", "name": "x"}}, "device.kind: Input should be 'cpu' or 'cuda'"),
        ({"cases": [{}]}, "cases.0.key: Field required, and 2 more"),
        ({"harness": None}, "harness: "),
        ({"environment": None}, "environment: "),
        ({"ceilings": {"x": 1}}, "ceilings."),
        ({"started": None}, "started: Input should be a valid string"),
        ({"status": "asleep"}, "status: Input should be 'running'"),
        ({"threads": -1}, "threads: "),
    ],
)
def test_a_document_of_another_shape_says_where(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    write_run(tmp_path, DOCUMENT)
    assert read_document(tmp_path) == DOCUMENT
    write_run(tmp_path, DOCUMENT | change)
    with pytest.raises(RunFolderError) as caught:
        read_document(tmp_path)
    assert f"run.json is not of a run: {words}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_in_a_files_place_says_so(tmp_path: Path) -> None:
    (tmp_path / "run.json").mkdir()
    with pytest.raises(RunFolderError, match=r"run\.json cannot be read: Is a directory"):
        read_document(tmp_path)
    (tmp_path / "run.json").rmdir()
    write_run(tmp_path, DOCUMENT)
    (tmp_path / "records.jsonl").mkdir()
    with pytest.raises(RunFolderError, match=r"records\.jsonl cannot be read: Is a directory"):
        read_run(tmp_path)


def test_a_damaged_document_or_record_is_named(tmp_path: Path) -> None:
    case = {"key": "k", "variant": "a", "case": {"layer": "dense"}}
    write_run(tmp_path, DOCUMENT | {"status": "running", "cases": [case]})
    with pytest.raises(RunFolderError, match=r"run\.json holds a case that this version cannot read: .*d_model"):
        read_run(tmp_path)
    write_run(tmp_path, DOCUMENT)
    (tmp_path / "records.jsonl").write_text('{"schema": 1, "status": "ok"}\n')
    with pytest.raises(RunFolderError, match=r"records\.jsonl, line 1, is not a record .*; delete the file"):
        read_run(tmp_path)


def test_schemas_of_today_are_read() -> None:
    assert check_schema({"schema": 1}, "x") == {"schema": 1}


@pytest.mark.parametrize(
    "change",
    [
        {"round": -1},
        {"round": 10_000},
        {"values": {"latency_ms": [1.0, 0.0]}},
        {"values": {"latency_ms": -1.0}, "round": 0},
        {"values": {"latency_ms": [math.nan]}},
        {"seconds": math.inf},
    ],
)
def test_a_visit_that_no_run_can_have_made_is_refused(change: dict[str, Any]) -> None:
    """Each of these made the fold raise, or take hours, before."""
    with pytest.raises(ValidationError):
        line(**change)


def test_a_case_of_run_json_that_cannot_be_priced_is_refused(tmp_path: Path) -> None:
    for change in ({"experts": 0}, {"activation": "gelu#"}):
        write_seed_run(tmp_path)
        document = read_document(tmp_path)
        document["cases"][0]["case"] |= change
        write_run(tmp_path, document | {"status": "running"})
        with pytest.raises(RunFolderError, match="holds a case that this version cannot read"):
            read_run(tmp_path)
