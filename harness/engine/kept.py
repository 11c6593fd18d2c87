"""The records of a run that goes on: on disk as its cases are done with, so that no number of them fills the runner."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, overload

from harness.engine.fold import AnyRecord
from harness.engine.folder import RECORDS
from harness.engine.journal import WriteError, write_durably
from harness.record import parse_record, write_record


class Records(Sequence[AnyRecord]):
    """The records of a run folder's records.jsonl, each read when it is asked for.

    Args:
        folder: The run's.
        places: The byte at which each begins.
    """

    def __init__(self, folder: Path, places: Sequence[int]) -> None:
        self._path, self._places = folder / RECORDS, places

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[AnyRecord]:
        with self._path.open("rb") as file:
            yield from map(parse_record, file)

    @overload
    def __getitem__(self, index: int) -> AnyRecord: ...
    @overload
    def __getitem__(self, index: slice) -> list[AnyRecord]: ...
    def __getitem__(self, index: int | slice) -> AnyRecord | list[AnyRecord]:
        if isinstance(index, slice):
            return list(self)[index]
        with self._path.open("rb") as file:
            file.seek(self._places[index])
            return parse_record(file.readline())


class Kept:
    """Records by the key of their case, in a file without a name until all are there.

    Args:
        folder: The run's, on whose disk they are.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: IO[bytes] | None = None
        self._places: dict[str, int] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._places

    def keep(self, record: AnyRecord) -> None:
        """Keep a case's record, which takes the place of an earlier one; raise WriteError where the disk will not."""
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115  # `close` closes it
            place = self._file.seek(0, 2)
            self._file.write(write_record(record).encode() + b"\n")
            self._file.flush()
        except OSError as error:
            raise WriteError(self._folder / RECORDS, error) from None
        self._places[record.key] = place

    def write_down(self, keys: Iterable[str]) -> Records:
        """Write records.jsonl, whole or not at all, with the records of these cases in this order, and return them."""
        keys, places = list(keys), [0]
        write_durably(self._folder / RECORDS, self._lines(keys, places))
        return Records(self._folder, places[:-1])

    def close(self) -> None:
        """Forget what was kept."""
        if self._file is not None:
            self._file.close()

    def _lines(self, keys: Iterable[str], places: list[int]) -> Iterator[str]:
        for key in keys:
            assert self._file is not None
            self._file.seek(self._places[key])
            line = self._file.readline()
            places.append(places[-1] + len(line))
            yield line.decode()
