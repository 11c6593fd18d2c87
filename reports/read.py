"""Reads a run directory into typed data; what is wrong with it is said in one sentence."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, ValidationError

from harness.case import Case
from harness.judge.stats import Interval
from harness.record import CUT_SHORT, SCHEMA, End, FailedRecord, Mark, OkRecord, RoundsEnded, Value, parse_record


class ReportError(Exception):
    """Why there is no report, in one sentence."""


class _Lenient(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class Match(_Lenient):
    """The budget that a variant shares with another, and how well it was met."""

    to: str
    on: str
    ratio: float | None = None
    """Realised budget over the wanted one."""


class VariantInfo(_Lenient):
    """A variant as the suite names it."""

    name: str
    layer: str
    match: Match | None = None


class ClaimInfo(_Lenient):
    """A claim as the suite states it; the keys are those of `harness.declare.format.Claim`."""

    id: str
    text: str
    source: str | None = None
    group: str | None = None
    metric: str | None = None
    where: str | None = None
    along: str | None = None
    moving: list[str] = []
    expect: str | None = None
    against: str | None = None
    to: str | None = None
    value: float | None = None
    within: float = 0.0


class SuiteInfo(_Lenient):
    """The suite as `run.json` keeps it."""

    name: str
    title: str
    text: str | None = None
    """What a reader should know before the results."""
    source: str = ""
    overrides: list[str] = []
    select: str | None = None
    variants: list[VariantInfo] = []
    axes: dict[str, list[Any]] = {}
    measure: dict[str, Any] = {}
    headline: list[str] = []
    """What the first screen is about: see `reports.sections.cards`."""
    claims: list[ClaimInfo] = []


class Planned(_Lenient):
    """One case as it was planned."""

    id: str
    key: str
    variant: str
    case: dict[str, Any]
    params: int | None = None
    flops_model: int | None = None
    unsupported: str | None = None
    match: Match | None = None


class HarnessInfo(_Lenient):
    """The harness that measured."""

    version: str = "unknown"
    commit: str | None = None
    dirty: bool | None = None
    source: str | None = None


class Pairing(_Lenient):
    """Which paired run this run is a side of."""

    id: str
    side: Literal["base", "candidate"]


class NoiseRatio(_Lenient):
    """A ratio of A/A times, 1 where nothing is wrong, with its interval."""

    ratio: float = Field(gt=0, allow_inf_nan=False)
    low: float = Field(gt=0, allow_inf_nan=False)
    high: float = Field(gt=0, allow_inf_nan=False)

    @property
    def interval(self) -> Interval:
        """The same as an interval."""
        return Interval(self.ratio, self.low, self.high)


class NoiseCell(NoiseRatio):
    """One A/A cell: a case that every round visited twice."""

    id: str
    pairs: int
    later_over_earlier: NoiseRatio | None = None
    smallest_change: float | None = Field(None, ge=0, allow_inf_nan=False)


class BrokenCell(_Lenient):
    """A cell that failed under its second label, and why."""

    id: str
    reason: str | None = None


class NoiseFloor(NoiseRatio):
    """What the run's A/A cells show; `harness/judge/noise.py` finds it."""

    cells: int
    pairs: int
    rounds: int
    """Of the comparisons that `smallest_change` is about."""
    later_over_earlier: NoiseRatio | None = None
    smallest_change: float | None = Field(None, ge=0, allow_inf_nan=False)
    """A share: a change of a time by less cannot be told from nothing."""
    differ: bool
    """Whether the cells differ from themselves, so that nothing that the run says can be trusted."""
    by_cell: list[NoiseCell] = []
    broken: list[BrokenCell] = []


class SheetInfo(_Lenient):
    """What the device's datasheet promises, dense."""

    flops_per_s: dict[str, PositiveFloat]
    bytes_per_s: PositiveFloat
    source: str
    read: str


class RunFile(_Lenient):
    """`run.json`."""

    schema_: int = Field(alias="schema")
    suite: SuiteInfo
    cases: list[Planned]
    device: dict[str, Any]
    environment: dict[str, Any] = {}
    ceilings: dict[str, Any] | None = None
    datasheet: SheetInfo | None = None
    harness: HarnessInfo = HarnessInfo()
    command: str = ""
    seed: int | None = None
    started: str
    finished: str | None = None
    status: Literal["complete", "interrupted", "running"] = "complete"
    end: End | None = None
    noise: NoiseFloor | None = None
    """None in runs without A/A cells, and in those of older versions."""
    paired: Pairing | None = None
    """None in a run that was measured alone."""


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

    @property
    def distrusted(self) -> bool:
        """Whether the run's A/A cells differ from themselves."""
        return self.file.noise is not None and self.file.noise.differ

    @cached_property
    def results(self) -> list[Result]:
        """Every planned case with its outcome, in the plan's order."""
        return [_result(planned, self.records.get(planned.key)) for planned in self.file.cases]


def read_run(folder: Path) -> Run:
    """Read the run in `folder`.

    Raises:
        ReportError: It is no run directory, its `run.json` cannot be read, or a newer harness wrote it.
    """
    _refuse_links(folder)
    file = _read_file(folder)
    try:
        text = (folder / "records.jsonl").read_bytes()
    except OSError:
        raise ReportError(
            f"{folder} has a run.json but no records.jsonl that can be read; was the run stopped before its first "
            f"case? Try `harness run --resume {folder}`."
        ) from None
    records, damage = _parse_records(text, folder)
    seconds = _visit_seconds(folder / "journal.jsonl")
    return Run(name=folder.resolve().name, file=file, records=records, damage=damage, seconds=seconds)


def _refuse_links(folder: Path) -> None:
    """Refuse a folder in which something leads out of it: its report would be written elsewhere."""
    with suppress(OSError):  # no folder has its own sentence
        if found := next((path for path in folder.iterdir() if path.is_symlink()), None):
            raise ReportError(f"{found} is a link, and a run's folder holds files alone; remove it.")


def _read_file(folder: Path) -> RunFile:
    path = folder / "run.json"
    if not folder.is_dir():
        raise ReportError(f"{folder} is no run directory: {'a file' if folder.exists() else 'it does not exist'}.")
    if not path.is_file():
        raise ReportError(f"{folder} is no run directory: it has no run.json; `harness run SUITE -o DIR` writes one.")
    try:
        data = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ReportError(f"{path} cannot be read: {_one_line(error)}.") from None
    schema = data.get("schema") if isinstance(data, dict) else None
    _refuse_newer(path, schema)
    try:
        file = RunFile.model_validate(data)
        for planned in file.cases:
            Case.from_dict(planned.variant, planned.case)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the document"
        raise ReportError(f"{path} is not a run's description: {where}: {first['msg']}.") from None
    except TypeError as error:
        raise ReportError(f"{path} holds a case that this version cannot read: {_one_line(error)}.") from None
    return file


def _refuse_newer(path: Path, schema: object) -> None:
    if isinstance(schema, int) and schema > SCHEMA:
        raise ReportError(
            f"{path} has schema {schema}, and this version reads up to {SCHEMA}: a newer harness wrote it; "
            "upgrade moe-harness."
        )


def _parse_records(text: bytes, folder: Path) -> tuple[dict[str, OkRecord | FailedRecord], str | None]:
    records: dict[str, OkRecord | FailedRecord] = {}
    bad: list[int] = []
    lines = text.splitlines()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            record = parse_record(line)
        except ValidationError:
            _refuse_newer(folder / "records.jsonl", _schema_of(line))
            bad.append(number)
            continue
        _refuse_newer(folder / "records.jsonl", record.schema_)
        records[record.key] = record
    if not bad:
        return records, None
    if bad == [len(lines)] and not text.endswith(b"\n"):
        return records, f"records.jsonl breaks off in line {bad[0]}: this page shows what stands before it."
    share = f"{len(bad)} of {len(lines)} lines of records.jsonl"
    return records, f"{share} cannot be read, the first is line {bad[0]}: their cases count as missing."


def _visit_seconds(journal: Path) -> float | None:
    """Return the sum of the journal's visits; None where there is none, and a line that breaks off does not count."""
    try:
        lines = journal.read_bytes().splitlines()
    except OSError:
        return None
    found = [seconds for line in lines if (seconds := _seconds_of(line)) is not None]
    return math.fsum(found) if found else None


def _seconds_of(line: bytes) -> float | None:
    try:
        data = json.loads(line)
    except ValueError:
        return None
    seconds = data.get("seconds") if isinstance(data, dict) else None
    return float(seconds) if isinstance(seconds, (int, float)) and 0 <= seconds < math.inf else None


def _schema_of(line: bytes) -> object:
    try:
        data = json.loads(line)
    except ValueError:
        return None
    return data.get("schema") if isinstance(data, dict) else None


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


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()).rstrip(".")
