"""The report: run directories in; an HTML page, a Markdown summary, JUnit and JSON out. Never measures."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.declare.cluster import Cluster
from harness.declare.priced import check_priceable
from reports.against.against import refuse
from reports.claims import Decided
from reports.read import NothingInCommon, ReportError, read_run
from reports.review import check_names, narrowed, review
from reports.words import plain

__all__ = [
    "NothingInCommon",
    "Rendered",
    "ReportError",
    "check_history",
    "check_report",
    "render",
    "render_beside",
    "render_history",
]

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
    junit: Path | None = None
    """A test a case and a test a claim; None of a history, which has neither."""
    claims: tuple[Decided, ...] = ()
    """What became of each of the suite's claims."""

    @property
    def refuted(self) -> tuple[Decided, ...]:
        """The claims that do not hold."""
        return tuple(one for one in self.claims if one.verdict == "refuted")


def render(
    run_folder: Path,
    *,
    html: Path,
    title: str | None = None,
    baseline: Path | None = None,
    only: Sequence[str] = (),
    cluster: Cluster | None = None,
) -> Rendered:
    """Write the report of the run in `run_folder`: the page to `html`; summary, JUnit, data and method beside it.

    In the run folder these are summary.md, junit.xml, report.json and method.html; elsewhere they are named after the
    page, page.summary.md, page.junit.xml and page.json, so that the reports of two runs can lie in one folder and
    share the method. `title` stands in for the suite's. A page against the run in `baseline` is none of the run itself,
    and has its summary and data named after it wherever it lies. With `only`, page, summary and data hold the verdict
    and these sections; the tests of JUnit are always all there. `cluster` holds devices whose predicted times stand
    beside the measured ones.

    Raises:
        SuiteError: The cluster cannot price the run's cases.
        NothingInCommon: No case of the run is one of its baseline.
        ReportError: A folder is no run, a newer harness wrote it, the two have nothing to compare, a section is none,
            or the files cannot be written; nothing is written then.
    """
    paths = check_report(run_folder, html=html, baseline=baseline, only=only)
    run, base = read_run(run_folder), read_run(baseline) if baseline else None
    if base is not None:
        refuse(run, base)
    from reports.data import render_data
    from reports.junit import render_junit
    from reports.method import render_method
    from reports.page import render_page  # plotly takes a third of a second to import: not before it is needed
    from reports.summary import render_summary

    if cluster is not None:
        check_priceable(cluster, [result.case for result in run.results])
    made = narrowed(review(run, base, cluster), only)
    made = made if title is None else replace(made, title=title)
    texts = {
        paths.html: render_page(made, _way(html, run_folder)),
        paths.summary: render_summary(made),
        paths.data: render_data(made),
        paths.method: render_method(),
    }
    texts |= {paths.junit: render_junit(made)} if paths.junit else {}
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


def check_report(run_folder: Path, *, html: Path, baseline: Path | None = None, only: Sequence[str] = ()) -> Rendered:
    """Return where the report of this run would be written; no run is read.

    Raises:
        ReportError: The files cannot be written, would replace a part of a run, a section is none, or the run is its
            own baseline.
    """
    check_names(only)
    if baseline is not None and baseline.resolve() == run_folder.resolve():
        raise ReportError(f"{run_folder} is its own baseline: name another run.")
    paths = replace(_beside(html), junit=html.with_name(f"{html.stem}.junit.xml"))
    own = next((run for run in (run_folder, baseline) if run and _inside(run, html)), None)
    if own is not None and not own.is_dir():
        return paths  # it is no run, which whoever reads it says
    if own is not None and html.name in RUN_FILES:
        raise ReportError(f"{html} is a file of the run itself; choose another.")
    if own is not None and baseline is None:
        summary, data, junit = (html.with_name(name) for name in ("summary.md", "report.json", "junit.xml"))
        paths = replace(paths, summary=summary, data=data, junit=junit)
    elif own is not None and html.name == "report.html":
        raise ReportError(f"{html} is the report of {own} alone; name the page against its baseline otherwise.")
    _check_writable(paths)
    return paths


def render_beside(run_folders: Sequence[Path], *, html: Path, title: str | None = None) -> Rendered:
    """Write the page of several runs side by side to `html`, its summary, data and method beside it.

    Raises:
        NothingInCommon: No case of a run is one of the first.
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
    _check_writable(paths)
    if own := next((folder for folder in run_folders if html.parent.resolve() == folder.resolve()), None):
        raise ReportError(f"{html} lies in the run folder {own}; {what} is of several runs: name another place.")
    return paths


def _inside(run_folder: Path, file: Path) -> bool:
    return file.parent.resolve() == run_folder.resolve()


def _way(html: Path, run_folder: Path) -> str:
    """Return the way from the page to the files of its run."""
    return "" if _inside(run_folder, html) else f"{os.path.relpath(run_folder, html.parent)}/"


def _beside(html: Path) -> Rendered:
    """Return the files of a page: summary and data are named after it."""
    return Rendered(html, html.with_name(f"{html.stem}.summary.md"), html.with_name(f"{html.stem}.json"),
                    html.with_name(METHOD), "")  # fmt: skip


def _check_writable(wanted: Rendered) -> None:
    paths = [wanted.html, wanted.summary, wanted.data, wanted.method, *([wanted.junit] if wanted.junit else [])]
    if len({path.name for path in paths}) < len(paths):
        raise ReportError(f"{wanted.html} is the name of the report's own summary, data or tests; choose another.")
    for path in paths:
        folder = path.parent
        if path.is_dir():
            raise ReportError(f"{path} is a folder; the report needs a file's name there.")
        if path.exists() and not path.is_file():
            raise ReportError(f"{path} is no regular file; the report would replace it.")
        if folder.is_file():
            raise ReportError(f"{path} cannot be written: {folder} is no folder, but a file.")
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
