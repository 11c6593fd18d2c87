"""Data on stdout, everything else on stderr; one way to end with a sentence."""

from __future__ import annotations

import json
import os
import sys
from typing import Any, NoReturn

import typer

from harness.cli.exits import Exit


def out(text: str = "") -> None:
    """Print data."""
    sys.stdout.write(text + "\n")


def note(text: str) -> None:
    """Print progress, a warning or a hint."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def document(data: dict[str, Any]) -> None:
    """Print one JSON document; `data` carries its `schema` number."""
    sys.stdout.write(json.dumps(data, allow_nan=False) + "\n")  # json.dump to a file takes the slow encoder


def fail(code: Exit, text: str) -> NoReturn:
    """End the command: say why on stderr and exit with `code`."""
    note(text if "\n" in text else f"harness: {text}")
    raise typer.Exit(int(code))


def columns() -> int:
    """Return the width to lay tables out in: the terminal's, or wide where there is none."""
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns
    except (OSError, ValueError):
        return 160
