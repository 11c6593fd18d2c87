from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from harness.record import (
    ENDS,
    End,
    FailedRecord,
    FailedStatus,
    OkRecord,
    Value,
    parse_record,
    reason_of,
    write_record,
)
from tests.cases import soft


def _line(**changes: Any) -> dict[str, Any]:
    case = soft()
    return {
        "schema": 1,
        "key": case.key,
        "id": case.id,
        "variant": case.variant,
        "case": case.as_dict(),
        "status": "ok",
        "reason": None,
        "metrics": {"latency_ms": {"value": 1.21, "low": 1.19, "high": 1.24, "n": 60}, "params": {"value": 37754112}},
        **changes,
    }


def test_the_line_of_the_design_page() -> None:
    record = parse_record(json.dumps(_line()))
    assert isinstance(record, OkRecord)
    assert record.metrics["latency_ms"] == Value(value=1.21, low=1.19, high=1.24, n=60)
    assert json.loads(write_record(record))["metrics"]["params"]["value"] == 37754112


def test_written_and_read_back() -> None:
    record = parse_record(json.dumps(_line()))
    assert parse_record(write_record(record)) == record


def test_a_failed_case_has_a_reason_and_no_numbers() -> None:
    record = parse_record(json.dumps(_line(status="oom", reason="needs 3 GiB, 1 GiB is free", metrics=None)))
    assert isinstance(record, FailedRecord)


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "oom", "reason": None, "metrics": None},
        {"status": "oom", "reason": "", "metrics": None},
        {"status": "oom", "reason": "needs more"},  # with numbers
        {"status": "fast"},
        {"metrics": None},
        {"reason": "odd"},
        {"metrics": {"latency_s": {"value": 1.0}}},
        {"metrics": {"latency_ms": {"value": 1.0, "unit": "s"}}},
        {"colour": "blue"},
    ],
)
def test_what_a_status_may_not_hold_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        parse_record(json.dumps(_line(**changes)))


def test_every_end_has_a_status_and_a_sentence() -> None:
    assert set(get_args(End)) == set(ENDS)
    assert {ending.status for ending in ENDS.values()} == {"ok", *get_args(FailedStatus)}
    facts = {"what": "x", "seconds": 2, "number": 11, "name": "SIGSEGV", "exit": 3, "needs": "2 GiB", "has": "y"}
    facts |= {"rank": 1, "ranks": 4, "missing": "rank 1"}
    for end, ending in ENDS.items():
        sentence = reason_of(end, where="in latency", smaller="soft-e8", **facts)
        assert (sentence == "") is (end == "ok")
        assert ending.words
        assert "{" not in sentence


def test_an_end_of_another_status_is_refused() -> None:
    line = _line(status="oom", reason="full", metrics=None)
    assert parse_record(json.dumps(line | {"end": "oom_host"})).end == "oom_host"
    assert parse_record(json.dumps(line)).end is None
    with pytest.raises(ValidationError, match="a case that ended as timeout is timeout, not oom"):
        parse_record(json.dumps(line | {"end": "timeout"}))


def test_numbers_are_finite() -> None:
    with pytest.raises(ValidationError):
        Value(value=float("nan"))
