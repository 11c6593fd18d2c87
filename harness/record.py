"""Record: one case's outcome, the fold of its visits; its status decides what it may hold, its end says why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator
from pydantic.dataclasses import dataclass as pydantic_dataclass

from harness.metrics import METRICS

SCHEMA = 1
"""Version of the record and journal lines; a reader refuses a larger one."""

FailedStatus = Literal["oom", "timeout", "crashed", "unsupported", "incorrect", "skipped"]
"""What became of a case without numbers; its End says why."""

End = Literal[
    "ok", "incorrect", "unsupported",
    "oom_device", "oom_host", "timeout", "timeout_rank",
    "crashed_signal", "crashed_exit", "crashed_protocol", "crashed_cuda", "crashed_python", "crashed_rank",
    "device_lost", "clock_backwards", "clock_still",
    "too_large", "pruned", "interrupted", "over_budget", "no_device",
]  # fmt: skip
"""Why a visit or a case ended: a closed list. What it means is its status; after BenchExec's `terminationreason`."""


@dataclass(frozen=True, slots=True)
class Ending:
    """What an end means, and how it is said."""

    status: Literal["ok"] | FailedStatus
    words: str
    """In a count of cases: `2 killed by a signal`."""
    sentence: str = "{what}"
    """The record's reason, with places for the facts of the case."""


ENDS: dict[End, Ending] = {
    "ok": Ending("ok", "ok", ""),
    "incorrect": Ending("incorrect", "incorrect"),
    "unsupported": Ending("unsupported", "unsupported"),
    "oom_device": Ending("oom", "out of device memory", "out of memory on the device{where}: {what}"),
    "oom_host": Ending("oom", "out of host memory", "out of memory on the host{where}: {what}"),
    "timeout": Ending("timeout", "over time", "no answer within {seconds:g} s{where}; the worker was ended"),
    "timeout_rank": Ending(
        "timeout", "over time, waiting for a rank",
        "no answer within {seconds:g} s{where}: of {ranks} ranks, {missing} did not come; all were ended",
    ),
    "crashed_signal": Ending(
        "crashed", "killed by a signal", "the worker was killed by signal {number} ({name}){where}"
    ),
    "crashed_exit": Ending(
        "crashed", "exited in a visit", "the worker exited with code {exit} before it answered{where}"
    ),
    "crashed_protocol": Ending("crashed", "answered nonsense", "the worker was ended: {what}{where}"),
    "crashed_cuda": Ending("crashed", "CUDA error", "an error of the device{where}: {what}"),
    "crashed_python": Ending("crashed", "raised an error"),
    "crashed_rank": Ending("crashed", "lost a rank", "rank {rank} of {ranks} {what}{where}; all were ended"),
    "device_lost": Ending("crashed", "lost the device", "the device was lost{where}: {what}"),
    "clock_backwards": Ending("crashed", "saw the clock go backwards", "the clock went backwards{where}: {what}"),
    "clock_still": Ending("crashed", "saw the clock stand still", "no time passed on the clock{where}: {what}"),
    "too_large": Ending("skipped", "too large", "does not fit: needs {needs}, {has}"),
    "pruned": Ending("skipped", "beyond one out of memory", "needs no less memory than {smaller}, which ran out "
                     "of it; --no-prune measures it all the same"),
    "interrupted": Ending("skipped", "not reached", "the run was interrupted before it"),
    "over_budget": Ending("skipped", "not reached in time", "the time budget was used up before it"),
    "no_device": Ending("skipped", "not reached, the device being lost", "the device was lost before it"),
}  # fmt: skip
"""Every end, with its one status and its one sentence."""

Mark = Literal[
    "busy", "loaded", "stolen", "swapping", "quota", "squeezed", "shared_gpu", "throttled", "hot", "unsettled",
    "moved",
]  # fmt: skip
"""A state of the machine that may have moved a sample: a closed list; `harness/engine/marks.py` has the thresholds."""

MARKS: dict[Mark, str] = {
    "busy": "while other processes had the cores",
    "loaded": "while more threads wanted to run than there are cores",
    "stolen": "while the hypervisor gave the cores to other machines",
    "swapping": "while memory was swapped",
    "quota": "while the container had used up its share of the cores",
    "squeezed": "while the container was at the limit of its memory",
    "shared_gpu": "while other processes computed on the GPU",
    "throttled": "while the device was slowed down",
    "hot": "while the device was about to be slowed down for its heat",
    "unsettled": "before the times of blocks had settled",
    "moved": "after their round had been begun on another device",
}
"""Every mark, in words that end a sentence about samples that were taken."""

RoundsEnded = Literal["fixed", "precise", "max_rounds", "budget", "interrupted"]
"""Why a case has as many latency rounds as it has; a closed list."""

ROUNDS_ENDED: dict[RoundsEnded, str] = {
    "fixed": "had the number of rounds that the suite fixes",
    "precise": "reached the precision that the suite asks for",
    "max_rounds": "had the most rounds that the suite allows, and are less precise than it asks for",
    "budget": "had no more rounds, since the time budget was used up",
    "interrupted": "had no more rounds, since the run was cut short",
}
"""Every reason, in words that follow a number of cases."""

TRACE_NOTE = "a trace of the phases is kept in "
"""How the note begins that says where in the run's folder a case's trace lies; the path ends it."""

CUT_SHORT: dict[End, str] = {
    "interrupted": "the run was interrupted",
    "over_budget": "the run's time budget was used up",
    "no_device": "the device was lost",
}
"""What ended a run before all of its visits were made, by the end of the cases that it did not reach."""

SPOILED: frozenset[End] = frozenset({"device_lost", "clock_backwards"})
"""Ends that say nothing about the case: a resumed run makes such a visit again."""


def reason_of(end: End, **facts: object) -> str:
    """Return the sentence of `end`; `where` ("in latency") may be left out, all other facts that it names may not."""
    where = facts.pop("where", None)
    return ENDS[end].sentence.format(where=f", {where}" if where else "", **facts)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


@pydantic_dataclass(frozen=True, slots=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class Value:
    """One metric of one case; no model, since a run has a hundred of them a case and a model is six times as large."""

    value: float | int | str
    low: float | None = None
    """Lower end of the 95 % interval."""
    high: float | None = None
    n: int | None = None
    """Samples, rows or repetitions that the value stands on."""
    rounds: list[float | None] | None = None
    """The estimate of each round, in order; None where the case has no sample in that round."""


def columns(metrics: Mapping[str, Value]) -> dict[str, float | int | str]:
    """Return metrics as columns of a table: `latency_ms`, and where known its `_low`, `_high` and `_n`."""
    flat: dict[str, float | int | str] = {}
    for name, metric in metrics.items():
        beside = {"low": metric.low, "high": metric.high, "n": metric.n}
        flat |= {
            name: metric.value,
            **{f"{name}_{what}": number for what, number in beside.items() if number is not None},
        }
    return flat


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
    device_class: str | None = None
    """What its devices have in common, as `harness/devices/classes.py` says it; None in records of older versions."""
    marks: dict[Mark, int] = {}
    """Rounds of latency that were taken under each state of the machine that may have moved them."""


class OkRecord(_Line):
    """A case that ran and whose output is right."""

    status: Literal["ok"] = "ok"
    end: Literal["ok"] = "ok"
    reason: None = None
    metrics: dict[str, Value]
    rounds_ended: RoundsEnded | None = None
    """Why its latency has no more rounds; None where it has no latency, and in records of older versions."""
    series: dict[str, list[float]] = {}
    """Numbers beside the metrics, by name, such as `expert_load`: those of visits that are made once.

    They are exact but for those that `harness/metrics.py` names in NOISY_SERIES.
    """

    @model_validator(mode="after")
    def _known_metrics(self) -> OkRecord:
        if unknown := sorted(set(self.metrics) - set(METRICS)):
            raise ValueError(f"unknown metrics {unknown}; they are said in harness/metrics.py")
        return self

    @model_validator(mode="after")
    def _times_are_positive(self) -> OkRecord:
        for name, value in self.metrics.items():
            times = [value.value, *(value.rounds or ())]
            if METRICS[name].unit == "ms" and any(isinstance(time, int | float) and time <= 0 for time in times):
                raise ValueError(f"{name} is not above 0")
        return self


class FailedRecord(_Line):
    """A case without numbers, and the sentence that says why."""

    status: FailedStatus
    end: End | None = None
    """Why, in one word; None in records of versions that kept only the status."""
    reason: str = Field(min_length=1)
    metrics: None = None

    @model_validator(mode="after")
    def _end_of_this_status(self) -> FailedRecord:
        if self.end is not None and ENDS[self.end].status != self.status:
            raise ValueError(f"a case that ended as {self.end} is {ENDS[self.end].status}, not {self.status}")
        return self


Record = Annotated[OkRecord | FailedRecord, Field(discriminator="status")]
"""One line of `records.jsonl`."""

_ADAPTER: TypeAdapter[OkRecord | FailedRecord] = TypeAdapter(Record)


def parse_record(line: str | bytes) -> OkRecord | FailedRecord:
    """Return the record of one JSON line; raise pydantic.ValidationError where it is none."""
    return _ADAPTER.validate_json(line)


def write_record(record: OkRecord | FailedRecord) -> str:
    """Return the record as one JSON line, without its line end."""
    return record.model_dump_json(by_alias=True, exclude_none=False)
