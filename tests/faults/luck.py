"""Bad luck on a CPU: a host's clock that goes backwards, stands still, or tells of times that never settle.

A variant of the suite bears the name of what befalls its latency visits. The device's clock is replaced, so that the
real worker, probe, journal, record and report see it as they would see a broken one.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from harness.devices import cpu
from harness.layers.interface import Layer
from tests.faults.layers import Moment

BACKWARDS, STILL, UNSETTLED = "clock-backwards", "clock-still", "never-settles"
CLOCKS = (BACKWARDS, STILL, UNSETTLED)
NAN, INFINITY = "returns-NaN", "returns-infinity"
PASS_NS = 2_000_000
GROWTH = 1.03
"""By so much each pass takes longer than the one before, where times never settle."""


@dataclass
class UnluckyClock:
    """Stands in for the module `time` of the device; the real one, unless something befalls the visit at hand."""

    fate: str = ""
    ns: int = 10**15
    step: float = PASS_NS

    def perf_counter_ns(self) -> int:
        if self.fate == BACKWARDS:
            self.ns -= PASS_NS
        return self.ns if self.fate else time.perf_counter_ns()

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)

    def rest(self) -> None:
        """Be a sound clock again."""
        self.fate, self.step = "", PASS_NS

    def load(self, layer: Layer, moment: Moment) -> Layer:
        """Return `layer` with the bad luck that its variant is named after, if it is named after some."""
        sound, variant = layer.forward, layer.case.variant
        cpu.time = self  # type: ignore[assignment, attr-defined]
        if variant not in (*CLOCKS, INFINITY):
            return layer  # with a forward of its own, which takes a mask and can be copied

        def forward(x: Tensor) -> Tensor:
            if moment.probe == "latency" and variant in CLOCKS:
                self.fate = variant
            if self.fate == UNSETTLED:
                self.ns += round(self.step)
                self.step *= GROWTH
            y = sound(x)
            return torch.full_like(y, torch.inf) if variant == INFINITY else y

        layer.forward = forward  # type: ignore[method-assign]
        return layer
