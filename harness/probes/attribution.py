"""Attribution: to which phase the time of a profiled pass belongs.

A moment of the host belongs to the nearest range around it on its own thread: a phase, or the whole of the forward
or the backward pass, whose own share is `other`. A kernel belongs where the operator stands that launched it (the
profiler's correlation), whenever it ran: never by overlap on the clock, which `gpu_user_annotation` goes by.

The backward pass has no ranges of its own: autograd runs nodes on a thread of the device, in an order of its own. Each
node carries the sequence number of the forward operator that made it, and belongs to that operator's phase. Of several
operators with one number the one that started last has made the node, since making a node takes the number (so does
Kineto link its `fwdbwd` arrows). A node without a number, such as AccumulateGrad, is `other`: nothing is guessed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

FORWARD, BACKWARD = "harness::forward", "harness::backward"
"""Ranges around the two halves of a pass; each FORWARD opens a pass."""
PREFIX = "moe::"
"""Of the ranges of phases."""
NODE = "autograd::engine::evaluate_function: "
"""How the profiler names the run of one node of the backward graph, before the node's own name."""
OTHER = "other"


class Mark(NamedTuple):
    """Where an event belongs."""

    half: Literal["forward", "backward"]
    phase: str


@dataclass(frozen=True, slots=True)
class Split:
    """One pass: microseconds by phase."""

    forward: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    backward: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def add(self, mark: Mark, microseconds: float) -> None:
        """Count time where it belongs."""
        (self.forward if mark.half == "forward" else self.backward)[mark.phase] += microseconds


def attribute(events: Iterable[Any], *, by_kernel: bool) -> list[Split]:
    """Return the split of each profiled pass, from the profiler's events (`profile.events()`) in order of their start.

    `by_kernel` counts the time of kernels where they were launched; else the host's own time, Python's between the
    operators included.
    """
    splits: list[Split] = []
    marks: dict[int, Mark | None] = {}
    made: dict[tuple[int, int], str] = {}
    for event in events:
        if event.device_type.name != "CPU" or event.is_async:
            continue
        parent = event.cpu_parent
        mark = marks[id(event)] = _mark(event, marks.get(id(parent)) if parent is not None else None, made)
        if event.name == FORWARD:
            splits.append(Split())
        if mark is None or not splits:
            continue
        if mark.half == "forward" and event.sequence_nr >= 0:
            made[event.thread, event.sequence_nr] = mark.phase  # a later start replaces an earlier one
        splits[-1].add(mark, _kernel_time(event) if by_kernel else event.self_cpu_time_total)
    return splits


def _mark(event: Any, around: Mark | None, made: dict[tuple[int, int], str]) -> Mark | None:
    """Return where an event belongs: by its own name, else with what is around it."""
    name: str = event.name
    if name.startswith(NODE):
        return Mark("backward", made.get((event.fwd_thread, event.sequence_nr), OTHER))
    if name.startswith(PREFIX) and around is not None:
        return Mark(around.half, name.removeprefix(PREFIX))
    if name in (FORWARD, BACKWARD):
        return Mark("forward" if name == FORWARD else "backward", OTHER)
    return around


def _kernel_time(event: Any) -> float:
    """Return the microseconds of the kernels that one operator launched; a range's shadow on the device is none."""
    return float(sum(kernel.duration for kernel in event.kernels if kernel.name != event.name))
