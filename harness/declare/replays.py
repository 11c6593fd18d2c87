"""Stored assignments: the files that `routing = "replay:FILE"` names, read and held against a case.

One is [T, K], the experts of each token: a `.json` file with a list for each token, a `.csv` file with a line for each
token, or a `.npy` file of whole numbers. With [L, T, K], each of the L layers of a model that have experts has its own
(not in `.csv`). The file is looked for in the folder of the suite's file, then in the working folder; nothing in it is
ever executed.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.case import Case
from harness.declare.scopes import layers_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

LARGEST_FILE = 1 << 28
"""Bytes of a stored assignment, at the most."""
ENDINGS = (".json", ".csv", ".npy")
EXPECTED = "whole numbers from 0, K distinct experts for each of T tokens, in a .json, .csv or .npy file"


class AssignmentError(Exception):
    """A stored assignment that cannot be read, or does not fit its case; what was expected is beside the message."""

    def __init__(self, message: str, expected: str = EXPECTED) -> None:
        super().__init__(message)
        self.message = message
        self.expected = expected


@dataclass(frozen=True, slots=True)
class Stored:
    """A stored assignment, sound in itself."""

    choice: NDArray[Any]
    """[L, T, K] int64; L is 1 where all layers share it."""
    digest: str
    """16 hex digits over its numbers and shape: the same in whatever form they are stored."""


def read_stored(file: str, folders: Iterable[Path | str]) -> Stored:
    """Return the assignment stored in `file`, looked for in `folders`; raise AssignmentError with what is wrong."""
    path = next((found for folder in folders if _is_file(found := Path(folder) / file)), None)
    if path is None:
        expected = "a path from the folder of the suite's file, or from the working folder"
        raise AssignmentError(f"{file}: there is no such file", expected)
    if path.suffix not in ENDINGS:
        raise AssignmentError(f"{file}: this is no .json, .csv or .npy file")
    status = path.stat()
    if status.st_size > LARGEST_FILE:
        raise AssignmentError(f"{file}: this is too large", f"at most {LARGEST_FILE >> 20} MiB")
    try:
        return _read(path, status.st_mtime_ns, status.st_size)
    except AssignmentError as error:
        raise AssignmentError(f"{file}: {error.message}", error.expected) from None
    except (OSError, ValueError) as error:
        raise AssignmentError(f"{file}: cannot be read: {_first_line(error)}") from None


def unfit(stored: Stored, case: Case) -> str | None:
    """Return why `case` cannot replay `stored`, in words, or None."""
    layers, tokens, top_k = stored.choice.shape
    routers = sum(own.layer == case.layer for own in layers_of(case))
    if (tokens, top_k) != (case.sequence_tokens, case.top_k):
        return (
            f"it is of {tokens} tokens with {top_k} experts each, and this case has {case.sequence_tokens} "
            f"(batch {case.batch} of {case.tokens}) with {case.top_k}"
        )
    if layers not in (1, routers):
        return f"it is of {layers} layers, and this case has {routers} with experts"
    if (largest := int(stored.choice.max())) >= (case.experts or 0):
        return f"it names expert {largest}, and this case has experts 0 to {(case.experts or 0) - 1}"
    return None


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name too long for a file
        return False


@lru_cache(maxsize=8)
def _read(path: Path, modified: int, size: int) -> Stored:
    """Return what the file holds; `modified` and `size` make a changed file another one."""
    rows = {".json": _from_json, ".csv": _from_csv, ".npy": _from_npy}[path.suffix](path)
    choice = rows[None] if rows.ndim == 2 else rows
    _check(choice, path.suffix == ".csv")
    digest = hashlib.sha256(f"{choice.shape}".encode() + choice.astype("<i8").tobytes()).hexdigest()[:16]
    return Stored(choice, digest)


def _from_json(path: Path) -> NDArray[Any]:
    try:
        data = json.loads(path.read_text("utf-8"))
    except json.JSONDecodeError as error:
        raise AssignmentError(f"line {error.lineno}: this is not JSON: {error.msg}") from None
    except RecursionError:
        raise AssignmentError("it is nested too deeply") from None
    return _array(data)


def _from_csv(path: Path) -> NDArray[Any]:
    rows: list[list[int]] = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
        cells = [cell.strip() for cell in line.split(",")]
        if wrong := next((cell for cell in cells if not re.fullmatch(r"[0-9]{1,9}", cell)), None):
            raise AssignmentError(f"line {number}: {wrong!r} is no expert's number")
        if "" in cells:
            raise AssignmentError(f"line {number}: an expert's number is missing")
        if rows and len(cells) != len(rows[0]):
            raise AssignmentError(f"line {number}: {len(cells)} experts, and line 1 has {len(rows[0])}")
        rows.append([int(cell) for cell in cells])
    return _array(rows)


def _from_npy(path: Path) -> NDArray[Any]:
    import numpy as np

    return _array(np.load(path, allow_pickle=False))


def _array(data: Any) -> NDArray[Any]:
    """Return `data` as int64, [T, K] or [L, T, K]."""
    import numpy as np  # a tenth of a second, which plans without a stored assignment do not pay

    try:
        array = np.asarray(data)
    except ValueError:
        raise AssignmentError("its rows are not all of one length") from None
    if array.dtype.kind not in "iu" or array.ndim not in (2, 3) or not array.size:
        raise AssignmentError(f"it holds {array.dtype} of shape {list(array.shape)}")
    return array.astype(np.int64)


def _check(choice: NDArray[Any], has_lines: bool) -> None:
    """Raise AssignmentError on the first token, or line, with an expert below 0 or one that it has twice."""
    import numpy as np

    ordered = np.sort(choice, axis=-1)
    twice = (ordered[..., 1:] == ordered[..., :-1]).any(-1)
    for wrong, what in ((ordered[..., 0] < 0, "an expert below 0"), (twice, "the same expert twice")):
        if wrong.any():
            layer, token = np.argwhere(wrong)[0]
            where = f"line {token + 1}" if has_lines else f"token {token}"
            where += f" of layer {layer}" if len(choice) > 1 else ""
            raise AssignmentError(f"{where}: {what}: {choice[layer, token].tolist()}")


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
