"""Compilation: what torch.compile costs before the first result.

`compile_ms` is the first call's time less a steady call's: tracing, the passes over the graph, code generation and the
C++ or Triton compiler, for the forward and, where the pass has one, the backward graph. Caches are cold: inductor's
are in an empty folder and torch has not seen the layer. The toolchain is warm, since what a process spends on imports
and precompiled headers is no property of a layer (see `cold_caches`). One sample: a second one would cost as much as
the whole of a case's latency.
"""

from __future__ import annotations

import time
from dataclasses import replace
from statistics import median

from harness.devices.interface import Device
from harness.probes.compiled import cold_caches
from harness.probes.outcome import Outcome, Settings
from harness.probes.subject import Subject

METRICS = ("compile_ms",)

STEADY_CALLS = 3


def measure(subject: Subject, device: Device, settings: Settings) -> Outcome:
    """Return the time to compile the case's pass; nothing for a layer that runs eagerly."""
    if subject.compiled is None:
        return Outcome(notes=["compile is not measured: this case runs eagerly"])
    with cold_caches():
        own = replace(subject, compiled=subject.compiled.anew())
        first = _seconds(own, device)
        steady = median(_seconds(own, device) for _ in range(STEADY_CALLS))
    own.drop_gradients()
    return Outcome({"compile_ms": (first - steady) * 1e3})


def _seconds(subject: Subject, device: Device) -> float:
    device.synchronize()
    start = time.perf_counter()
    subject.run()
    device.synchronize()
    return time.perf_counter() - start
