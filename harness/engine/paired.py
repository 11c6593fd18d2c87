"""Paired runs: one plan measured by two checkouts at the same time, visit beside visit.

Each side has workers of its own and leaves an ordinary run folder. Planning, journal and fold are this harness's for
both; layers, probes and devices are each side's own.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.declare.planned import Plan
from harness.devices.ceilings import Ceilings
from harness.devices.interface import NoSuchDevice
from harness.devices.names import Detected, detect
from harness.engine.both_sides import BothSides
from harness.engine.family import Orphans
from harness.engine.folder import RUN, abandon, read_document, refuse_links
from harness.engine.journal import RunFolderError
from harness.engine.keeper import WorkerFailed, WorkerOptions, memory_limit
from harness.engine.locks import device_lock, folder_lock
from harness.engine.manifest import ResumeMismatch, check_resumable, manifest
from harness.engine.process import Stopped
from harness.engine.progress import Progress, Silent
from harness.engine.sides import Description, Side, describe
from harness.engine.signals import stop_requests
from harness.engine.sweep import RunResult, Sweep
from harness.engine.turns import take_turns


def run_paired(
    plan: Plan,
    folder: Path,
    sides: tuple[Side, Side],
    *,
    device_kind: str,
    resume: bool = False,
    progress: Progress | None = None,
    ceilings: Ceilings | None = None,
    command: str = "",
    worker: WorkerOptions | None = None,
    stopped: Stopped | None = None,
) -> list[RunResult]:
    """Measure `plan` on both sides, in turns, and leave a valid run in `folder`/base and in `folder`/candidate.

    Args:
        plan: What to measure.
        folder: An existing folder, or with `resume` that of a paired run.
        sides: The base and the candidate.
        device_kind: auto, cpu or cuda.
        resume: Go on with the run in `folder`: visits that it finished are not made again.
        progress: Is told of every visit and case of both sides; None: nobody is.
        ceilings: For mfu, hfu and the roofline; None leaves them out.
        command: The command line that reproduces the run.
        worker: How workers are started; interpreter and checkout are the sides'. Each side may hold half of its memory.
        stopped: Whether the run is to stop, asked often; None: after Ctrl-C or SIGTERM.

    Raises:
        SideError: A side cannot be measured, or (TooOld) not beside this harness.
        NoSuchDevice, Busy, ResumeMismatch, RunFolderError, WriteError, WorkerFailed: As `runner.run` raises them.
    """
    device, options = detect(device_kind), _half(worker or WorkerOptions())
    told = [describe(side, plan) for side in sides]
    folders = [folder / side.name for side in sides]
    both = BothSides(progress or Silent())
    with ExitStack() as held:
        held.enter_context(device_lock(device.name, folder))
        for own in folders:
            own.mkdir(parents=True, exist_ok=True)
            refuse_links(own)
            held.enter_context(folder_lock(own))
        if resume:
            documents = _documents(plan, device, folders, told)
        else:
            fresh = manifest(plan, device, ceilings, command, options)
            documents = _fresh(fresh, folders, sides, told)
        asked, orphans = stopped or held.enter_context(stop_requests()), Orphans()
        sweeps = [
            Sweep(
                plan,
                own,
                document,
                device,
                replace(options, python=side.python, root=side.root),
                both.of(side.name),
                asked,
                orphans=orphans,
            )
            for side, own, document in zip(sides, folders, documents, strict=True)
        ]
        try:
            return take_turns(sweeps, plan.suite.measure.seed)
        except (NoSuchDevice, WorkerFailed):
            if not resume:
                for own in folders:
                    abandon(own)
            raise


def _half(options: WorkerOptions) -> WorkerOptions:
    """Return the options with half the memory for each side: both sides' workers live at the same time."""
    return replace(options, memory_bytes=(options.memory_bytes or memory_limit()) // 2)


def _fresh(
    document: dict[str, Any], folders: Sequence[Path], sides: Sequence[Side], told: Sequence[Description]
) -> list[dict[str, Any]]:
    """Return run.json of both sides: what is asked for is the same, who measures is not."""
    if taken := next((own for own in folders if (own / RUN).exists()), None):
        raise RunFolderError(f"{taken} already holds a run; go on with it by --resume, or name another folder")
    pair = uuid.uuid4().hex
    return [
        document
        | {"environment": one.environment, "harness": one.harness}
        | {"paired": {"id": pair, "side": side.name, "said": side.said, "python": side.python}}
        for side, one in zip(sides, told, strict=True)
    ]


def _documents(
    plan: Plan, device: Detected, folders: Sequence[Path], told: Sequence[Description]
) -> list[dict[str, Any]]:
    """Return run.json of both sides of a run that goes on.

    Raises:
        ResumeMismatch: They are not the two sides of one run, or not of this one.
    """
    documents = [read_document(own) for own in folders]
    first, second = ((document.get("paired") or {}).get("id") for document in documents)
    if first is None or first != second:
        raise ResumeMismatch(f"{folders[0].parent} is not the folder of a paired run: start a new one")
    for document, one in zip(documents, told, strict=True):
        check_resumable(document, plan, device, one.environment)
    return documents
