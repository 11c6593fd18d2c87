"""The runner: one call that measures a plan into a run folder, alone on its device, and loses nothing."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

from harness.declare.cut import cut
from harness.declare.planned import Plan
from harness.devices.ceilings import Ceilings
from harness.devices.interface import NoSuchDevice
from harness.devices.names import detect
from harness.engine.fleet import Fleet, Terms
from harness.engine.folder import RUN, abandon, read_document, refuse_links
from harness.engine.journal import RunFolderError, WriteError
from harness.engine.keeper import WorkerFailed, WorkerOptions
from harness.engine.locks import device_lock, folder_lock
from harness.engine.manifest import check_resumable, manifest
from harness.engine.process import Stopped
from harness.engine.progress import Progress, Silent
from harness.engine.signals import stop_requests
from harness.engine.spread import take_shares
from harness.engine.sweep import RunResult, Sweep, own_folders
from harness.engine.turns import take_turns

__all__ = ["RunResult", "WorkerFailed", "WorkerOptions", "run"]


def run(
    plan: Plan,
    folder: Path,
    *,
    device_kind: str,
    resume: bool = False,
    progress: Progress | None = None,
    ceilings: Ceilings | None = None,
    command: str = "",
    worker: WorkerOptions | None = None,
    stopped: Stopped | None = None,
    prune: bool = True,
    budget: float | None = None,
    fleet: Fleet | None = None,
) -> RunResult:
    """Measure what `plan` holds and leave a valid run in `folder`, also when interrupted by Ctrl-C or SIGTERM.

    Args:
        plan: What to measure.
        folder: An existing empty folder, or with `resume` that of a run.
        device_kind: auto, cpu or cuda.
        resume: Go on with the run in `folder`: visits that it finished are not made again.
        progress: Is told of every visit and case; None: nobody is.
        ceilings: For mfu, hfu and the roofline; None leaves them out.
        command: The command line that reproduces the run.
        worker: How workers are started.
        prune: Leave out cases that need no less memory than one that ran out of it; a resumed run does as it began.
        budget: Seconds after which the run ends with what it has; what tells most is then measured first. None: no end.
        stopped: Whether the run is to stop, asked often; None: after Ctrl-C or SIGTERM.
        fleet: Several devices to spread over, which are let go in the end; None: the one of `device_kind`.

    Raises:
        NoSuchDevice: The device is not here, or torch cannot use it.
        Busy: Another run holds the device or the folder.
        ResumeMismatch: The run in `folder` was begun with another suite, device or environment.
        RunFolderError: `folder` already holds a run, or with `resume` holds none, or cannot be read or written.
        WriteError: A file of the run cannot be written; what was written before stands.
        WorkerFailed: No worker can be started.
    """
    device, options = detect(device_kind) if fleet is None else fleet.device, worker or WorkerOptions()
    refuse_links(folder)
    with ExitStack() as held:
        if lock := device.name if fleet is None else fleet.lock_name:
            held.enter_context(device_lock(lock, folder))  # first: a run that it refuses leaves `folder` as it was
        held.enter_context(folder_lock(folder))
        if resume:
            document = read_document(folder)
            check_resumable(document, plan, device, None if fleet is None else fleet.environment)
            limit = document.get("memory_limit") or options.memory_bytes
            options = replace(options, memory_bytes=limit, trace=document.get("trace", False))
        elif (folder / RUN).exists():
            raise RunFolderError(f"{folder} already holds a run; go on with it by --resume, or name another folder")
        else:
            document = manifest(plan, device, ceilings, command, options, prune=prune, fleet=fleet)
        document["budget_s"] = budget
        asked = stopped or held.enter_context(stop_requests())
        try:
            told = progress or Silent()
            if fleet is None:
                return take_turns([Sweep(plan, folder, document, device, options, told, asked, budget)])[0]
            shares = cut(plan, options.cache_bytes, in_budget=budget is not None)
            sweep = Sweep(plan, folder, document, device, options, told, asked, budget, shares=shares)
            return take_shares(sweep, shares, fleet, partial(_terms, plan, folder, options), told)
        except (NoSuchDevice, WriteError) as error:
            begun = resume or (isinstance(error, WriteError) and (folder / RUN).exists())
            if not begun:
                abandon(folder)
            raise


def _terms(plan: Plan, folder: Path, options: WorkerOptions, sweep: Sweep) -> Terms:
    """Return what a fleet's workers are started with."""
    own = own_folders(plan, options.root)
    seed = plan.suite.measure.seed
    return Terms(folder, own, options, seed, sweep.workers, sweep.stopped, sweep.logbook.meet_device)
