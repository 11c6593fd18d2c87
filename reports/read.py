"""Reads a run directory into typed data; what is wrong with it is said in one sentence."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from harness.case import Case
from harness.record import SCHEMA, FailedRecord, OkRecord, parse_record
from reports.journal import read_journal
from reports.results import Run
from reports.run_file import RunFile
from reports.shortened import LONGEST, all_shortened

NIGHTS_RUN = "run"
"""What the folder of a night calls its run."""


LARGEST = 1e60
"""What no number of a record reaches, nor its inverse: beyond, the arithmetic of a page would come to no end."""
_FAR = re.compile(rb"\d[eE][+-]?0*(?:[6-9]\d|\d{3})|\d{60}")
"""How a number is written that may lie beyond; of gigabytes of lines few are looked at twice."""

_LONG = re.compile(rb'[^"\[\]]{%d}' % LONGEST)
"""What a line has somewhere if it has a long text."""


class ReportError(Exception):
    """Why there is no report, in one sentence."""


class NothingInCommon(ReportError):
    """Runs that can be read, and of which no two cases are one."""


def read_run(folder: Path) -> Run:
    """Read the run in `folder`.

    Raises:
        ReportError: It is no run directory, its `run.json` cannot be read, or a newer harness wrote it.
    """
    _refuse_links(folder)
    file = _read_file(folder)
    try:
        records, damage = _read_records(folder)
    except OSError:
        raise ReportError(
            f"{folder} has a run.json but no records.jsonl that can be read; was the run stopped before its first "
            f"case? Try `harness run --resume {folder}`."
        ) from None
    journal = read_journal(folder / "journal.jsonl")
    told = " ".join(text for text in (damage, journal.damage) if text) or None
    name = _name(folder.resolve())
    return Run(name=name, file=file, records=records, damage=told, seconds=journal.seconds, timed=journal.timed)


def _name(folder: Path) -> str:
    """Return what a run is called: its folder, or, of a night's `run`, the night's; what cannot be printed is spelt."""
    name = folder.parent.name if folder.name == NIGHTS_RUN else folder.name
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in name)


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
        file = RunFile.model_validate(all_shortened(data, "suite", "source"))
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


def _read_records(folder: Path) -> tuple[dict[str, OkRecord | FailedRecord], str | None]:
    records: dict[str, OkRecord | FailedRecord] = {}
    bad: list[int] = []
    number, last = 0, b"\n"
    with (folder / "records.jsonl").open("rb") as lines:  # line by line: there may be gigabytes
        for number, last in enumerate(lines, start=1):
            if not last.strip():
                continue
            try:
                record = parse_record(_readable(last))
            except ValidationError:
                _refuse_newer(folder / "records.jsonl", _schema_of(last))
                bad.append(number)
                continue
            _refuse_newer(folder / "records.jsonl", record.schema_)
            if _FAR.search(last) and any(map(_is_beyond, _numbers(record))):
                bad.append(number)
                continue
            records[record.key] = record
    return records, _damage(bad, number, cut=not last.endswith(b"\n"))


def _readable(line: bytes) -> bytes:
    """Return the line of a record with its long texts cut."""
    if not _LONG.search(line):
        return line
    try:
        return json.dumps(all_shortened(json.loads(line))).encode()
    except ValueError:
        return line  # whoever parses it says what is wrong


def _numbers(record: OkRecord | FailedRecord) -> Iterator[float]:
    """Yield every number that was measured."""
    if isinstance(record, FailedRecord):
        return
    for value in record.metrics.values():
        told = (value.value, value.low, value.high, *(value.rounds or ()))
        yield from (number for number in told if isinstance(number, int | float))
    for series in record.series.values():
        yield from series


def _is_beyond(number: float) -> bool:
    return number != 0 and not 1 / LARGEST < abs(number) < LARGEST


def _damage(bad: list[int], lines: int, *, cut: bool) -> str | None:
    if not bad:
        return None
    if bad == [lines] and cut:
        return f"records.jsonl breaks off in line {bad[0]}: this page shows what stands before it."
    share = f"{len(bad)} of {lines} lines of records.jsonl"
    return f"{share} are no valid records, the first is line {bad[0]}: their cases count as missing."


def _schema_of(line: bytes) -> object:
    try:
        data = json.loads(line)
    except ValueError:
        return None
    return data.get("schema") if isinstance(data, dict) else None


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()).rstrip(".")
