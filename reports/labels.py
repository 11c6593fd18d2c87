"""Labels: a case in the few letters that a chart or a narrow cell has room for, a metric in the words of a sentence."""

from __future__ import annotations

from reports.subjects import Subject
from reports.visible import visible

LONGEST = 16
"""Characters of a name that a label keeps."""
NAMES = {
    "latency_ms": "latency",
    "latency_hot_ms": "hot latency",
    "latency_graph_ms": "latency in a graph",
    "host_ms": "host time",
    "energy_j_per_mtoken": "energy per token",
    "flops_model": "model FLOPs",
    "flops_routed": "routed FLOPs",
    "flops_executed": "executed FLOPs",
    "flops_counted": "counted FLOPs",
    "params": "parameters",
    "params_active": "active parameters",
    "memory_peak_bytes": "peak of memory",
    "det_batch_size": "invariance to batch size",
    "det_run": "invariance from run to run",
    "det_position": "invariance to position",
    "det_composition": "invariance to companions",
}
"""What metrics are called in a sentence; the others by their own name."""
PARTS = {"max_rel": "largest error", "changed": "share beyond rounding", "cause": "cause", "bound": "upper bound"}
"""Ends of the names of what goes with a metric of determinism."""


def label(subject: Subject) -> str:
    """Return a case in few letters: `soft E32 s2`."""
    name = cut(subject.variant)
    return " ".join([name, *filter(None, map(_letters, subject.detail.split(", ")))])


def cut(name: str, most: int = LONGEST) -> str:
    """Return as much of a name as a label has room for, what nobody would see in it spelt."""
    told = visible(name)
    return told if len(told) <= most else f"{told[: most - 1]}…"


def _letters(part: str) -> str:
    """Return `E32` of `32 experts`, `s2` of `2 slots`, `c1.25` of `capacity 1.25`; what has no letter as it stands."""
    first, _, noun = part.partition(" ")
    letter = {"expert": "E", "experts": "E", "slot": "s", "slots": "s"}.get(noun)
    return f"{letter}{first}" if letter else part.replace("k = ", "k").replace("capacity ", "c").replace("d_ff ", "F")


def name_of(metric: str) -> str:
    """Return a metric as a sentence names it: `latency`, `peak of memory`."""
    part = next((part for part in PARTS if metric.startswith("det_") and metric.endswith(f"_{part}")), None)
    if part is not None:
        return f"{name_of(metric.removesuffix(f'_{part}'))}, {PARTS[part]}"
    plain = metric.removesuffix("_bytes").removesuffix("_ms").replace("_", " ")
    return NAMES.get(metric) or plain.replace("det ", "invariance to ", 1)
