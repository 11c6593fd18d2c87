"""`harness report`: renders one run, or the history of many; never measures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.cluster import cluster_or_exit
from harness.cli.console import fail, note, out
from harness.cli.exits import Exit
from harness.cli.options import ClusterOption

RUN = "run.json"
HISTORY = "history.html"


def report(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN...", help="A run folder; of several, or a folder of them: their history."),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="The HTML file; left out: RUN/report.html, or history.html beside the runs.",
        ),
    ] = None,
    title: Annotated[str | None, typer.Option("--title", metavar="TEXT", help="The page's title.")] = None,
    cluster: ClusterOption = None,
    open_: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
) -> None:
    """Render a run's report, or the history of several runs: HTML, Markdown and JSON. Never measures.

    A history says of every case and number since which run it is what it is.
    """
    from harness.declare.faults import SuiteError
    from harness.engine.folder import settle
    from harness.engine.journal import RunFolderError
    from reports import ReportError, check_history, render, render_history

    folders = _expanded(runs)
    if cluster is not None and len(folders) > 1:
        fail(Exit.USAGE, "--cluster stands beside the times of one run, and this is a history of several")
    elsewhere = None if cluster is None else cluster_or_exit(cluster)
    page = output or (folders[0] / "report.html" if len(folders) == 1 else _beside(folders))
    try:
        if len(folders) > 1:
            check_history(folders, html=page)  # before anything is folded or read
        for folder in folders:
            settle(folder)
        rendered = (
            render(folders[0], html=page, title=title, cluster=elsewhere)
            if len(folders) == 1
            else render_history(folders, html=page, title=title)
        )
    except (ReportError, RunFolderError, SuiteError) as error:
        fail(Exit.USAGE, str(error))
    note(rendered.verdict)
    out(str(rendered.html))
    if open_:
        _open(rendered.html)


def _expanded(given: Sequence[Path]) -> list[Path]:
    """Return the run folders: a folder that is no run itself stands for the runs in it."""
    found: list[Path] = []
    for path in given:
        inner = [] if (path / RUN).exists() else _runs_in(path)
        if len(inner) == 1 and len(given) == 1:
            fail(Exit.USAGE, f"{path} holds a single run, and a history needs two; try `harness report {inner[0]}`")
        found += inner or [path]
    return found


def _runs_in(folder: Path) -> list[Path]:
    """Return the runs in a folder: those of nights too, each of which holds one as `run`."""
    return sorted(file.parent for pattern in (RUN, f"run/{RUN}") for file in folder.glob(f"*/{pattern}"))


def _beside(folders: Sequence[Path]) -> Path:
    """Return where the history of runs goes: into the folder that holds them, or here where no single one does."""
    parents = {folder.resolve().parent for folder in folders}
    return folders[0].parent / HISTORY if len(parents) == 1 else Path(HISTORY)


def _open(page: Path) -> None:
    import webbrowser

    if not webbrowser.open(page.resolve().as_uri()):
        note("harness: there is no browser here to open the page with; its path stands above")
