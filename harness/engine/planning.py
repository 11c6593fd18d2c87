"""A suite's plan for the device that is here, with its memory, and its ceilings where they are known; without torch."""

from __future__ import annotations

from collections.abc import Sequence

from harness.declare.format import Suite
from harness.declare.plan import Plan, plan
from harness.devices.ceilings import load
from harness.devices.names import Detected, memory_bytes
from harness.engine.keeper import memory_limit


def plan_on(
    device: Detected,
    suite: Suite,
    overrides: Sequence[str] = (),
    select: str | None = None,
    memory: int | None = None,
    room: int | None = None,
) -> Plan:
    """Return the plan of `suite` for `device`.

    Args:
        device: As `detect` found it.
        suite: What is planned.
        overrides: What `--set` says.
        select: What `--select` says.
        memory: What a case may use of the host's memory, in bytes; None: the usual share.
        room: What it may use of the device's, where that is not all that the one here has.

    Raises:
        SuiteError: An override or the selection does not fit the suite.
    """
    if room is None:
        room = memory_bytes(device.kind)
        if device.kind == "cpu":
            room = min(room, memory or memory_limit())
    ceilings = load(device.name)
    return plan(suite, overrides=overrides, select=select, ceilings=ceilings, memory_bytes=room, device=device.kind)
