"""`harness export`: a run for other programs, such as pandas, a spreadsheet or pytest-benchmark."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.console import fail, note, out
from harness.cli.exits import Exit
from harness.cli.reading import run_or_exit

if TYPE_CHECKING:
    from reports.export import Format

SUFFIXES = {".csv": "csv", ".parquet": "parquet", ".json": "json"}
"""What a file's name says of its format."""


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="csv|parquet|json|pytest-benchmark",
            help="Left out: what FILE's name ends with, else csv.",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Where to write; left out: stdout.")
    ] = None,
) -> None:
    """Write a run as a tidy table, a row a case, or as a file that `pytest-benchmark compare` reads."""
    from reports import ReportError
    from reports.export import BINARY
    from reports.export import export as exported

    wanted = _format(form, output)
    if wanted in BINARY and output is None:
        fail(Exit.USAGE, f"--format {wanted} is no text: name a file with -o")
    read = run_or_exit(run)
    try:
        data = exported(read, wanted)
    except ReportError as error:
        fail(Exit.USAGE, str(error))
    if missing := sum(not result.ok for result in read.results):
        note(f"harness: {missing} of {len(read.results)} cases have no numbers; each is there with its reason")
    if output is None:
        out(data.decode().removesuffix("\n"))
    else:
        _write(output, data, run)
        out(str(output))


def _format(form: str | None, output: Path | None) -> Format:
    from reports.export import FORMATS

    wanted = form or SUFFIXES.get("" if output is None else output.suffix.lower(), "csv")
    found = next((known for known in FORMATS if known == wanted), None)
    return found or fail(Exit.USAGE, f"--format {wanted}: expected {', '.join(FORMATS[:-1])} or {FORMATS[-1]}")


def _write(path: Path, data: bytes, run: Path) -> None:
    """Write the file, whole or not at all; never over one of the run's own."""
    from reports import RUN_FILES

    if path.name in RUN_FILES and path.parent.resolve() == run.resolve():
        fail(Exit.USAGE, f"{path} is a file of the run itself; choose another")
    if path.exists() and not path.is_file():
        fail(Exit.USAGE, f"{path} is no regular file; choose another")
    target = path.resolve()  # a link stays a link
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        part.write_bytes(data)
        part.replace(target)
    except OSError as error:
        part.unlink(missing_ok=True)
        fail(Exit.USAGE, f"{path} cannot be written: {error.strerror or error}")
