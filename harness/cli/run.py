"""`harness run`: measure a suite, and render its report."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.amounts import bytes_of, seconds_of
from harness.cli.console import fail, note
from harness.cli.ended import cut_short, exit_code, render_or_tell
from harness.cli.exits import Exit, worst
from harness.cli.fleet import ClassOption, DevicesOption, Make, RayOption, check_class, fleets_or_exit
from harness.cli.options import DeviceOption, JsonOption, PluginsOption, SelectOption, SetOption, all_of
from harness.cli.planning import detect_or_exit, enough_devices_or_exit, plan_or_exit, suite_or_exit, tell_plugins
from harness.cli.wanted import Wanted, amount, begun, given

if TYPE_CHECKING:
    from harness.declare.plan import Plan
    from harness.devices.ceilings import Ceilings
    from harness.devices.names import Detected
    from harness.engine.fleet import Fleet
    from harness.engine.runner import RunResult

SPREAD = ("devices", "ray", "device_class")
"""Options of a resumed run that may be others than it was begun with: as long as the devices are of its class."""
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
    devices: DevicesOption = None,
    ray: RayOption = None,
    device_class: ClassOption = None,
    json_: JsonOption = False,
) -> None:
    """Measure a suite, keep every sample, and render the report; prints the report's path."""
    seconds, limit = amount("--budget", budget, seconds_of), amount("--memory", memory, bytes_of)
    if resume is not None:
        wanted = begun(resume, given=given(context, but=("resume", "json_", "budget", "gate", "plugins", *SPREAD)))
        wanted = replace(wanted, devices=devices or wanted.devices, ray=ray or wanted.ray)
    elif suite is not None:
        own = suite_or_exit(suite)
        wanted = Wanted(own, suite, set_ or [], all_of(select), device, threads, limit, prune, trace, devices, ray,
                        tuple(device_class or ()))  # fmt: skip
    else:
        fail(Exit.USAGE, "name a suite (`harness suites` lists them), or a run to go on with by --resume DIR")
    _check_threads(wanted.threads)
    if wanted.trace and "phases" not in wanted.suite.measure.probes:
        fail(Exit.USAGE, "--trace keeps what the probe phases records, and this suite's probes leave it out")
    if gate and not wanted.suite.claims:
        fail(Exit.USAGE, f"--gate fails where a claim is refuted, and {wanted.suite.name} states none: add a [[claim]]")
    with fleets_or_exit(wanted) as fleets:
        folders = _folders(resume, output, wanted.suite.name, fleets)
        codes = [
            _measure(
                wanted, make and make(), folder, resume is not None, seconds, gate=gate, plugins=plugins, json_=json_
            )
            for make, folder in folders
        ]
    raise typer.Exit(worst(codes))


def _measure(
    wanted: Wanted,
    fleet: Fleet | None,
    folder: Path,
    resume: bool,
    budget: float | None,
    *,
    gate: bool,
    plugins: bool,
    json_: bool,
) -> Exit:
    """Measure on one device, or one class of them, and return the exit code."""
    from harness.engine.signals import stop_requests

    try:
        detected = detect_or_exit(wanted.device) if fleet is None else fleet.device
        if fleet is None and not resume:
            check_class(wanted, *detected)
        room = None if fleet is None else fleet.memory_bytes
        plan = plan_or_exit(wanted.suite, wanted.overrides, wanted.select, detected, wanted.memory, room)
        enough_devices_or_exit(plan, detected, shared_out=fleet is not None)
        tell_plugins(plan, allowed=plugins)
        ceilings = _ceilings(detected, fleet)
        with stop_requests() as stopped:  # until the report is there: signals often come in pairs
            result = _run(plan, folder, detected, wanted, ceilings, stopped, resume=resume, budget=budget, fleet=fleet)
            rendered = render_or_tell(result, gate=gate, json_=json_)
    finally:
        with suppress(OSError):
            folder.rmdir()  # an empty one only: that of a run that was refused
            if folder.parent == ROOT:
                ROOT.rmdir()
    return exit_code(result, rendered, gate=gate)


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


def _folders(
    resume: Path | None, output: Path | None, suite: str, fleets: list[Make]
) -> Iterator[tuple[Make | None, Path]]:
    """Yield the folder of each run: where there are several classes of devices, one for each in the one asked for."""
    if len(fleets) < 2:
        yield fleets[0] if fleets else None, resume or _folder(output, suite)
        return
    parent = _folder(output, suite)
    for number, make in enumerate(fleets, start=1):
        yield make, _folder(parent / f"class-{number}", suite)


def _ceilings(device: Detected, fleet: Fleet | None) -> Ceilings:
    from harness.cli.programs import measure_ceilings
    from harness.devices.ceilings import load
    from harness.engine.fleet import FleetError

    if found := load(device.name):
        return found
    if fleet is None:
        return measure_ceilings(*device)
    note(f"harness: measuring the ceilings of {device.name}; this takes some seconds")
    try:
        return fleet.ceilings()
    except FleetError as error:
        fail(Exit.FAILED_CASES, str(error))


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
    fleet: Fleet | None = None,
) -> RunResult:
    from harness.devices.interface import NoSuchDevice
    from harness.engine.journal import RunFolderError, WriteError
    from harness.engine.locks import Busy
    from harness.engine.progress import Console
    from harness.engine.runner import WorkerFailed, WorkerOptions
    from harness.engine.runner import run as run_plan

    where = device.name if fleet is None else fleet.device_class
    note(f"harness: {len(plan.cases)} cases on {where}, into {folder}")
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
            fleet=fleet,
        )
    except (WriteError, WorkerFailed) as error:
        cut_short(Exit.FAILED_CASES, error, folder)
    except (RunFolderError, Busy) as error:
        fail(Exit.USAGE, str(error))
    except NoSuchDevice as error:
        cut_short(Exit.NO_DEVICE, error, folder)
