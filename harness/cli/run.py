"""`harness run`: measure a suite, and render its report."""

from __future__ import annotations

import datetime
import shlex
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from harness.cli.console import document, fail, note, out
from harness.cli.exits import Exit
from harness.cli.options import DeviceOption, JsonOption, SelectOption, SetOption
from harness.cli.planning import detect_or_exit, plan_or_exit, suite_or_exit

if TYPE_CHECKING:
    from harness.declare.format import Suite
    from harness.declare.plan import Plan
    from harness.devices.ceilings import Ceilings
    from harness.devices.names import Detected
    from harness.engine.fold import AnyRecord
    from harness.engine.runner import RunResult

ROOT = Path("runs")
FAILURES = ("oom", "timeout", "crashed", "incorrect")
"""Statuses that make `run` end with 3: something went wrong that the plan did not foresee. So does a run in which no
case has numbers, for whatever reason."""

OutputOption = Annotated[
    Path | None,
    typer.Option("-o", "--output", metavar="DIR", help="The run's folder, new or empty; left out: runs/SUITE-WHEN."),
]
ResumeOption = Annotated[
    Path | None,
    typer.Option("--resume", metavar="DIR", help="Go on with the run in DIR: no finished visit is made again."),
]
ThreadsOption = Annotated[
    int, typer.Option(min=0, help="CPU threads of torch, up to the logical cores; 0 leaves the choice to torch.")
]


def run(
    context: typer.Context,
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
    from harness.engine.signals import stop_requests

    if resume is not None:
        wanted = _begun(resume, given=_given(context, but=("resume", "json_")))
    elif suite is not None:
        wanted = Wanted(suite_or_exit(suite), suite, set_ or [], select, device, threads)
    else:
        fail(Exit.USAGE, "name a suite (`harness suites` lists them), or a run to go on with by --resume DIR")
    _check_threads(wanted.threads)
    detected = detect_or_exit(wanted.device)
    plan = plan_or_exit(wanted.suite, wanted.overrides, wanted.select, detected)
    folder = resume or _folder(output, wanted.suite.name)
    try:
        ceilings = _ceilings(detected)
        with stop_requests() as stopped:  # until the report is there: signals often come in pairs
            result = _run(plan, folder, detected, wanted, ceilings, stopped, resume=resume is not None)
            rendered = _render(result, json_)
    finally:
        with suppress(OSError):
            folder.rmdir()  # an empty one only: that of a run that was refused
    raise typer.Exit(_exit_code(result) or (Exit.FINE if rendered else Exit.FAILED_CASES))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a run was asked to measure."""

    suite: Suite
    reference: str
    """The suite as the user named it."""
    overrides: list[str]
    select: str | None
    device: str
    threads: int

    def command(self, kind: str) -> str:
        """Return the command line that measures the same again."""
        words = ["harness", "run", self.reference, "--device", kind]
        words += [word for override in self.overrides for word in ("--set", override)]
        words += ["--select", self.select] if self.select else []
        words += ["--threads", str(self.threads)] if self.threads else []
        return shlex.join(words)


def _begun(folder: Path, *, given: bool) -> Wanted:
    """Return what the run in `folder` was asked for: a resumed run is the run that it was."""
    from harness.declare.suite import SuiteError, parse_suite
    from harness.engine.folder import read_document
    from harness.engine.journal import RunFolderError

    if given:
        options = "SUITE, -o, --set, --select, --device and --threads"
        fail(Exit.USAGE, f"--resume goes on with a run as it was begun: leave out {options}")
    try:
        document = read_document(folder)
        stored = document["suite"]
        suite = parse_suite(stored["source"], stored.get("file") or f"{stored['name']}.toml")
    except (RunFolderError, SuiteError) as error:
        fail(Exit.USAGE, str(error))
    kind, threads = document["device"]["kind"], document.get("threads", 0)
    return Wanted(suite, suite.name, stored["overrides"], stored["select"], kind, threads)


def _given(context: typer.Context, *, but: Collection[str]) -> bool:
    """Return whether an argument or option other than these stands on the command line."""
    sources = (context.get_parameter_source(name) for name in context.params if name not in but)
    return any(source is not None and source.name == "COMMANDLINE" for source in sources)


def _check_threads(threads: int) -> None:
    from harness.devices.names import logical_cores

    if threads > (cores := logical_cores()):
        fail(Exit.USAGE, f"--threads {threads}: this machine has {cores} logical cores; expected 0 to {cores}")


def _folder(output: Path | None, suite: str) -> Path:
    """Return the folder to write to, made before anything is measured, so that a bad path fails at once."""
    from harness.engine.folder import new_folder
    from harness.engine.journal import RunFolderError
    from harness.engine.locks import FOLDER_LOCKS

    try:
        if output is None:
            return new_folder(ROOT, suite, datetime.datetime.now())
        output.mkdir(parents=True, exist_ok=True)
        if any(path.name not in FOLDER_LOCKS for path in output.iterdir()):
            fail(Exit.USAGE, f"{output} is not empty: name a new folder with -o, or go on with its run by --resume")
    except RunFolderError as error:
        fail(Exit.USAGE, str(error))
    except OSError as error:
        fail(Exit.USAGE, f"{output} cannot be a run's folder: {error.strerror}; name another with -o")
    return output


def _ceilings(device: Detected) -> Ceilings:
    from harness.cli.programs import measure_ceilings
    from harness.devices.ceilings import load

    return load(device.name) or measure_ceilings(*device)


def _run(
    plan: Plan,
    folder: Path,
    device: Detected,
    wanted: Wanted,
    ceilings: Ceilings,
    stopped: Callable[[], bool],
    *,
    resume: bool,
) -> RunResult:
    from harness.devices.interface import NoSuchDevice
    from harness.engine.journal import RunFolderError, WriteError
    from harness.engine.locks import Busy
    from harness.engine.progress import Console
    from harness.engine.runner import WorkerFailed, WorkerOptions
    from harness.engine.runner import run as run_plan

    note(f"harness: {len(plan.cases)} cases on {device.name}, into {folder}")
    try:
        return run_plan(
            plan,
            folder,
            device_kind=device.kind,
            resume=resume,
            progress=Console(),
            ceilings=ceilings,
            command=wanted.command(device.kind),
            worker=WorkerOptions(threads=wanted.threads),
            stopped=stopped,
        )
    except (WriteError, WorkerFailed) as error:
        _cut_short(Exit.FAILED_CASES, error, folder)
    except (RunFolderError, Busy) as error:
        fail(Exit.USAGE, str(error))
    except NoSuchDevice as error:
        _cut_short(Exit.NO_DEVICE, error, folder)


def _cut_short(code: Exit, error: Exception, folder: Path) -> NoReturn:
    """End the command in the midst of a run: say why, and how to go on where anything was begun."""
    from harness.engine.folder import RUN

    note(f"harness: {error}")
    if (folder / RUN).exists():
        note(f"harness: {_how_to_go_on(folder)}")
    raise typer.Exit(int(code))


def _how_to_go_on(folder: Path) -> str:
    return f"go on with: harness run --resume {shlex.quote(str(folder))}"


def _render(result: RunResult, json_: bool) -> bool:
    """Write the report and say what came of the run; return whether the report could be written."""
    from reports import ReportError, render

    if result.status == "interrupted":
        note(f"harness: interrupted; {_how_to_go_on(result.folder)}")
    elif reason := _why_no_numbers(result.records):
        note(f"harness: no case has numbers; the most frequent reason: {reason}")
    try:
        rendered = render(result.folder, html=result.folder / "report.html")
    except ReportError as error:
        note(f"harness: {error} The run is whole: harness report {shlex.quote(str(result.folder))}")
        return False
    note(rendered.verdict)
    if json_:
        counts: dict[str, int] = {}
        for record in result.records:
            counts[record.status] = counts.get(record.status, 0) + 1
        paths = {"folder": str(result.folder), "report": str(rendered.html)}
        document({"schema": 1, "status": result.status, **paths, "cases": counts})
    else:
        out(str(rendered.html))
    return True


def _why_no_numbers(records: Sequence[AnyRecord]) -> str | None:
    """Return the most frequent reason of cases without numbers, where all are such; else None."""
    reasons = Counter(f"{record.status}: {record.reason}" for record in records if record.status != "ok")
    if reasons.total() < len(records) or not records:
        return None
    ((reason, count),) = reasons.most_common(1)
    return f"{reason} ({count} of {len(records)} cases)"


def _exit_code(result: RunResult) -> Exit:
    if result.status == "interrupted":
        return Exit.INTERRUPTED
    failed = any(record.status in FAILURES for record in result.records)
    return Exit.FAILED_CASES if failed or _why_no_numbers(result.records) else Exit.FINE
