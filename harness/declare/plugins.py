"""Code that a suite names: `layer = "module:function"` has it imported by the worker, and so executed."""

from __future__ import annotations

from harness.declare.faults import Fault, SuiteError, listed
from harness.declare.planned import Plan


def plugins(plan: Plan) -> list[str]:
    """Return what a run of `plan` would import, as the suite names it; each once, in the plan's order."""
    return list(dict.fromkeys(planned.case.layer for planned in plan.cases if ":" in planned.case.layer))


def refuse_plugins(plan: Plan) -> None:
    """Return if a run of `plan` imports nothing that its suite names; raise SuiteError otherwise."""
    if named := plugins(plan):
        message = f"it names code to import, which --no-plugins refuses: {listed(named)}"
        raise SuiteError([Fault(plan.suite.name, None, "", message, "only the layers that the harness brings")])
