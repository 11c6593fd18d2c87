"""What befalls a scripted GPU while a case is measured on it: a variant of the suite bears a condition's name.

Conditions of the machine come with the latency visits, when there are numbers to move; faults of the output are there
from the first pass on, since every pass is looked at before it is timed.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import torch
from torch import Tensor

from tests.scripted_cuda import ScriptedCuda, ScriptedNvml
from tests.scripted_wall import ScriptedWall

FOREIGN = 4_000_001
"""The number of a process that is none of ours."""
LATE_MS = 20.0
"""What is left on a side stream by each pass."""
BRIEF = range(10, 30)
"""Passes of a visit in which a brief throttling falls: after the first blocks, before the last ones."""

Machine = Callable[[ScriptedCuda, ScriptedNvml, int], None]
"""Is told the number of the pass within its visit."""


def throttles(cuda: ScriptedCuda, nvml: ScriptedNvml, passes: int) -> None:
    """Be slowed down by the hardware in the midst of the visit, and stay so: every pass then takes twice as long."""
    if passes >= BRIEF.start:
        nvml.reasons = ScriptedNvml.nvmlClocksEventReasonHwSlowdown
        cuda.kernel(0.5)


def throttles_briefly(cuda: ScriptedCuda, nvml: ScriptedNvml, passes: int) -> None:
    """Be slowed down for some passes: neither before the visit nor after it can it be seen."""
    nvml.reasons = ScriptedNvml.nvmlClocksEventReasonHwThermalSlowdown if passes in BRIEF else 0


def is_capped(cuda: ScriptedCuda, nvml: ScriptedNvml, passes: int) -> None:
    """Run at the power cap, as every large product does."""
    nvml.reasons = ScriptedNvml.nvmlClocksEventReasonSwPowerCap


def is_shared(cuda: ScriptedCuda, nvml: ScriptedNvml, passes: int) -> None:
    """Have another process compute on the same GPU."""
    nvml.pids = (os.getpid(), FOREIGN)


def is_late(cuda: ScriptedCuda, nvml: ScriptedNvml, passes: int) -> None:
    """Leave work on a side stream that the current one does not wait for."""
    cuda.kernel(LATE_MS, stream="side")


def returns_nan(y: Tensor) -> Tensor:
    """Spoil one number of the output."""
    return torch.where(torch.arange(y.numel()).view_as(y) == 0, torch.nan, y)


def returns_infinity(y: Tensor) -> Tensor:
    return torch.where(torch.arange(y.numel()).view_as(y) == 0, torch.inf, y)


def has_no_counter(wall: ScriptedWall, nvml: ScriptedNvml) -> None:
    """Lack the energy counter, as GPUs before Volta do."""
    nvml.missing = frozenset({"nvmlDeviceGetTotalEnergyConsumption"})


def has_a_still_counter(wall: ScriptedWall, nvml: ScriptedNvml) -> None:
    """Have an energy counter that never moves."""
    wall.counted = 0.0


def has_a_wrong_counter(wall: ScriptedWall, nvml: ScriptedNvml) -> None:
    """Have an energy counter that says half of what the power sensor says."""
    wall.counted = 0.5


METERS: dict[str, Callable[[ScriptedWall, ScriptedNvml], None]] = {
    "gpu-without-counter": has_no_counter,
    "gpu-with-still-counter": has_a_still_counter,
    "gpu-with-wrong-counter": has_a_wrong_counter,
}
MACHINES: dict[str, Machine] = {
    "gpu-throttles": throttles,
    "gpu-throttles-briefly": throttles_briefly,
    "gpu-at-its-cap": is_capped,
    "gpu-shared": is_shared,
    "gpu-late-kernel": is_late,
}
OUTPUTS: dict[str, Callable[[Tensor], Tensor]] = {"gpu-returns-NaN": returns_nan, "gpu-returns-inf": returns_infinity}
