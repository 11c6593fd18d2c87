"""`harness run`: measure a suite, and render its report."""

from __future__ import annotations

import datetime
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.console import document, fail, note, out
from harness.cli.exits import Exit
from harness.cli.options import DeviceOption, JsonOption, SelectOption, SetOption
from harness.cli.planning import detect_or_exit, plan_or_exit, suite_or_exit

if TYPE_CHECKING:
    from harness.declare.format import Suite
    from harness.declare.plan import Plan
    from harness.devices.names import Detected
    from harness.engine.runner import RunResult

ROOT = Path("runs")
FAILURES = ("oom", "timeout", "crashed", "incorrect")
"""Statuses that make `run` end with 3: something went wrong that the plan did not foresee."""

OutputOption = Annotated[
    Path | None,
    typer.Option("-o", "--output", metavar="DIR", help="The run's folder, new or empty; left out: runs/SUITE-WHEN."),
]
ResumeOption = Annotated[
    Path | None,
    typer.Option("--resume", metavar="DIR", help="Go on with the run in DIR: no finished visit is made again."),
]
ThreadsOption = Annotated[int, typer.Option(min=0, help="CPU threads of torch; 0 leaves the choice to torch.")]


def run(
    suite: Annotated[
        str | None, typer.Argument(metavar="SUITE", help="A name that `harness suites` lists, or a path.")
    ] = None,
    output: OutputOption = None,
    resume: ResumeOption = None,
    set_: SetOption = None,
    select: SelectOption = None,
    device: DeviceOption = "auto",
    threads: ThreadsOption = 0,
    json_: JsonOption = False,
) -> None:
    """Measure a suite, keep every sample, and render the report; prints the report's path."""
    if resume is not None:
        wanted = _begun(resume, given=bool(suite or output or set_ or select))
    elif suite is not None:
        wanted = Wanted(suite_or_exit(suite), suite, set_ or [], select, device)
    else:
        fail(Exit.USAGE, "name a suite (`harness suites` lists them), or a run to go on with by --resume DIR")
    detected = detect_or_exit(wanted.device)
    plan = plan_or_exit(wanted.suite, wanted.overrides, wanted.select, detected)
    folder = resume or _folder(output, wanted.suite.name)
    result = _run(plan, folder, detected, wanted.command(detected.kind, threads), threads, resume=resume is not None)
    _render(result, json_)
    raise typer.Exit(_exit_code(result))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a run was asked to measure."""

    suite: Suite
    reference: str
    """The suite as the user named it."""
    overrides: list[str]
    select: str | None
    device: str

    def command(self, kind: str, threads: int) -> str:
        """Return the command line that measures the same again."""
        words = ["harness", "run", self.reference, "--device", kind]
        words += [word for override in self.overrides for word in ("--set", override)]
        words += ["--select", self.select] if self.select else []
        words += ["--threads", str(threads)] if threads else []
        return shlex.join(words)


def _begun(folder: Path, *, given: bool) -> Wanted:
    """Return what the run in `folder` was asked for: a resumed run is the run that it was."""
    from harness.declare.suite import SuiteError, parse_suite
    from harness.engine.folder import read_document
    from harness.engine.journal import RunFolderError

    if given:
        fail(Exit.USAGE, "--resume goes on with a run as it was begun: leave out SUITE, -o, --set and --select")
    try:
        document = read_document(folder)
        stored = document["suite"]
        suite = parse_suite(stored["source"], f"{stored['name']}.toml")
    except (RunFolderError, SuiteError) as error:
        fail(Exit.USAGE, str(error))
    return Wanted(suite, suite.name, list(stored["overrides"]), stored["select"], str(document["device"]["kind"]))


def _folder(output: Path | None, suite: str) -> Path:
    """Return the folder to write to, made before anything is measured, so that a bad path fails at once."""
    from harness.engine.folder import new_folder
    from harness.engine.journal import RunFolderError

    try:
        if output is None:
            return new_folder(ROOT, suite, datetime.datetime.now())
        output.mkdir(parents=True, exist_ok=True)
        if any(output.iterdir()):
            fail(Exit.USAGE, f"{output} is not empty: name a new folder with -o, or go on with its run by --resume")
    except (RunFolderError, OSError) as error:
        fail(Exit.USAGE, str(error))
    return output


def _run(plan: Plan, folder: Path, device: Detected, command: str, threads: int, *, resume: bool) -> RunResult:
    from harness.cli.programs import measure_ceilings
    from harness.devices.ceilings import load
    from harness.engine.journal import RunFolderError
    from harness.engine.locks import Busy
    from harness.engine.progress import Console
    from harness.engine.runner import WorkerFailed, WorkerOptions
    from harness.engine.runner import run as run_plan

    ceilings = load(device.name) or measure_ceilings(*device)
    note(f"harness: {len(plan.cases)} cases on {device.name}, into {folder}")
    try:
        return run_plan(
            plan,
            folder,
            device_kind=device.kind,
            resume=resume,
            progress=Console(),
            ceilings=ceilings,
            command=command,
            worker=WorkerOptions(threads=threads),
        )
    except (RunFolderError, Busy) as error:
        fail(Exit.USAGE, str(error))
    except WorkerFailed as error:
        fail(Exit.FAILED_CASES, str(error))


def _render(result: RunResult, json_: bool) -> None:
    from reports import render

    rendered = render(result.folder, html=result.folder / "report.html")
    note(rendered.verdict)
    if result.status == "interrupted":
        note(f"harness: interrupted; go on with: harness run --resume {shlex.quote(str(result.folder))}")
    if json_:
        counts: dict[str, int] = {}
        for record in result.records:
            counts[record.status] = counts.get(record.status, 0) + 1
        paths = {"folder": str(result.folder), "report": str(rendered.html)}
        document({"schema": 1, "status": result.status, **paths, "cases": counts})
    else:
        out(str(rendered.html))


def _exit_code(result: RunResult) -> int:
    if result.status == "interrupted":
        return Exit.INTERRUPTED
    return Exit.FAILED_CASES if any(record.status in FAILURES for record in result.records) else Exit.FINE
