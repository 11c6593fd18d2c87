"""`harness run`: measure a suite, and render its report."""

from __future__ import annotations

import datetime
import shlex
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from harness.cli.amounts import bytes_of, seconds_of
from harness.cli.console import document, fail, note, out
from harness.cli.exits import Exit
from harness.cli.options import DeviceOption, JsonOption, PluginsOption, SelectOption, SetOption
from harness.cli.planning import detect_or_exit, plan_or_exit, suite_or_exit, tell_plugins
from harness.cli.wanted import Wanted, amount, begun, given

if TYPE_CHECKING:
    from harness.declare.plan import Plan
    from harness.devices.ceilings import Ceilings
    from harness.devices.names import Detected
    from harness.engine.fold import AnyRecord
    from harness.engine.runner import RunResult

ROOT = Path("runs")
FAILURES = ("oom", "timeout", "crashed", "incorrect")
"""Statuses that make `run` end with 3: something went wrong that the plan did not foresee. So does a run in which no
case has numbers, for whatever reason."""

ENDED: dict[str, Exit] = {"interrupted": Exit.INTERRUPTED, "no_device": Exit.NO_DEVICE}
"""Exit codes of runs that somebody or something cut short. A budget that was used up is no fault: it was asked for."""

OutputOption = Annotated[
    Path | None,
    typer.Option("-o", "--output", metavar="DIR", help="The run's folder, new or empty; left out: runs/SUITE-WHEN."),
]
ResumeOption = Annotated[
    Path | None,
    typer.Option("--resume", metavar="DIR", help="Go on with the run in DIR: no finished visit is made again."),
]
MemoryOption = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE",
        help="Host memory that a case may use, such as 16G: above it, it is out of memory. Left out: 80 % of all.",
    ),
]
BudgetOption = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="End after so much measuring (90s, 30m, 2h) with a report of what there is. What tells most comes first: "
        "every case's check, FLOPs and memory, two rounds of latency over all cases, the other probes, the other "
        "rounds.",
    ),
]
PruneOption = Annotated[
    bool,
    typer.Option(
        "--prune/--no-prune",
        help="Skip cases that need no less memory than one that ran out of it, or measure them all the same.",
    ),
]
TraceOption = Annotated[
    bool,
    typer.Option(
        "--trace", help="Keep a Chrome trace of each case whose phases are profiled, in the run's folder traces."
    ),
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
    memory: MemoryOption = None,
    budget: BudgetOption = None,
    prune: PruneOption = True,
    trace: TraceOption = False,
    plugins: PluginsOption = True,
    json_: JsonOption = False,
) -> None:
    """Measure a suite, keep every sample, and render the report; prints the report's path."""
    from harness.engine.signals import stop_requests

    seconds, limit = amount("--budget", budget, seconds_of), amount("--memory", memory, bytes_of)
    if resume is not None:
        wanted = begun(resume, given=given(context, but=("resume", "json_", "budget", "plugins")))
    elif suite is not None:
        wanted = Wanted(suite_or_exit(suite), suite, set_ or [], select, device, threads, limit, prune, trace)
    else:
        fail(Exit.USAGE, "name a suite (`harness suites` lists them), or a run to go on with by --resume DIR")
    _check_threads(wanted.threads)
    detected = detect_or_exit(wanted.device)
    plan = plan_or_exit(wanted.suite, wanted.overrides, wanted.select, detected, wanted.memory)
    if wanted.trace and "phases" not in plan.suite.measure.probes:
        fail(Exit.USAGE, "--trace keeps what the probe phases records, and this suite's probes leave it out")
    tell_plugins(plan, allowed=plugins)
    folder = resume or _folder(output, wanted.suite.name)
    try:
        ceilings = _ceilings(detected)
        with stop_requests() as stopped:  # until the report is there: signals often come in pairs
            result = _run(plan, folder, detected, wanted, ceilings, stopped, resume=resume is not None, budget=seconds)
            rendered = _render(result, json_)
    finally:
        with suppress(OSError):
            folder.rmdir()  # an empty one only: that of a run that was refused
    raise typer.Exit(_exit_code(result) or (Exit.FINE if rendered else Exit.FAILED_CASES))


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
    budget: float | None,
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
            worker=WorkerOptions(threads=wanted.threads, memory_bytes=wanted.memory, trace=wanted.trace),
            stopped=stopped,
            prune=wanted.prune,
            budget=budget,
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
    from harness.record import CUT_SHORT
    from reports import ReportError, render

    if result.end in CUT_SHORT:
        note(f"harness: {CUT_SHORT[result.end]}; {_how_to_go_on(result.folder)}")
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
    if result.end in ENDED:
        return ENDED[result.end]
    failed = any(record.status in FAILURES for record in result.records)
    return Exit.FAILED_CASES if failed or _why_no_numbers(result.records) else Exit.FINE
