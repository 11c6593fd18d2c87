"""Phases: what share of a pass each marked phase takes, forward and backward.

Method: five passes under torch.profiler, with a range at each mark of a phase; `attribution.py` says what belongs
where. On CPU it is the host's time, on CUDA that of the kernels. Shares are published, never these times: a profiled
pass is longer, by the factor `phase_overhead`, and not evenly so. The same passes unprofiled say what part of a
training pass is forward and what backward. `other` is what no phase marks; nothing is clipped to make the sum look
good.

The second opinion on the forward pass is a clock that is read at each border, the device drained: it launches no kernel
ahead, but has nothing of the profiler's cost. Where the two differ by more than ten points a note says so.

A compiled case shows the phases of its eager layer: fused kernels have no borders.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from statistics import median

import torch
from torch.profiler import ProfilerActivity, profile, record_function

from harness.declare.adapters import ADAPTERS
from harness.devices.interface import Device
from harness.layers.interface import PHASES, Phase, observing
from harness.probes.attribution import BACKWARD, FORWARD, OTHER, PREFIX, Split, attribute
from harness.probes.outcome import Measured, Outcome, Settings
from harness.probes.subject import Subject
from harness.probes.traces import keep

EXCHANGE: Phase = "exchange"
"""Of a layer that is spread over ranks."""
ALL = (*PHASES, OTHER)
"""Those that every layer has a share of."""
METRICS = (
    *(f"phase_{phase}_share" for phase in (*ALL, EXCHANGE)),
    *(f"phase_{phase}_backward_share" for phase in (*ALL, EXCHANGE)),
    "phase_overhead",
    "pass_forward_share",
    "pass_backward_share",
)

PASSES, FEWER_PASSES = 5, 3
"""Passes of each kind; the median of each phase counts. Fewer of a layer whose forward pass takes SLOW_S or more."""
SLOW_S = 1.0
DISAGREEMENT = 0.1
"""Difference of two opinions on one share that a reader should know of."""
IDLE = 0.5
"""Part of a pass in which a device computes, below which its kernels' shares say little of the pass."""

Times = tuple[float, float, float]
"""Seconds of one pass: forward, backward, optimizer."""
Ranges = Callable[[str], AbstractContextManager[object]]


def measure(subject: Subject, device: Device, settings: Settings) -> Outcome:
    """Return each phase's share of the forward and, where there is one, of the backward pass; each half's sum to 1."""
    own = subject.eager
    try:
        return _measure(
            own, device, settings, [] if subject.compiled is None else ["phases are those of the eager layer"]
        )
    finally:
        own.drop_gradients()


def _measure(subject: Subject, device: Device, settings: Settings, notes: list[str]) -> Outcome:
    first = _drained(subject, device)
    marked = [phase for phase in PHASES if first[phase]]
    if not marked:
        return Outcome(notes=["phases are not measured: this layer marks none"])
    if subject.case.backend in ADAPTERS and len(marked) < len(PHASES):
        notes = [*notes, f"phases: this layer marks {' and '.join(marked)} alone; the others stand inside, or in other"]
    count = PASSES if device.agreed(sum(first.values())) < SLOW_S else FEWER_PASSES
    drained = _shares([_drained(subject, device) for _ in range(count)])
    bare = [_one_pass(subject, device) for _ in range(count)]
    profiler, profiled = _profiled(subject, device, count)
    notes = notes + ([] if settings.traces is None else [keep(profiler, subject.case, Path(settings.traces))])
    events = profiler.events()  # type: ignore[no-untyped-call]
    splits = attribute(events, by_kernel=device.kind == "cuda")[-count:]
    if not all(sum(split.forward.values()) for split in splits):
        return Outcome(
            notes=[*notes, "phases are not measured: the profiler saw nothing that this layer runs on the device"]
        )
    forward = _shares([split.forward for split in splits])
    values: dict[str, Measured] = {f"phase_{phase}_share": share for phase, share in forward.items()}
    if subject.case.trains:
        backward = _shares([split.backward for split in splits])
        values |= {f"phase_{phase}_backward_share": share for phase, share in backward.items()} | _parts(bare)
    values["phase_overhead"] = median(map(sum, profiled)) / median(map(sum, bare))
    notes = notes + (_idle(splits, bare) if device.kind == "cuda" else []) + _disagreement(forward, drained)
    return Outcome(values, notes=notes, n=dict.fromkeys(values, count))


def _profiled(subject: Subject, device: Device, count: int) -> tuple[profile, list[Times]]:
    """Return the finished profiler and the times of `count` passes, after one that the profiler's start makes slow."""
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device.kind == "cuda" else [])]
    with profile(activities=activities) as profiler, observing(subject.layer, _Ranges()):
        times = [_one_pass(subject, device, record_function) for _ in range(1 + count)]
    return profiler, times[1:]


def _one_pass(subject: Subject, device: Device, ranges: Ranges = lambda _: nullcontext()) -> Times:
    """Do the case's pass once, the device drained after each half; return the host's seconds of each."""
    device.synchronize()
    subject.drop_gradients()
    start = time.perf_counter()
    with torch.set_grad_enabled(subject.case.trains), ranges(FORWARD):
        y = subject.forward(subject.x)
        device.synchronize()
    middle = time.perf_counter()
    if subject.case.trains:
        with ranges(BACKWARD):
            subject.backward(y)
            device.synchronize()
    end = time.perf_counter()
    subject.step()
    device.synchronize()
    return middle - start, end - middle, time.perf_counter() - end


def _drained(subject: Subject, device: Device) -> dict[str, float]:
    """Return the seconds of one forward pass by phase, the device drained at each border."""
    clock = _PhaseClock(device)
    device.synchronize()
    start = time.perf_counter()
    with observing(subject.layer, clock), torch.set_grad_enabled(subject.case.trains):
        subject.forward(subject.x)
    device.synchronize()
    whole = time.perf_counter() - start
    subject.drop_gradients()
    seen: dict[str, float] = {phase: clock.seconds[phase] for phase in PHASES}
    if EXCHANGE in clock.seconds:
        seen[EXCHANGE] = clock.seconds[EXCHANGE]
    return {**seen, OTHER: whole - sum(clock.seconds.values())}


def _shares(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return each phase's share of the sum of all phases' medians over `rows`; no exchange where there is none."""
    seen = (*ALL, *([EXCHANGE] if any(EXCHANGE in row for row in rows) else ()))
    medians = {phase: median(row.get(phase, 0.0) for row in rows) for phase in seen}
    total = sum(medians.values())
    return {phase: microseconds / total for phase, microseconds in medians.items()}


def _parts(bare: list[Times]) -> dict[str, Measured]:
    forward, backward, step = (median(times[half] for times in bare) for half in range(3))
    whole = forward + backward + step
    return {"pass_forward_share": forward / whole, "pass_backward_share": backward / whole}


def _disagreement(profiled: dict[str, float], drained: dict[str, float]) -> list[str]:
    """Return a note on each phase of which the two opinions differ."""
    return [
        f"phases: {phase} is {100 * share:.0f} % of the forward pass by the profiler and {100 * drained[phase]:.0f} % "
        "by a clock with the device drained at each border"
        for phase, share in profiled.items()
        if abs(share - drained[phase]) > DISAGREEMENT
    ]


def _idle(splits: list[Split], bare: list[Times]) -> list[str]:
    """Return a note where the device waits for the host through most of the forward pass."""
    part = 1e-6 * median(sum(split.forward.values()) for split in splits) / median(times[0] for times in bare)
    if part >= IDLE:
        return []
    return [f"phases: the device computes in {100 * part:.0f} % of the forward pass only, and waits in the rest"]


class _Ranges:
    """An observer that opens a range of the profiler for each phase."""

    looks = False

    def __init__(self) -> None:
        self._open: list[record_function] = []

    def enter(self, phase: Phase) -> None:
        """Open the phase's range."""
        self._open.append(record_function(PREFIX + phase))
        self._open[-1].__enter__()  # type: ignore[no-untyped-call]

    def leave(self, phase: Phase) -> None:
        """Close it."""
        self._open.pop().__exit__(None, None, None)

    def tap(self, name: str, value: torch.Tensor) -> None:
        """Do nothing."""


class _PhaseClock:
    """An observer that reads the host's clock at each border, with the device drained.

    Within a phase another one may lie: its time is its own.
    """

    looks = False

    def __init__(self, device: Device) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._device = device
        self._around: list[Phase] = []
        self._since = 0.0

    def enter(self, phase: Phase) -> None:
        """Stop the clock of the phase around this one, and start this one's."""
        self._book()
        self._around.append(phase)

    def leave(self, phase: Phase) -> None:
        """Add the phase's time, and go on with that of the phase around it."""
        self._book()
        self._around.pop()

    def _book(self) -> None:
        self._device.synchronize()
        now = time.perf_counter()
        if self._around:
            self.seconds[self._around[-1]] += now - self._since
        self._since = now

    def tap(self, name: str, value: torch.Tensor) -> None:
        """Do nothing."""
