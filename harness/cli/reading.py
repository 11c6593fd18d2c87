"""Reads a run's folder for the commands that only look at runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.console import fail
from harness.cli.exits import Exit

if TYPE_CHECKING:
    from reports.results import Run


def run_or_exit(folder: Path) -> Run:
    """Return the run in `folder`, or end the command with what is wrong with it."""
    from harness.engine.folder import settle
    from harness.engine.journal import RunFolderError
    from reports import ReportError
    from reports.read import read_run

    try:
        settle(folder)
        return read_run(folder)
    except (ReportError, RunFolderError) as error:
        fail(Exit.USAGE, str(error))
