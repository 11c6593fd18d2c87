"""The report: run directories in; an HTML page, a Markdown summary and a JSON document out. Never measures."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.declare.cluster import Cluster
from harness.declare.priced import check_priceable
from reports.claims import Decided
from reports.read import ReportError, read_run
from reports.review import review
from reports.words import plain

__all__ = ["Rendered", "ReportError", "check_history", "render", "render_history"]

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


def render(run_folder: Path, *, html: Path, title: str | None = None, cluster: Cluster | None = None) -> Rendered:
    """Write the report of the run in `run_folder`: the page to `html`, its summary, data and method beside it.

    In the run folder these are summary.md, report.json and method.html; elsewhere summary and data are named after the
    page, page.summary.md and page.json, so that the reports of two runs can lie in one folder and share the method.
    `title` stands in for the suite's. `cluster` holds devices whose predicted times stand beside the measured ones.

    Raises:
        SuiteError: The cluster cannot price the run's cases.
        ReportError: The folder is no run, a newer harness wrote it, or the files cannot be written; nothing is
            written then.
    """
    run = read_run(run_folder)
    inside = html.parent.resolve() == run_folder.resolve()
    paths = _beside(html)
    if inside:
        paths = replace(paths, summary=html.with_name("summary.md"), data=html.with_name("report.json"))
    if inside and html.name in RUN_FILES:
        raise ReportError(f"{html} is a file of the run itself; choose another.")
    _check_writable(paths.html, paths.summary, paths.data, paths.method)
    from reports.data import render_data
    from reports.method import render_method
    from reports.page import render_page  # plotly takes a third of a second to import: not before it is needed
    from reports.summary import render_summary

    if cluster is not None:
        check_priceable(cluster, [result.case for result in run.results])
    made = review(run, cluster)
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


def check_history(run_folders: Sequence[Path], *, html: Path) -> Rendered:
    """Return where the history of these runs would be written; no run is read.

    Raises:
        ReportError: The files cannot be written, or would lie in one of the runs.
    """
    paths = _beside(html)
    _check_writable(paths.html, paths.summary, paths.data, paths.method)
    if own := next((folder for folder in run_folders if html.parent.resolve() == folder.resolve()), None):
        raise ReportError(f"{html} lies in the run folder {own}; a history is of several runs: name another place.")
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
