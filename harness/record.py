"""Record: one case's outcome, the fold of its visits; its status decides what it may hold."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from harness.metrics import METRICS

SCHEMA = 1
"""Version of the record and journal lines; a reader refuses a larger one."""

FailedStatus = Literal["oom", "timeout", "crashed", "unsupported", "incorrect", "skipped"]
"""Why a case has no numbers: out of memory; over its time; its worker died or the layer raised; the layer
cannot do it; its output disagrees with the float64 reference or the counter with the closed form; not tried."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Value(_Strict):
    """One metric of one case."""

    value: float | int | str
    low: float | None = None
    """Lower end of the 95 % interval."""
    high: float | None = None
    n: int | None = None
    """Samples, rows or repetitions that the value stands on."""
    rounds: list[float | None] | None = None
    """The estimate of each round, in order; None where the case has no sample in that round."""


class _Line(_Strict):
    schema_: int = Field(SCHEMA, alias="schema")
    key: str
    id: str
    variant: str
    case: dict[str, Any]
    """The case as `Case.as_dict` writes it."""
    backend: str | None = None
    """The implementation that ran: what `best` picked."""
    notes: list[str] = []
    """Sentences about this case that a reader should see: not measured and why, unsteady, flipped rows."""


class OkRecord(_Line):
    """A case that ran and whose output is right."""

    status: Literal["ok"] = "ok"
    reason: None = None
    metrics: dict[str, Value]

    @model_validator(mode="after")
    def _known_metrics(self) -> OkRecord:
        if unknown := sorted(set(self.metrics) - set(METRICS)):
            raise ValueError(f"unknown metrics {unknown}; they are said in harness/metrics.py")
        return self


class FailedRecord(_Line):
    """A case without numbers, and the sentence that says why."""

    status: FailedStatus
    reason: str = Field(min_length=1)
    metrics: None = None


Record = Annotated[OkRecord | FailedRecord, Field(discriminator="status")]
"""One line of `records.jsonl`."""

_ADAPTER: TypeAdapter[OkRecord | FailedRecord] = TypeAdapter(Record)


def parse_record(line: str | bytes) -> OkRecord | FailedRecord:
    """Return the record of one JSON line; raise pydantic.ValidationError where it is none."""
    return _ADAPTER.validate_json(line)


def write_record(record: OkRecord | FailedRecord) -> str:
    """Return the record as one JSON line, without its line end."""
    return record.model_dump_json(by_alias=True, exclude_none=False)
