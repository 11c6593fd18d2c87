"""`harness export`: a run for other programs, such as pandas, a spreadsheet, pytest-benchmark, or slides."""

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
            metavar="csv|parquet|json|pytest-benchmark|svg",
            help="Left out: what FILE's name ends with; without FILE csv. svg: the report's charts, which needs "
            "Playwright and Chromium.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FILE", help="Where to write; left out: stdout. Of svg a folder, which is made."
        ),
    ] = None,
) -> None:
    """Write a run as a tidy table, a row a case; as a file that `pytest-benchmark compare` reads; or its charts."""
    from reports import ReportError
    from reports.export import BINARY, PICTURES
    from reports.export import export as exported

    if form == PICTURES:
        _export_pictures(run, output)
        return
    wanted = _format(form, output)
    if wanted in BINARY and output is None:
        fail(Exit.USAGE, f"--format {wanted} is no text: name a file with -o")
    if output is not None:
        _check(output, run)
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
        _write(output, data)
        out(str(output))


def _export_pictures(run: Path, folder: Path | None) -> None:
    """Write each chart of the run's report into `folder`."""
    from reports import ReportError
    from reports.export.pictures import pictures

    if folder is None:
        fail(Exit.USAGE, "--format svg is a file a chart: name a folder with -o")
    if folder.exists() and not folder.is_dir():
        fail(Exit.USAGE, f"{folder} is a file, and --format svg writes a file a chart: name a folder")
    read = run_or_exit(run)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        drawn = pictures(read)
    except ReportError as error:
        fail(Exit.USAGE, str(error))
    for name, data in drawn.items():
        _write(folder / name, data)
        out(str(folder / name))


def _format(form: str | None, output: Path | None) -> Format:
    from reports.export import FORMATS, PICTURES

    if form is None and output is not None and output.suffix.lower() not in SUFFIXES:
        _fail_unnamed(output)
    wanted = form or SUFFIXES.get("" if output is None else output.suffix.lower(), "csv")
    found = next((known for known in FORMATS if known == wanted), None)
    return found or fail(Exit.USAGE, f"--format {wanted}: expected {', '.join(FORMATS)} or {PICTURES}")


def _fail_unnamed(output: Path) -> None:
    if output.is_dir():
        fail(Exit.USAGE, f"{output} is a folder: name a file in it, or write the charts there with --format svg")
    fail(Exit.USAGE, f"{output}: its name says no format; end it in {', '.join(SUFFIXES)}, or say which with --format")


def _check(path: Path, run: Path) -> None:
    """Refuse a path that cannot be written, or is one of the run's own, before anything is read."""
    from reports import RUN_FILES

    if path.name in RUN_FILES and path.parent.resolve() == run.resolve():
        fail(Exit.USAGE, f"{path} is a file of the run itself; choose another")
    if path.is_dir():
        fail(Exit.USAGE, f"{path} is a folder: name a file in it")
    if path.exists() and not path.is_file():
        fail(Exit.USAGE, f"{path} is no regular file; choose another")
    if path.parent.is_file():
        fail(Exit.USAGE, f"{path} cannot be written: {path.parent} is no folder, but a file")
    if not path.parent.is_dir():
        fail(Exit.USAGE, f"{path} cannot be written: the folder {path.parent} does not exist")


def _write(path: Path, data: bytes) -> None:
    """Write the file, whole or not at all."""
    target = path.resolve()  # a link stays a link
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        part.write_bytes(data)
        part.replace(target)
    except OSError as error:
        part.unlink(missing_ok=True)
        fail(Exit.USAGE, f"{path} cannot be written: {error.strerror or error}")
