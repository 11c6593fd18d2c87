"""A run as reports look at it: every planned case with its outcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from harness.case import Case
from harness.judge.stats import Interval
from harness.record import CUT_SHORT, End, FailedRecord, Mark, OkRecord, RoundsEnded, Value
from reports.journal import Timed
from reports.run_file import Match, Planned, RunFile

ResultStatus = Literal["ok", "oom", "timeout", "crashed", "unsupported", "incorrect", "skipped", "missing"]


@dataclass(frozen=True)
class Result:
    """A planned case with its outcome; `missing` where the run holds no record of it."""

    case: Case
    id: str
    key: str
    status: ResultStatus
    reason: str | None
    metrics: dict[str, Value]
    notes: tuple[str, ...]
    series: dict[str, list[float]]
    """Numbers beside the metrics, by name."""
    marks: dict[Mark, int]
    """Rounds taken under each state of the machine that may have moved them."""
    end: End | None
    """Why it ended; None where the run's version kept only the status."""
    backend: str | None
    flops: int | None
    """Model FLOPs of the case's pass, from the closed form; of a plug-in, which has none, what the counter saw."""
    params: int | None
    match: Match | None
    rounds_ended: RoundsEnded | None = None
    """Why its latency has no more rounds."""

    @property
    def ok(self) -> bool:
        """Whether the case has numbers."""
        return self.status == "ok"

    @property
    def untried(self) -> bool:
        """Whether the run ended before it came to this case."""
        unsaid = self.status == "skipped" and self.end is None
        return self.status == "missing" or unsaid or self.end in CUT_SHORT

    def number(self, metric: str) -> float | None:
        """Return the metric's number, or None where it was not measured."""
        value = self.metrics.get(metric)
        return None if value is None or isinstance(value.value, str) else float(value.value)

    def interval(self, metric: str) -> Interval | None:
        """Return the metric with its interval, or None where it has none."""
        value = self.metrics.get(metric)
        if value is None or isinstance(value.value, str) or value.low is None or value.high is None:
            return None
        return Interval(float(value.value), value.low, value.high)

    def rounds(self, metric: str = "latency_ms") -> list[float | None]:
        """Return the estimates of all rounds, in order; empty where none were kept."""
        value = self.metrics.get(metric)
        return [] if value is None or value.rounds is None else value.rounds

    @property
    def ms(self) -> float | None:
        """Time of one pass in milliseconds."""
        return self.number("latency_ms")


@dataclass(frozen=True)
class Run:
    """One run directory."""

    name: str
    """Name of the run's folder."""
    file: RunFile
    records: dict[str, OkRecord | FailedRecord]
    """By content key."""
    damage: str | None = None
    """What of `records.jsonl` could not be read; None where all could."""
    seconds: float | None = None
    """What all visits took, over every sitting of a run that was resumed; None without a journal."""
    timed: Mapping[str, tuple[Timed, ...]] = field(default_factory=dict)
    """By content key the visits that timed a case, as the journal has them; empty without one."""

    @property
    def distrusted(self) -> bool:
        """Whether the run's A/A cells differ from themselves."""
        return self.file.noise is not None and self.file.noise.differ

    @cached_property
    def results(self) -> list[Result]:
        """Every planned case with its outcome, in the plan's order."""
        return [_result(planned, self.records.get(planned.key)) for planned in self.file.cases]


def _result(planned: Planned, record: OkRecord | FailedRecord | None) -> Result:
    status: ResultStatus = "missing"
    reason: str | None = "no record: the run ended before this case"
    if record is not None:
        status, reason = record.status, record.reason
    elif planned.unsupported is not None:
        status, reason = "unsupported", planned.unsupported
    metrics = record.metrics if isinstance(record, OkRecord) else {}
    return Result(
        case=Case.from_dict(planned.variant, planned.case),
        id=planned.id,
        key=planned.key,
        status=status,
        reason=reason,
        metrics=metrics,
        notes=tuple(record.notes) if record else (),
        series=record.series if isinstance(record, OkRecord) else {},
        marks=dict(record.marks) if record else {},
        end=record.end if record else None,
        backend=record.backend if record else None,
        flops=planned.flops_model if planned.flops_model is not None else _whole(metrics.get("flops_counted")),
        params=planned.params if planned.params is not None else _whole(metrics.get("params")),
        match=planned.match,
        rounds_ended=record.rounds_ended if isinstance(record, OkRecord) else None,
    )


def _whole(value: Value | None) -> int | None:
    return None if value is None else int(value.value)
