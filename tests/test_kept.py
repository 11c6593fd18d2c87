"""Records of a run that goes on: kept on disk, written down in the plan's order, read when they are asked for."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest

from harness.engine.journal import WriteError
from harness.engine.kept import Kept
from harness.record import FailedRecord, OkRecord


def ok(key: str, rounds: int = 3) -> OkRecord:
    values: dict[str, Any] = {"latency_ms": {"value": 1.0, "rounds": [1.0] * rounds}}
    return OkRecord(schema=1, key=key * 16, id=f"dense-{key}", variant="dense", case={}, metrics=values)


def failed(key: str, reason: str) -> FailedRecord:
    return FailedRecord(
        schema=1, key=key * 16, id=f"dense-{key}", variant="dense", case={}, status="crashed", reason=reason
    )


def test_records_are_written_in_the_order_that_is_asked_for(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    mine = {record.key: record for record in (ok("b"), failed("a", "Grüße an alle"), ok("c", 500))}
    for record in mine.values():
        kept.keep(record)
    written = kept.write_down(sorted(mine))
    kept.close()
    assert list(written) == [mine[key] for key in sorted(mine)]
    assert [written[index] for index in range(3)] == list(written)
    assert (written[-1], written[1:]) == (mine["c" * 16], [mine["b" * 16], mine["c" * 16]])
    assert len(written) == len((tmp_path / "records.jsonl").read_text("utf-8").splitlines()) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["records.jsonl"]


def test_a_later_record_of_a_case_takes_the_place_of_an_earlier_one(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    assert "a" * 16 not in kept
    for record in (ok("a"), ok("b"), failed("a", "gone")):
        kept.keep(record)
    assert "a" * 16 in kept
    assert [record.status for record in kept.write_down(["a" * 16, "b" * 16])] == ["crashed", "ok"]
    kept.close()


def test_a_run_without_cases_has_a_file_without_lines(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    assert list(kept.write_down([])) == []
    assert (tmp_path / "records.jsonl").read_bytes() == b""
    kept.close()


def test_a_disk_that_will_not_take_them_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(WriteError, match=r"records\.jsonl.*No space left"):
        Kept(tmp_path).keep(ok("a"))
