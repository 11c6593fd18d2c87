"""`harness report`: renders one run, or the history of many; never measures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.console import fail, note, out
from harness.cli.exits import Exit

RUN = "run.json"
HISTORY = "history.html"
AGAINST = "against.html"


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
            help="The HTML file; left out: RUN/report.html, RUN/against.html with a baseline, or history.html beside "
            "the runs.",
        ),
    ] = None,
    baseline: Annotated[
        Path | None,
        typer.Option("--baseline", metavar="BASE", help="The run folder that RUN is held against, on the same page."),
    ] = None,
    title: Annotated[str | None, typer.Option("--title", metavar="TEXT", help="The page's title.")] = None,
    open_: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
) -> None:
    """Render a run's report, or the history of several runs: HTML, Markdown and JSON. Never measures.

    With a baseline the page says first what became slower, worse or otherwise. A history says of every case and number
    since which run it is what it is.
    """
    from harness.engine.folder import settle
    from harness.engine.journal import RunFolderError
    from reports import ReportError, check_history, check_report, render, render_history

    folders = _expanded(runs)
    if baseline is not None and len(folders) > 1:
        fail(Exit.USAGE, f"--baseline is for one RUN, and these are {len(folders)}")
    alone = folders[0] / ("report.html" if baseline is None else AGAINST)
    page = output or (alone if len(folders) == 1 else _beside(folders))
    try:
        if len(folders) > 1:
            check_history(folders, html=page)  # before anything is folded or read
        else:
            check_report(folders[0], html=page, baseline=baseline)
        for folder in [*folders, *([baseline] if baseline else [])]:
            settle(folder)
        rendered = (
            render(folders[0], html=page, title=title, baseline=baseline)
            if len(folders) == 1
            else render_history(folders, html=page, title=title)
        )
    except (ReportError, RunFolderError) as error:
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
