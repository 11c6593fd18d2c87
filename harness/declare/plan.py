"""Plan: the cases of a suite, narrowed and priced from closed forms; measures nothing and needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.case import Case
from harness.declare import plugins
from harness.declare.claimed import check_claims
from harness.declare.costs import unsupported
from harness.declare.dimensions import Dimension
from harness.declare.draw import Drawn, draw
from harness.declare.faults import Fault, SuiteError, shown
from harness.declare.findings import Findings
from harness.declare.format import Suite
from harness.declare.match import Match, price
from harness.declare.overrides import read_overrides
from harness.declare.planned import Plan, PlannedCase
from harness.declare.selection import COMMAND_LINE, Selection
from harness.declare.visits import Visit, visits
from harness.devices.ceilings import Ceilings

__all__ = ["Match", "Plan", "PlannedCase", "Visit", "plan", "plan_document", "visits"]

SCHEMA = 1
"""Version of the document that `harness plan --json` prints."""

PRICES = ("params", "params_active", "flops_model", "flops_executed", "bytes")
"""What the document says of a case's cost."""


def plan(
    suite: Suite,
    *,
    overrides: Sequence[str] = (),
    select: str | None = None,
    ceilings: Ceilings | None = None,
    memory_bytes: int | None = None,
    device: str = "cpu",
) -> Plan:
    """Return the plan of `suite`, with `--set` overrides and a `--select` expression; raise SuiteError.

    `ceilings` give the expected seconds, and the device's memory where `memory_bytes` does not. `device` (cpu, cuda) is
    what `backend = "best"` picks for.
    """
    dimensions, selection = _command_line(suite, overrides, select)
    drawn = _drawn(suite, dimensions, selection)
    if not drawn:
        message = f"{shown(select)} holds for no case"
        raise SuiteError([Fault(COMMAND_LINE, None, "", message, f"one that is true of some case of {suite.name}")])
    check_claims(suite, drawn, whole=not overrides and select is None)
    memory = ceilings.memory_bytes if memory_bytes is None and ceilings else memory_bytes
    cases = [
        _unpriced(case, suite.path.parent)
        if plugins.is_plugin(case.layer)
        else _priced(case, match, ceilings, memory, device)
        for case, match in drawn.items()
    ]
    return Plan(suite, cases, tuple(overrides), select)


def _command_line(suite: Suite, overrides: Sequence[str], select: str | None) -> tuple[list[Dimension], Selection]:
    """Return what `--set` and `--select` say; raise SuiteError with the faults of both."""
    faults: list[Fault] = []
    dimensions, selection = list[Dimension](), Selection()
    try:
        dimensions = read_overrides(suite, overrides)
    except SuiteError as error:
        faults += error.faults
    try:
        selection = Selection.from_command_line(select)
    except SuiteError as error:
        faults += error.faults
    if faults:
        raise SuiteError(faults)
    return dimensions, selection


def _drawn(suite: Suite, overrides: Sequence[Dimension], narrow: Selection) -> Drawn:
    if not overrides and suite._drawn:
        return {case: match for case, match in suite._drawn.items() if narrow.keeps(case)}
    findings = Findings(suite._text)
    drawn = draw(suite, findings, overrides, narrow)
    if findings.faults:
        raise SuiteError(findings.faults)
    return drawn


def _priced(case: Case, match: Match | None, ceilings: Ceilings | None, memory: int | None, device: str) -> PlannedCase:
    cost = price(case, device)
    seconds = ceilings.seconds(cost.flops_executed, cost.bytes, case.dtype) if ceilings else None
    fits = None if memory is None else cost.memory_needed <= memory
    return PlannedCase(case, cost, seconds, fits, unsupported(case, device), match)


def _unpriced(case: Case, folder: Path) -> PlannedCase:
    """Return the plan of a plug-in's case: what it costs shows when it runs."""
    return PlannedCase(case, None, None, None, plugins.unsupported(case, folder), None)


def plan_document(plan: Plan) -> dict[str, Any]:
    """Return what `harness plan --json` prints; FLOPs are those of the case's pass, 2 per multiply-add.

    What a plug-in costs is null: it has no closed form.
    """
    return {"schema": SCHEMA, "suite": plan.suite.name, "cases": [_document(planned) for planned in plan.cases]}


def _document(planned: PlannedCase) -> dict[str, Any]:
    case, cost = planned.case, planned.cost
    return {
        "id": case.id,
        "key": case.key,
        "variant": case.variant,
        "case": case.as_dict(),
        **{name: None if cost is None else getattr(cost, name) for name in PRICES},
        "seconds": planned.seconds,
        "fits": planned.fits,
    }
