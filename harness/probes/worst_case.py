"""Worst case over routing: the allocator's peak when all tokens go to the fewest experts, or to all alike.

One draw of a router is one sample of the peak: rows that are taken expert by expert, or padded to the busiest one, grow
with the load. So the pass is measured with an even load too, and with all tokens on the same K experts;
`memory_worst_bytes` is the largest of these peaks and the case's own. The router runs in each, as in a case with that
`routing`, so that the three differ in their load alone.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from harness.case import Case
from harness.declare.adapters import ADAPTERS
from harness.devices.interface import Device
from harness.layers.interface import Layer
from harness.probes.assignment import Choice, balanced, on_device
from harness.probes.outcome import Measured
from harness.probes.subject import Subject

METRICS = ("memory_worst_bytes",)


def add_worst(values: dict[str, Measured], subject: Subject, device: Device) -> list[str]:
    """Put the largest peak over routings beside `memory_peak_bytes` in `values`; return notes on it.

    Nothing for layers whose experts are loaded alike whatever the router says. A note where the router is somebody
    else's, and for a compiled case, whose replayed pass would be another program.
    """
    routers = [part for part in subject.layer.parts if part.case.layer == "token_choice"]
    if not routers:
        return []
    if subject.compiled is not None:
        return ["memory_worst_bytes is not measured: that of the same case without compile tells how routing moves it"]
    if subject.layer.backend in ADAPTERS:
        return [f"memory_worst_bytes is not measured: nobody can say for {subject.layer.backend} who goes where"]
    own = values["memory_peak_bytes"]
    assert isinstance(own, int)
    values["memory_worst_bytes"] = max(own, *(_peak(subject, device, routers, load) for load in (even, fewest)))
    return []


def even(case: Case) -> Choice:
    """Return the assignment [T, K] that loads all experts of `case` alike."""
    generator = np.random.default_rng(0)
    return balanced(case.sequence_tokens, case.top_k or 1, case.experts or 1, case.batch, generator)


def fewest(case: Case) -> Choice:
    """Return the assignment [T, K] that sends every token of `case` to the same K experts."""
    return np.tile(np.arange(case.top_k or 1, dtype=np.int64), (case.sequence_tokens, 1))


def _peak(subject: Subject, device: Device, routers: list[Layer], load: Callable[[Case], Choice]) -> int:
    """Return the allocator's peak of one pass with that load, after one unmeasured pass."""
    try:
        for part in routers:
            part.assigned = on_device(part.device, load(subject.case))
        subject.run()
        subject.drop_gradients()
        return device.peak(subject.run).peak_bytes
    finally:
        subject.assign()
        subject.drop_gradients()
