"""What `plan` and `run` begin with: a device, and a suite's plan for it, or the exit that says what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.cli.console import fail, note
from harness.cli.exits import Exit

if TYPE_CHECKING:
    from harness.declare.format import Suite
    from harness.declare.plan import Plan
    from harness.devices.names import Detected


def detect_or_exit(device: str) -> Detected:
    """Return kind and name of the device that `--device` asks for, found without torch."""
    from harness.devices.interface import NoSuchDevice
    from harness.devices.names import detect

    if device not in ("auto", "cpu", "cuda"):
        fail(Exit.USAGE, f"--device {device}: expected auto, cpu or cuda")
    try:
        return detect(device, lambda text: note(f"harness: {text}"))
    except NoSuchDevice as error:
        fail(Exit.NO_DEVICE, str(error))


def suite_or_exit(name: str) -> Suite:
    """Return the suite of that name or path."""
    from harness.declare.suite import SuiteError, load_suite

    try:
        return load_suite(name)
    except SuiteError as error:
        fail(Exit.USAGE, str(error))


def plan_or_exit(
    suite: Suite,
    overrides: Sequence[str],
    select: str | None,
    detected: Detected,
    memory: int | None = None,
    room: int | None = None,
) -> Plan:
    """Return the plan of `suite` for the device, with expected times where its ceilings are known; needs no torch.

    `memory` is what a case may use of the host's, in bytes; None: the usual share. `room` is what it may use
    of the device's, where that is not all that the one here has.
    """
    from harness.declare.suite import SuiteError
    from harness.engine.planning import plan_on

    try:
        return plan_on(detected, suite, overrides, select, memory, room)
    except SuiteError as error:
        fail(Exit.USAGE, str(error))


def enough_devices_or_exit(plan: Plan, detected: Detected, *, shared_out: bool) -> None:
    """Return if there is a device for each rank that the plan's cases ask for, of those that a worker has."""
    from harness.devices.interface import NoSuchDevice
    from harness.engine.planning import check_ranks

    try:
        check_ranks(plan, detected.kind, shared_out=shared_out)
    except NoSuchDevice as error:
        fail(Exit.NO_DEVICE, str(error))


def tell_plugins(plan: Plan, *, allowed: bool) -> None:
    """Say what code a run of `plan` would import; end the command where that is not `allowed`."""
    from harness.declare.plugins import code_named
    from harness.declare.suite import SuiteError
    from harness.declare.trust import refuse_plugins

    if not allowed:
        try:
            refuse_plugins(plan)
        except SuiteError as error:
            fail(Exit.USAGE, str(error))
    if code := code_named((planned.case.layer for planned in plan.cases), plan.suite.path.parent):
        note(f"harness: a run imports and runs code that this suite names: {'; '.join(code)}; --no-plugins refuses it")
