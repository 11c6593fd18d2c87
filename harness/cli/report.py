"""`harness report`: renders, never measures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.console import fail, note, out
from harness.cli.exits import Exit


def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="The HTML file; left out: RUN/report.html.")
    ] = None,
) -> None:
    """Render a run's report: HTML, Markdown and JSON. Never measures."""
    from harness.engine.folder import settle
    from harness.engine.journal import RunFolderError
    from reports import ReportError, render

    try:
        settle(run)
        rendered = render(run, html=output or run / "report.html")
    except (ReportError, RunFolderError) as error:
        fail(Exit.USAGE, str(error))
    note(rendered.verdict)
    out(str(rendered.html))
