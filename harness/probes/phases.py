"""Phases: what share of the forward pass each marked phase takes.

A pass of its own: the device is drained at every border of a phase, so the sum is longer than the undisturbed pass.
Shares are published, never these times. `other` is what no phase marks; nothing is clipped to make the sum look good.
A compiled case shows the phases of its eager layer: fused kernels have no borders.
"""

from __future__ import annotations

import time
from collections import defaultdict

import numpy as np
import torch

from harness.devices.interface import Device
from harness.layers.interface import PHASES, Phase, observing
from harness.probes.outcome import Measured, Outcome, Settings
from harness.probes.subject import Subject

METRICS = tuple(f"phase_{phase}_share" for phase in (*PHASES, "other"))

PASSES = 5
"""Profiled passes; the median of each phase counts."""


def measure(subject: Subject, device: Device, settings: Settings) -> Outcome:
    """Return each phase's share of the forward pass, without gradients; the five shares sum to 1."""
    with torch.no_grad():
        subject.forward(subject.x)
        rows = [_one_pass(subject, device) for _ in range(PASSES)]
    medians = {phase: float(np.median([row[phase] for row in rows])) for phase in (*PHASES, "other")}
    total = sum(medians.values())
    values: dict[str, Measured] = {f"phase_{phase}_share": s / total for phase, s in medians.items()}
    notes = [] if subject.compiled is None else ["phases are those of the eager layer"]
    return Outcome(values, notes=notes)


def _one_pass(subject: Subject, device: Device) -> dict[str, float]:
    clock = _PhaseClock(device)
    device.synchronize()
    start = time.perf_counter()
    with observing(subject.layer, clock):
        subject.forward(subject.x)
    device.synchronize()
    whole = time.perf_counter() - start
    return {**{phase: clock.seconds[phase] for phase in PHASES}, "other": whole - sum(clock.seconds.values())}


class _PhaseClock:
    """An observer that reads the host's clock at each border, with the device drained."""

    def __init__(self, device: Device) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._device = device
        self._since = 0.0

    def enter(self, phase: Phase) -> None:
        """Start the phase's clock."""
        self._device.synchronize()
        self._since = time.perf_counter()

    def leave(self, phase: Phase) -> None:
        """Add the phase's time."""
        self._device.synchronize()
        self.seconds[phase] += time.perf_counter() - self._since

    def tap(self, name: str, value: torch.Tensor) -> None:
        """Do nothing."""
