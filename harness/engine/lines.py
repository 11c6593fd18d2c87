"""A visit as the journal keeps it: who was asked for it, what came of it, on what it stands."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pydantic import ValidationError

from harness.declare.visits import Visit
from harness.engine.journal import Line, utc_now
from harness.engine.keeper import Answer
from harness.engine.marks import marks
from harness.engine.protocol import Result, said
from harness.record import reason_of


def line_of(visit: Visit, case_id: str, answer: Answer, source: str, method: str, device: str | None = None) -> Line:
    """Return the visit as the journal keeps it; one that crashed where the worker's answer cannot be kept.

    `source` and `method` are the digests that it stands on; `device` made it, where the run has several.
    """
    result = said(answer.result)
    own = {"key": visit.key, "id": case_id, "probe": visit.probe, "round": visit.round}
    seen: dict[str, Any] = {"started": answer.started, "seconds": round(answer.seconds, 6), "worker": answer.worker}
    del result["spent"]  # it is for the keeper alone
    stands_on = {"source": source, "method": method}
    seen["marks"] = marks(answer.result.before, answer.result.state, answer.result.series)
    setup = {} if answer.setup is None else asdict(answer.setup)
    told = own | seen | stands_on | {"exit_code": answer.exit_code, "setup": setup, "device": device}
    try:
        return Line.model_validate(result | told)
    except ValidationError as error:
        return Line.model_validate(_unkept(visit, error) | told)


def lost_answer(visit: Visit, what: str) -> Answer:
    """Return what stands for the answer to a visit that no device has lived to give."""
    reason = reason_of("device_lost", where=f"in {visit.probe}", what=what)
    return Answer(Result(visit.index, "crashed", reason, end="device_lost"), utc_now(), 0.0, None)


def _unkept(visit: Visit, error: ValidationError) -> dict[str, Any]:
    """Return what stands for an answer that the journal does not take, such as a time of 0."""
    reason = f"the worker's answer in {visit.probe} cannot be kept: {error.errors()[0]['msg']}"
    return {
        "visit": visit.index,
        "status": "crashed",
        "end": "crashed_protocol",
        "reason": reason,
        "detail": str(error),
    }
