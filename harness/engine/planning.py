"""A suite's plan for the device that is here, with its memory, and its ceilings where they are known; without torch."""

from __future__ import annotations

from collections.abc import Sequence

from harness.declare.format import Suite
from harness.declare.plan import Plan, plan
from harness.devices.ceilings import load
from harness.devices.interface import NoSuchDevice
from harness.devices.names import Detected, gpus, memory_bytes
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


def check_ranks(plan: Plan, device_kind: str, *, shared_out: bool = False) -> None:
    """Return if there are devices for all ranks of the plan's cases; on a CPU ranks share its cores.

    `shared_out` says that the run is spread over devices, of which each worker then has one.

    Raises:
        NoSuchDevice: There are fewer GPUs than ranks.
    """
    ranks = max((planned.case.expert_parallel for planned in plan.cases if planned.runs), default=1)
    if device_kind != "cuda" or ranks == 1:
        return
    if shared_out:
        raise NoSuchDevice(
            f"expert_parallel = {ranks} asks for {ranks} GPUs, and --devices and --ray give each worker one: "
            "--select 'expert_parallel == 1' with them, and the other cases in a run of their own, without"
        )
    if ranks > (here := gpus()):
        have = f"there {'is' if here == 1 else 'are'} {here} CUDA device{'' if here == 1 else 's'}"
        fits = f"--select 'expert_parallel <= {here}' measures what fits"
        raise NoSuchDevice(f"expert_parallel = {ranks} asks for {ranks} GPUs, one a rank, and {have}: {fits}")
