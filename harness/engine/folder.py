"""The run folder as a whole: made, written, and read back by resume and report; without torch."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from harness.case import Case
from harness.declare.costs import cost
from harness.declare.planned import PlannedCase
from harness.declare.plugins import is_plugin
from harness.engine.cells import fewest_rounds, noise_document
from harness.engine.document import fault
from harness.engine.fold import AnyRecord, Circumstances, fold_all
from harness.engine.journal import Line, RunFolderError, check_schema, read_journal, sync_folder, write_durably
from harness.engine.locks import FOLDER_LOCKS, Busy, folder_lock
from harness.engine.sources import Sources
from harness.engine.standing import standing
from harness.record import parse_record, write_record

RUN, JOURNAL, RECORDS = "run.json", "journal.jsonl", "records.jsonl"
TRACES = "traces"
"""Folder of the Chrome traces of a run with --trace."""
LOG = "worker.log"
"""All that workers, and the layers in them, wrote to stdout and stderr."""


def log_of(device: str) -> str:
    """Return the log's name of one of several devices."""
    path = Path(LOG)
    return f"{path.stem}-{device.replace(':', '-')}{path.suffix}"


@dataclass(frozen=True, slots=True)
class Run:
    """A run folder as read."""

    folder: Path
    document: dict[str, Any]
    """run.json."""
    lines: list[Line]
    """The journal, one line a finished visit."""
    records: list[AnyRecord]
    """One for every planned case."""


def refuse_links(folder: Path) -> None:
    """Return if nothing in a run folder leads out of it; what is written there would be written elsewhere.

    Raises:
        RunFolderError: A link stands where a file of the run belongs.
    """
    with suppress(OSError):  # a folder that cannot be read has its own sentence
        for path in folder.iterdir():
            if path.is_symlink():
                raise RunFolderError(f"{path} is a link, and a run's folder holds files alone; remove it")


def new_folder(root: Path, suite: str, when: datetime) -> Path:
    """Make and return `root/<suite>-<when>`; a second run within one second gets a number.

    Raises:
        RunFolderError: It cannot be made or written.
    """
    stem = f"{re.sub(r'[^A-Za-z0-9._-]+', '-', suite).strip('.-') or 'run'}-{when:%Y%m%d-%H%M%S}"
    try:
        root.mkdir(parents=True, exist_ok=True)
        for name in (stem, *(f"{stem}-{number}" for number in range(2, 1000))):
            try:
                (root / name).mkdir()
            except FileExistsError:
                continue
            sync_folder(root)
            return root / name
    except OSError as error:
        raise RunFolderError(f"no run folder can be made in {root}: {error.strerror}; name another with -o") from None
    raise RunFolderError(f"{root} holds a thousand runs of this second; name another folder with -o")


def write_run(folder: Path, document: dict[str, Any]) -> None:
    """Write run.json: whole or not at all."""
    write_durably(folder / RUN, json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def write_records(folder: Path, records: Sequence[AnyRecord]) -> None:
    """Write records.jsonl, one line a case: whole or not at all."""
    write_durably(folder / RECORDS, "".join(write_record(record) + "\n" for record in records))


def read_document(folder: Path) -> dict[str, Any]:
    """Return run.json.

    Raises:
        RunFolderError: The folder is no run, its run.json is damaged, or a newer version wrote it.
    """
    path = folder / RUN
    try:
        if not folder.is_dir():
            raise RunFolderError(f"{folder} is not a run folder: there is no such folder")
        refuse_links(folder)
        text = path.read_text("utf-8")
        document = check_schema(json.loads(text), str(path))
    except FileNotFoundError:
        raise RunFolderError(f"{folder} is not a run folder: it has no {RUN}") from None
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise RunFolderError(f"{path} cannot be read: {reason}") from None
    if wrong := fault(text):
        raise RunFolderError(f"{path} is not of a run: {wrong}; the file was changed after the run")
    return document


def read_run(folder: Path) -> Run:
    """Return the run in `folder`, also one that was killed and has no records yet: they are folded from its journal.

    Raises:
        RunFolderError: The folder is no run, or a file in it is damaged or of a newer version.
    """
    document = read_document(folder)
    lines = read_journal(folder / JOURNAL)
    if _is_unsettled(folder, document):
        return Run(folder, document, lines, _fold_document(folder, document, lines))
    return Run(folder, document, lines, _read_records(folder / RECORDS))


def abandon(folder: Path) -> None:
    """Take away what a run that made no visit has left, so that the next may have the folder; needs its lock."""
    if not read_journal(folder / JOURNAL):
        for name in (RUN, JOURNAL, RECORDS, LOG, *FOLDER_LOCKS):
            (folder / name).unlink(missing_ok=True)
        for log in folder.glob(log_of("*")):
            log.unlink(missing_ok=True)


def settle(folder: Path, *, cut: bool = False) -> None:
    """Write the records and the noise of a run that was killed before it could, so that a report can read them.

    With `cut`, records that are there are left to whoever reads them: a report shows what stands before a cut, where
    a comparison would take the rest for missing.

    Raises:
        RunFolderError: As `read_run`.
    """
    if cut and not _is_unsettled(folder, read_document(folder)):
        read_journal(folder / JOURNAL)  # that it is one
        return
    run = read_run(folder)
    if _is_unsettled(folder, run.document):
        write_records(folder, run.records)
        with suppress(Busy), folder_lock(folder):  # one that still runs states its noise at its end
            _state_noise(folder, run)


def _is_unsettled(folder: Path, document: dict[str, Any]) -> bool:
    return document["status"] == "running" or not (folder / RECORDS).exists()


def _state_noise(folder: Path, run: Run) -> None:
    document = read_document(folder)
    _, lines = _standing(folder, document, run.lines)
    rounds = fewest_rounds(run.records, document["suite"]["measure"]["rounds"])
    write_run(folder, document | {"noise": noise_document(lines, rounds)})


def _read_records(path: Path) -> list[AnyRecord]:
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise RunFolderError(f"{path} cannot be read: {error.strerror}") from None
    records = []
    for number, line in enumerate(lines, start=1):
        try:
            check_schema(json.loads(line), f"{path}, line {number},")
            records.append(parse_record(line))
        except ValueError as error:  # pydantic's ValidationError is one
            first = str(error).partition("\n")[0]
            raise RunFolderError(
                f"{path}, line {number}, is not a record ({first}); delete the file to have it folded anew"
            ) from None
    return records


def _fold_document(folder: Path, document: dict[str, Any], lines: list[Line]) -> list[AnyRecord]:
    """Return the records of a run that could write none."""
    cases, standing_lines = _standing(folder, document, lines)
    return fold_all(cases, standing_lines, Circumstances.of(document))


def _standing(folder: Path, document: dict[str, Any], lines: list[Line]) -> tuple[list[PlannedCase], list[Line]]:
    """Return the cases of a run, and those of its visits that stand."""
    try:
        cases = [_planned(entry) for entry in document["cases"]]
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise RunFolderError(f"{folder / RUN} holds a case that this version cannot read: {error}") from None
    known = {planned.case.key: planned.case for planned in cases}
    return cases, standing(lines, known, Sources.from_document(document)).lines


def _planned(entry: dict[str, Any]) -> PlannedCase:
    case = Case.from_dict(entry["variant"], entry["case"])
    if not case.id:  # read here, where a value that has no name is an error of the file
        raise ValueError("it has no name")
    return PlannedCase(
        case=case,
        cost=None if is_plugin(case.layer) else cost(case),
        seconds=entry.get("seconds"),
        fits=entry.get("fits"),
        unsupported=entry.get("unsupported"),
        match=None,
    )
