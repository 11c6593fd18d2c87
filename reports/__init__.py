"""The report: run directories in; an HTML page, a Markdown summary and a JSON document out. Never measures."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from reports.against.against import refuse
from reports.claims import Decided
from reports.read import ReportError, read_run
from reports.review import review
from reports.words import plain

__all__ = ["Rendered", "ReportError", "check_history", "check_report", "render", "render_beside", "render_history"]

RUN_FILES = ("run.json", "journal.jsonl", "records.jsonl", "worker.log")
"""What a report never replaces."""
METHOD = "method.html"


@dataclass(frozen=True, slots=True)
class Rendered:
    """What was written, and the page's answer."""

    html: Path
    summary: Path
    data: Path
    method: Path
    """How the numbers were taken; the page links to its headings."""
    verdict: str
    """The answer in one sentence, written from the numbers."""
    claims: tuple[Decided, ...] = ()
    """What became of each of the suite's claims."""

    @property
    def refuted(self) -> tuple[Decided, ...]:
        """The claims that do not hold."""
        return tuple(one for one in self.claims if one.verdict == "refuted")


def render(run_folder: Path, *, html: Path, title: str | None = None, baseline: Path | None = None) -> Rendered:
    """Write the report of the run in `run_folder`: the page to `html`, its summary, data and method beside it.

    In the run folder these are summary.md, report.json and method.html; elsewhere summary and data are named after the
    page, page.summary.md and page.json, so that the reports of two runs can lie in one folder and share the method.
    `title` stands in for the suite's. A page against the run in `baseline` is none of the run itself, and has its
    summary and data named after it wherever it lies.

    Raises:
        ReportError: A folder is no run, a newer harness wrote it, the two have nothing to compare, or the files cannot
            be written; nothing is written then.
    """
    paths = check_report(run_folder, html=html, baseline=baseline)
    inside = html.parent.resolve() == run_folder.resolve()
    run, base = read_run(run_folder), read_run(baseline) if baseline else None
    if base is not None:
        refuse(run, base)
    from reports.data import render_data
    from reports.method import render_method
    from reports.page import render_page  # plotly takes a third of a second to import: not before it is needed
    from reports.summary import render_summary

    made = review(run, base)
    made = made if title is None else replace(made, title=title)
    texts = {
        paths.html: render_page(made, "" if inside else f"{os.path.relpath(run_folder, html.parent)}/"),
        paths.summary: render_summary(made),
        paths.data: render_data(made),
        paths.method: render_method(),
    }
    for path, content in texts.items():
        _write(path, content)
    return replace(paths, verdict=plain(made.answer), claims=tuple(row.decided for row in made.claims.rows))


def check_report(run_folder: Path, *, html: Path, baseline: Path | None = None) -> Rendered:
    """Return where the report of this run would be written; no run is read.

    Raises:
        ReportError: The files cannot be written, would replace a part of a run, or the run is its own baseline.
    """
    if baseline is not None and baseline.resolve() == run_folder.resolve():
        raise ReportError(f"{run_folder} is its own baseline: name another run.")
    paths = _beside(html)
    own = next((run for run in (run_folder, baseline) if run and html.parent.resolve() == run.resolve()), None)
    if own is not None and not own.is_dir():
        return paths  # it is no run, which whoever reads it says
    if own is not None and html.name in RUN_FILES:
        raise ReportError(f"{html} is a file of the run itself; choose another.")
    if own is not None and baseline is None:
        paths = replace(paths, summary=html.with_name("summary.md"), data=html.with_name("report.json"))
    elif own is not None and html.name == "report.html":
        raise ReportError(f"{html} is the report of {own} alone; name the page against its baseline otherwise.")
    _check_writable(paths.html, paths.summary, paths.data, paths.method)
    return paths


def render_history(run_folders: Sequence[Path], *, html: Path, title: str | None = None) -> Rendered:
    """Write the history of the runs of one suite: the page to `html`, its summary, data and method beside it.

    Raises:
        ReportError: A folder is no run, a newer harness wrote it, the runs are of different suites, one of them is
            there twice, or the files cannot be written; nothing is written then.
    """
    paths = check_history(run_folders, html=html)
    from reports.data import render_data
    from reports.history import history
    from reports.history.page import render_page
    from reports.history.stops import in_order
    from reports.history.text import render_summary
    from reports.method import render_method

    made = history(in_order([(folder, read_run(folder)) for folder in run_folders]), title)
    texts = {
        paths.html: render_page(made),
        paths.summary: render_summary(made),
        paths.data: render_data(made),
        paths.method: render_method(),
    }
    for path, content in texts.items():
        _write(path, content)
    return replace(paths, verdict=plain(made.answer))


def render_beside(run_folders: Sequence[Path], *, html: Path, title: str | None = None) -> Rendered:
    """Write the page of several runs side by side to `html`, its summary, data and method beside it.

    Raises:
        ReportError: A folder is no run, a newer harness wrote it, the runs cannot stand side by side, or the files
            cannot be written; nothing is written then.
    """
    paths = check_history(run_folders, html=html, what="a page of several runs")
    runs = [(folder, read_run(folder)) for folder in run_folders]
    from reports.beside.beside import beside
    from reports.beside.beside import refuse as refuse_beside
    from reports.beside.page import render_page
    from reports.beside.text import render_summary
    from reports.data import render_data
    from reports.method import render_method

    refuse_beside(runs)
    made = beside([run for _, run in runs], title)
    texts = {
        paths.html: render_page(made),
        paths.summary: render_summary(made),
        paths.data: render_data(made),
        paths.method: render_method(),
    }
    for path, content in texts.items():
        _write(path, content)
    return replace(paths, verdict=plain(made.answer))


def check_history(run_folders: Sequence[Path], *, html: Path, what: str = "a history") -> Rendered:
    """Return where the page of these runs, `what`, would be written; no run is read.

    Raises:
        ReportError: The files cannot be written, or would lie in one of the runs.
    """
    paths = _beside(html)
    _check_writable(paths.html, paths.summary, paths.data, paths.method)
    if own := next((folder for folder in run_folders if html.parent.resolve() == folder.resolve()), None):
        raise ReportError(f"{html} lies in the run folder {own}; {what} is of several runs: name another place.")
    return paths


def _beside(html: Path) -> Rendered:
    """Return the files of a page: summary and data are named after it."""
    return Rendered(html, html.with_name(f"{html.stem}.summary.md"), html.with_name(f"{html.stem}.json"),
                    html.with_name(METHOD), "")  # fmt: skip


def _check_writable(*paths: Path) -> None:
    if len({path.name for path in paths}) < len(paths):
        raise ReportError(f"{paths[0]} is the name of the report's own summary or data; choose another.")
    for path in paths:
        folder = path.parent
        if path.is_dir():
            raise ReportError(f"{path} is a folder; the report needs a file's name there.")
        if path.exists() and not path.is_file():
            raise ReportError(f"{path} is no regular file; the report would replace it.")
        if not folder.is_dir():
            raise ReportError(f"{path} cannot be written: the folder {folder} does not exist.")
        if not os.access(path if path.exists() else folder, os.W_OK):
            raise ReportError(f"{path} cannot be written: no permission.")


def _write(path: Path, content: str) -> None:
    target = path.resolve()  # a link stays a link
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        part.write_text(content, "utf-8", newline="\n")
        part.replace(target)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise ReportError(f"{path} cannot be written: {error.strerror or error}.") from None
