"""`harness run`: measure a suite, and render its report."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.amounts import bytes_of, seconds_of
from harness.cli.console import fail, note
from harness.cli.ended import cut_short, exit_code, render_or_tell
from harness.cli.exits import Exit
from harness.cli.options import DeviceOption, JsonOption, PluginsOption, SelectOption, SetOption, all_of
from harness.cli.planning import detect_or_exit, enough_devices_or_exit, plan_or_exit, suite_or_exit, tell_plugins
from harness.cli.wanted import Wanted, amount, begun, given

if TYPE_CHECKING:
    from harness.declare.plan import Plan
    from harness.devices.ceilings import Ceilings
    from harness.devices.names import Detected
    from harness.engine.runner import RunResult

ROOT = Path("runs")
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
GateOption = Annotated[bool, typer.Option("--gate", help="Exit 1 where a claim of the suite is refuted.")]
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
    gate: GateOption = False,
    plugins: PluginsOption = True,
    json_: JsonOption = False,
) -> None:
    """Measure a suite, keep every sample, and render the report; prints the report's path."""
    from harness.engine.signals import stop_requests

    seconds, limit = amount("--budget", budget, seconds_of), amount("--memory", memory, bytes_of)
    if resume is not None:
        wanted = begun(resume, given=given(context, but=("resume", "json_", "budget", "gate", "plugins")))
    elif suite is not None:
        wanted = Wanted(suite_or_exit(suite), suite, set_ or [], all_of(select), device, threads, limit, prune, trace)
    else:
        fail(Exit.USAGE, "name a suite (`harness suites` lists them), or a run to go on with by --resume DIR")
    _check_threads(wanted.threads)
    detected = detect_or_exit(wanted.device)
    plan = plan_or_exit(wanted.suite, wanted.overrides, wanted.select, detected, wanted.memory)
    enough_devices_or_exit(plan, detected)
    if wanted.trace and "phases" not in plan.suite.measure.probes:
        fail(Exit.USAGE, "--trace keeps what the probe phases records, and this suite's probes leave it out")
    if gate and not plan.suite.claims:
        fail(Exit.USAGE, f"--gate fails where a claim is refuted, and {plan.suite.name} states none: add a [[claim]]")
    tell_plugins(plan, allowed=plugins)
    folder = resume or _folder(output, wanted.suite.name)
    try:
        ceilings = _ceilings(detected)
        with stop_requests() as stopped:  # until the report is there: signals often come in pairs
            result = _run(plan, folder, detected, wanted, ceilings, stopped, resume=resume is not None, budget=seconds)
            rendered = render_or_tell(result, gate=gate, json_=json_)
    finally:
        with suppress(OSError):
            folder.rmdir()  # an empty one only: that of a run that was refused
    raise typer.Exit(exit_code(result, rendered, gate=gate))


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
        cut_short(Exit.FAILED_CASES, error, folder)
    except (RunFolderError, Busy) as error:
        fail(Exit.USAGE, str(error))
    except NoSuchDevice as error:
        cut_short(Exit.NO_DEVICE, error, folder)
