"""Memory: weights, what is kept for backward, the allocator's peak, and the closed form beside it.

The peak is the allocator's own count over one pass (CUDA statistics; profiler memory events on CPU), above what was
allocated before: weights and input are not in it. Saved bytes are those of `saved_tensors_hooks`, each storage counted
once, weights and input left out. Of a compiled case the compiled pass is measured; its closed form stays the eager one.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from harness.devices.interface import Device
from harness.probes import worst_case
from harness.probes.outcome import Measured, Outcome, Settings
from harness.probes.subject import Subject

METRICS = (
    "memory_weights_bytes",
    "memory_saved_bytes",
    "memory_peak_bytes",
    "memory_worst_bytes",
    "memory_reserved_bytes",
)


def measure(subject: Subject, device: Device, settings: Settings) -> Outcome:
    """Return the bytes of one pass, after one unmeasured pass (libraries allocate workspaces at their first call)."""
    subject.run()
    subject.drop_gradients()
    values: dict[str, Measured] = {"memory_weights_bytes": _bytes(subject.layer.parameters())}
    if subject.case.trains:
        values["memory_saved_bytes"] = saved_bytes(subject)
        subject.drop_gradients()
    peak = device.peak(subject.run)
    subject.drop_gradients()
    values["memory_peak_bytes"] = peak.peak_bytes
    if peak.reserved_bytes is not None:
        values["memory_reserved_bytes"] = peak.reserved_bytes
    notes = [] if subject.compiled is None else ["memory_predicted_bytes is the closed form of the eager layer"]
    notes += worst_case.add_worst(values, subject, device)
    return Outcome(values, notes=notes)


def saved_bytes(subject: Subject) -> int:
    """Return the bytes that the forward pass keeps for backward, weights, tables of positions and input left out."""
    standing = (*subject.layer.parameters(), *subject.layer.buffers(), subject.x)
    own = {tensor.untyped_storage().data_ptr() for tensor in standing}
    kept: dict[int, int] = {}
    alive: list[Tensor] = []  # a freed storage could give its address to the next one, which would then not count

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own and storage.data_ptr() not in kept:
            kept[storage.data_ptr()] = storage.nbytes()
            alive.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        subject.forward(subject.x)
    return sum(kept.values())


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
