"""`harness report`: renders one run, alone or against a baseline, or many, side by side or as a history."""

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
SECTIONS = (
    "claims", "ratios", "fronts", "winners", "scaling", "crossovers", "phases", "exchange", "roofline", "prediction",
    "memory", "energy", "determinism", "routing", "noise", "cases", "provenance", "glossary",
)  # fmt: skip
"""What --only takes, said without importing the report; a test holds it to the report's own."""
AGAINST = "against.html"
BESIDE = "beside.html"


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
            help="The HTML file; left out: RUN/report.html, RUN/against.html with a baseline, and for several runs "
            "history.html or beside.html beside them.",
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            metavar="SECTION",
            help=f"The verdict and this section alone, in page, summary and data; repeatable: {', '.join(SECTIONS)}.",
        ),
    ] = None,
    baseline: Annotated[
        Path | None,
        typer.Option("--baseline", metavar="BASE", help="The run folder that RUN is held against, on the same page."),
    ] = None,
    beside: Annotated[
        bool, typer.Option("--beside", help="Hold several runs side by side, the first as reference, not as a history.")
    ] = False,
    title: Annotated[str | None, typer.Option("--title", metavar="TEXT", help="The page's title.")] = None,
    cluster: ClusterOption = None,
    open_: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
) -> None:
    """Render a run's report, or the history of several runs: HTML, Markdown, JSON, of one run JUnit. Never measures.

    With a baseline the page says first what became slower, worse or otherwise. A history says of every case and number
    since which run it is what it is; side by side, runs of other machines or commits stand to the first one. Exit 4
    where runs that are to be compared have no case in common.
    """
    from harness.declare.faults import SuiteError
    from harness.engine.folder import settle
    from harness.engine.journal import RunFolderError
    from reports import (
        NothingInCommon,
        ReportError,
        check_history,
        check_report,
        render,
        render_beside,
        render_history,
    )

    folders = _expanded(runs)
    _check_kind(folders, baseline, beside=beside)
    if title is not None and not title.strip():
        fail(Exit.USAGE, "--title is empty: give the page's title, or leave it out for that of the suite")
    if only and len(folders) > 1:
        fail(Exit.USAGE, "--only picks sections of one run's report, and these are several runs: name one run")
    if cluster is not None and len(folders) > 1:
        fail(Exit.USAGE, "--cluster stands beside the times of one run, and these are several: name one run")
    elsewhere = None if cluster is None else cluster_or_exit(cluster)
    page = output or _usual_page(folders, baseline, beside=beside)
    try:
        if len(folders) > 1:
            check_history(folders, html=page)  # before anything is folded or read
        else:
            check_report(folders[0], html=page, baseline=baseline, only=only or ())
        for folder in [*folders, *([baseline] if baseline else [])]:
            settle(folder, cut=True)
        if len(folders) == 1:
            rendered = render(folders[0], html=page, title=title, baseline=baseline, only=only or (), cluster=elsewhere)
        else:
            rendered = (render_beside if beside else render_history)(folders, html=page, title=title)
    except NothingInCommon as error:
        fail(Exit.NOT_COMPARABLE, str(error))
    except (ReportError, RunFolderError, SuiteError) as error:
        fail(Exit.USAGE, str(error))
    note(rendered.verdict)
    out(str(rendered.html))
    if open_:
        _open(rendered.html)


def _check_kind(folders: Sequence[Path], baseline: Path | None, *, beside: bool) -> None:
    """End where what is asked for needs one run, or several."""
    if baseline is not None and (beside or len(folders) > 1):
        fail(Exit.USAGE, "--baseline holds one RUN against another; for several runs at once leave it out for --beside")
    if beside and len(folders) == 1:
        fail(Exit.USAGE, f"--beside holds several runs side by side, and {folders[0]} is one; name another beside it")


def _usual_page(folders: Sequence[Path], baseline: Path | None, *, beside: bool) -> Path:
    """Return where a page goes: into its run, or of several into the folder that holds them all, else here."""
    if len(folders) == 1:
        return folders[0] / ("report.html" if baseline is None else AGAINST)
    name = BESIDE if beside else HISTORY
    parents = {folder.resolve().parent for folder in folders}
    return folders[0].parent / name if len(parents) == 1 else Path(name)


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


def _open(page: Path) -> None:
    import webbrowser

    if not webbrowser.open(page.resolve().as_uri()):
        note("harness: there is no browser here to open the page with; its path stands above")
