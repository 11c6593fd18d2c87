"""run.json: what was asked for, on what machine, by which harness; and whether a resumed run is still that one."""

from __future__ import annotations

import platform
from dataclasses import asdict
from typing import Any

from harness.declare.axes import AXES, axes_of
from harness.declare.plan import plan_document
from harness.declare.planned import Plan
from harness.devices.ceilings import Ceilings
from harness.devices.classes import device_class
from harness.devices.datasheet import datasheet
from harness.devices.names import Detected, memory_bytes
from harness.engine.environment import environment, harness_identity, measuring_variables, version
from harness.engine.fleet import Fleet
from harness.engine.journal import RunFolderError, utc_now
from harness.engine.keeper import WorkerOptions, memory_limit
from harness.record import SCHEMA

MEASURING_SOFTWARE = ("torch", "triton")
"""Distributions that decide which kernels run; with Python, the device and the variables they make an environment."""


class ResumeMismatch(RunFolderError):
    """A run cannot go on: what it was begun with is no longer what there is; the message says what changed."""


def manifest(
    plan: Plan,
    device: Detected,
    ceilings: Ceilings | None,
    command: str,
    worker: WorkerOptions,
    *,
    prune: bool = True,
    fleet: Fleet | None = None,
) -> dict[str, Any]:
    """Return the document of a run that is about to start.

    `command` is the command line that reproduces it; `prune` leaves out what lies beyond a case without memory enough;
    `fleet` has several devices, of which `device` is one.
    """
    return {
        "schema": SCHEMA,
        "suite": suite_document(plan),
        "cases": case_documents(plan),
        "device": {**device._asdict(), **_facts(device, worker, fleet)},
        "environment": (None if fleet is None else fleet.environment) or environment(),
        "ceilings": None if ceilings is None else asdict(ceilings),
        "datasheet": None if (sheet := datasheet(device.name)) is None else asdict(sheet),
        "harness": harness_identity(),
        "spread": None if fleet is None else fleet.asked,
        "command": command,
        "threads": worker.threads,
        "memory_limit": worker.memory_bytes or memory_limit(),
        "prune": prune,
        "trace": worker.trace,
        "seed": plan.suite.measure.seed,
        "started": utc_now(),
        "finished": None,
        "status": "running",
    }


def _facts(device: Detected, worker: WorkerOptions, fleet: Fleet | None) -> dict[str, Any]:
    """Return what is known of the device before a worker has opened it."""
    if fleet is not None:
        return {"class": fleet.device_class, "memory_bytes": fleet.memory_bytes}
    return {"class": device_class(device, worker.threads), "memory_bytes": memory_bytes(device.kind)}


def suite_document(plan: Plan) -> dict[str, Any]:
    """Return the suite as written, as overridden, and which axes it sweeps."""
    suite = plan.suite
    return {
        "name": suite.name,
        "file": str(suite.path.absolute()),
        "title": suite.title,
        "text": suite.text,
        "headline": suite.headline,
        "source": suite.source,
        "overrides": list(plan.overrides),
        "select": plan.select,
        "variants": [
            {"name": v.name, "layer": v.layer, "match": None if v.match is None else v.match.model_dump()}
            for v in suite.variants
        ],
        "axes": swept_axes(plan),
        "measure": suite.measure.model_dump(),
        "claims": [claim.model_dump() for claim in suite.claims],
    }


def case_documents(plan: Plan) -> list[dict[str, Any]]:
    """Return the cases as `plan --json` prints them, with what became of each before it could run."""
    entries: list[dict[str, Any]] = plan_document(plan)["cases"]
    for entry, planned in zip(entries, plan.cases, strict=True):
        entry["unsupported"] = planned.unsupported
        entry["match"] = None if planned.match is None else asdict(planned.match)
    return entries


def swept_axes(plan: Plan) -> dict[str, list[Any]]:
    """Return every axis that takes more than one value over the plan, with its values in the plan's order.

    A variant counts for the axes that its layer has; a capacity factor of null is dropless.
    """
    axes: dict[str, list[Any]] = {}
    for axis in AXES:
        field = "pass_" if axis == "pass" else axis
        having = [planned.case for planned in plan.cases if axis in axes_of(planned.case.layer)]
        values = dict.fromkeys(getattr(case, field) for case in having)
        if axis != "capacity_factor":
            values.pop(None, None)
        if len(values) > 1:
            axes[axis] = list(values)
    return axes


def check_resumable(
    document: dict[str, Any], plan: Plan, device: Detected, environment: dict[str, Any] | None = None
) -> None:
    """Return if `plan` on `device` in this environment is the run that `document` began.

    A layer or a probe that has changed is no hindrance: its visits are made again (`standing`). The environment is one:
    it would make every visit stale, and half a report of each kind is what nobody wants.

    `environment` is that of the side of a paired run; None: this process's, for a run that is alone.

    Raises:
        ResumeMismatch: It is not; numbers of two kinds would stand in one report.
    """
    if environment is None and document.get("paired"):
        again = "harness compare BASE CANDIDATE --paired SUITE --resume DIR"
        raise ResumeMismatch(f"this is one side of a paired run, which goes on as a pair alone: {again}")
    was = document["device"].get("name")
    if was != device.name:
        raise ResumeMismatch(f"the run began on {was}, this is {device.name}: resume it there, or start a new run")
    _check_environment(document["environment"], environment or _environment())
    if document["suite"].get("measure") != plan.suite.measure.model_dump():
        raise ResumeMismatch("the suite's [measure] has changed since the run began: start a new run")
    planned = [planned.case.key for planned in plan.cases]
    stored = [entry["key"] for entry in document["cases"]]
    if planned != stored:
        gone, new = len(set(stored) - set(planned)), len(set(planned) - set(stored))
        raise ResumeMismatch(
            f"the suite has changed since the run began ({gone} of its {len(stored)} cases are gone, {new} are new): "
            "start a new run"
        )


def _environment() -> dict[str, Any]:
    versions = {name: version(name) for name in MEASURING_SOFTWARE}
    return {**versions, "python": platform.python_version(), "variables": measuring_variables()}


def _check_environment(begun: dict[str, Any], current: dict[str, Any]) -> None:
    """Return if what software measures, and the variables that change it, are those of the run's beginning."""
    for name in (*MEASURING_SOFTWARE, "python"):
        then, now = begun.get(name), current.get(name)
        if then != now:
            raise ResumeMismatch(
                f"the run began with {name} {then}, this is {now}: resume it with that, or start a new run"
            )
    was, are = begun.get("variables", {}), current["variables"]
    changed = sorted(name for name in was.keys() | are.keys() if was.get(name) != are.get(name))
    if changed:
        name = changed[0]
        raise ResumeMismatch(
            f"{', '.join(changed)} differ{'s' if len(changed) == 1 else ''} from when the run began "
            f"({name} was {was.get(name, 'not set')}, now {are.get(name, 'not set')}): "
            "set the environment as it was, or start a new run"
        )
