"""Data on stdout, everything else on stderr; one way to end with a sentence.

Whatever becomes of the streams, no command ends in a traceback. Data that stdout does not take is an error (2, unless
the command failed by itself); a reader that has seen enough and closes its pipe, as `head` does, is none. What stderr
does not take is lost, and costs nothing else.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn, TextIO

import typer

from harness.cli.exits import Exit

STREAM_FAULTS = (errno.ENOSPC, errno.EBADF, errno.EPIPE)
"""How a full disk, a closed stream, and a reader that has gone show themselves."""


class OutputLost(Exception):
    """stdout does not take data; it is raised from the OSError that says why."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


def out(text: str = "") -> None:
    """Print data."""
    try:
        sys.stdout.write(text + "\n")
    except OSError as error:
        raise OutputLost(error) from None


def note(text: str) -> None:
    """Print progress, a warning or a hint."""
    with suppress(OSError):
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


def document(data: dict[str, Any]) -> None:
    """Print one JSON document; `data` carries its `schema` number."""
    out(json.dumps(data, allow_nan=False))  # json.dump to a file takes the slow encoder


def fail(code: Exit, text: str) -> NoReturn:
    """End the command: say why on stderr and exit with `code`."""
    note(text if "\n" in text else f"harness: {text}")
    raise typer.Exit(int(code))


def exit_code(command: Callable[[], object]) -> int:
    """Run `command`, deliver what it printed, and return the exit code: the entry point's whole work."""
    _open_closed_streams()
    code, lost = int(Exit.FINE), None
    try:
        _check_folder()
        command()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(Exit.USAGE)
    except OutputLost as loss:
        lost = loss.error
    except OSError as error:
        if error.filename is None and error.errno in STREAM_FAULTS:  # Typer prints its help past `out`
            lost = error
        else:
            note("harness: " + (f"{error.filename}: {error.strerror}" if error.filename else str(error)))
            code = int(Exit.USAGE)
    lost = _flushed(sys.stdout) or lost
    if lost is not None and lost.errno != errno.EPIPE:
        note(f"harness: stdout cannot be written ({lost.strerror}): send it to a file or a pipe that can be")
        code = code or int(Exit.USAGE)
    _flushed(sys.stderr)
    return code


def _open_closed_streams() -> None:
    """Fill the places of standard streams that the shell has closed, before a file of the run can take one.

    What stands in for stdin and stdout cannot be written, so that lost data is noticed; stderr's takes all.
    """
    for number, flags in enumerate((os.O_RDONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, flags)  # the lowest free number, which is this one
    if sys.__stdout__ is None:
        sys.stdout = os.fdopen(1, "w", encoding="utf-8")
    if sys.__stderr__ is None:
        sys.stderr = os.fdopen(2, "w", encoding="utf-8")


def _flushed(stream: TextIO) -> OSError | None:
    """Flush a stream, and return why it cannot be; what it still holds is then dropped, lest Python try again."""
    try:
        stream.flush()
    except OSError as error:
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, stream.fileno())
        os.close(nothing)
        return error
    return None


def _check_folder() -> None:
    """End where the current folder has been deleted: relative paths mean nothing there, and torch does not load."""
    try:
        Path.cwd()
    except OSError:
        note("harness: the current folder is gone; change to another one")
        sys.exit(int(Exit.USAGE))
