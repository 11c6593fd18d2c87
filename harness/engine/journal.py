"""The journal: one line a visit, on disk before the next visit starts; a line torn by a crash costs only itself."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from harness.declare.format import MOST_ROUNDS
from harness.record import SCHEMA, End, FailedStatus, Mark


class RunFolderError(Exception):
    """A folder that is no run, or not one that this version can read; the message says what is wrong with it."""


class WriteError(RunFolderError):
    """A file of the run cannot be written, as on a full disk; what was written before stands, and can be resumed."""

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(f"{path} cannot be written: {error.strerror or error}")


class Line(BaseModel):
    """One finished visit."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    schema_: int = Field(SCHEMA, alias="schema")
    visit: int
    """Its place in the plan's order."""
    key: str
    """The case's content key."""
    id: str
    probe: str
    round: int | None = Field(None, ge=0, lt=MOST_ROUNDS)
    status: Literal["ok"] | FailedStatus
    end: End | None = None
    """Why it ended so; None in lines of versions that kept only the status."""
    reason: str | None = None
    detail: str | None = None
    """The traceback, or the end of what a worker that died wrote to stderr."""
    exit_code: int | None = None
    """Of a worker that ended in the visit; negative is the signal that killed it."""
    values: dict[str, float | int | str | list[float]] = {}
    """By metric name: a number or word, or raw samples in order."""
    n: dict[str, int] = {}
    """By metric name: what the value stands on, where it is no list of samples."""
    series: dict[str, list[float]] = {}
    """Numbers kept beside the metrics, by name."""
    notes: list[str] = []
    backend: str | None = None
    started: str
    """ISO 8601, UTC."""
    seconds: float
    """From the request's start to the answer's end, as the runner sees it."""
    inside: float = 0.0
    """Of these, seconds inside the probe."""
    build: float = 0.0
    """Of these, seconds spent to build the layer and its input."""
    state: dict[str, str | int | float | bool | None] = {}
    """The machine after the visit."""
    before: dict[str, str | int | float | bool | None] = {}
    """The machine before it."""
    marks: list[Mark] = []
    """What of that may have moved its numbers."""
    worker: int | None = None
    """Process id of the worker that answered."""
    device: str | None = None
    """Which of the run's devices made it; None where it has one."""
    setup: dict[str, int] = {}
    """What was drawn for that worker, as `harness/engine/setup.py` names it."""
    source: str | None = None
    """Digest of the layer's source; with the case's key and `method` it is the visit's content key."""
    method: str | None = None
    """Digest of the probe's source and settings."""

    @model_validator(mode="after")
    def _times_are_positive(self) -> Line:
        """Refuse what no clock gives: the fold takes the logarithms of samples, and of what comes in rounds."""
        for name, value in self.values.items():
            samples = value if isinstance(value, list) else [] if self.round is None else [value]
            if any(not isinstance(sample, str) and sample <= 0 for sample in samples):
                raise ValueError(f"{name} has a sample that is not above 0")
        return self

    @property
    def place(self) -> tuple[str, str, int | None]:
        """What makes a visit the same visit in a resumed run: case, probe and round."""
        return self.key, self.probe, self.round


class Journal:
    """Appends lines to `journal.jsonl`; each is on disk before `append` returns, or the next `sync` after `write`.

    Args:
        path: The file; a torn last line, which an earlier crash left, is cut off first.

    Raises:
        WriteError: The file cannot be opened or written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._syncing, self._synced = threading.Lock(), 0
        with ExitStack() as opened:
            try:
                self._file: BinaryIO = opened.enter_context(path.open("ab", buffering=0))
                self._end = self._file.truncate(_whole_bytes(path.read_bytes()))
                self._back: BinaryIO = opened.enter_context(path.open("rb"))
                sync_folder(path.parent)
            except OSError as error:
                raise WriteError(path, error) from None
            opened.pop_all()

    def append(self, line: Line) -> int:
        """Write one line, wait until the disk has it, and return the byte at which it begins; raises WriteError."""
        place = self.write(line)
        self.sync()
        return place

    def write(self, line: Line) -> int:
        """Give one line to the system, and return the byte at which it begins; for one thread at a time.

        Raises:
            WriteError: The disk does not take it, as when it is full; a line torn by that is cut off when resumed.
        """
        rest = memoryview(line.model_dump_json(by_alias=True).encode() + b"\n")
        place, self._end = self._end, self._end + len(rest)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            raise WriteError(self._path, error) from None
        return place

    def sync(self) -> None:
        """Wait until the disk has all that was written; threads that wait at the same time share one wait.

        Raises:
            WriteError: The disk does not take it.
        """
        wanted = self._end
        with self._syncing:
            if self._synced >= wanted:
                return
            end = self._end
            try:
                os.fsync(self._file.fileno())
            except OSError as error:
                raise WriteError(self._path, error) from None
            self._synced = end

    def read(self, place: int) -> Line:
        """Return the line that begins at this byte.

        Raises:
            RunFolderError: There is none; somebody has changed the file.
        """
        self._back.seek(place)
        try:
            return Line.model_validate_json(self._back.readline())
        except (OSError, ValidationError) as error:
            raise RunFolderError(f"{self._path} was changed while it was written: {error}") from None

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        self._back.close()


def read_journal(path: Path) -> list[Line]:
    """Return the finished visits in the order in which they were made; a torn last line is dropped.

    Raises:
        RunFolderError: It cannot be read, a whole line is not a visit, or a newer version wrote it.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise RunFolderError(f"{path} cannot be read: {error.strerror}; a run's journal is a file") from None
    lines = data[: _whole_bytes(data)].split(b"\n")[:-1]
    return [_line(path, number, text) for number, text in enumerate(lines, start=1)]


def check_schema(document: Any, where: str) -> dict[str, Any]:
    """Return `document`, which must be an object of a schema that this version reads.

    Raises:
        RunFolderError: It is not; the message begins with `where`.
    """
    if not isinstance(document, dict) or not isinstance(document.get("schema"), int):
        raise RunFolderError(f"{where} is not of a run: it has no schema number")
    if document["schema"] > SCHEMA:
        raise RunFolderError(
            f"{where} has schema {document['schema']}, this version of moe-harness reads up to {SCHEMA}: update it"
        )
    return document


def write_durably(path: Path, text: str | Iterable[str]) -> None:
    """Replace the file by `text`, or its parts, in one step, so that a reader finds the old or the new one, whole.

    Raises:
        WriteError: It cannot be written; the old one stands then, and nothing beside it.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.writelines([text] if isinstance(text, str) else text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise WriteError(path, error) from None


def sync_folder(path: Path) -> None:
    """Wait until the disk has the names of the files in a folder: a new file can be lost without."""
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def utc_now() -> str:
    """Return the time as ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _whole_bytes(data: bytes) -> int:
    """Return the length of the leading part that consists of whole lines.

    A line ends with its line end, which is written last; what follows the last one was torn.
    """
    return data.rfind(b"\n") + 1


def _line(path: Path, number: int, text: bytes) -> Line:
    where = f"{path}, line {number},"
    try:
        return Line.model_validate(check_schema(json.loads(text), where))
    except (ValueError, ValidationError) as error:
        first = str(error).partition("\n")[0]
        raise RunFolderError(f"{where} is not a visit ({first}); the file was changed after the run") from None
