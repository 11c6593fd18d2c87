"""Memory: what stands before a pass, the allocator's peak in it, whose bytes that peak is, and two predictions of it.

The peak is the allocator's own count over one pass (CUDA statistics; profiler memory events on CPU), above what was
allocated before: weights, input and the optimizer's state are not in it. Beside it stands the same pass as
`peak_roles.py` sees it, whose parts and the workspace add up to the peak to the byte. Saved bytes are those of
`saved_tensors_hooks`, each storage counted once, weights and input left out. Of a compiled case the compiled pass is
measured, whose buffers nobody can tell apart; its closed form stays the eager one.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from harness.devices.interface import Device, Peak
from harness.metrics import show_bytes
from harness.probes import worst_case
from harness.probes.fake_memory import NoFake, fake_attribution
from harness.probes.outcome import Measured, Outcome, Settings
from harness.probes.peak_roles import attribute
from harness.probes.subject import Subject

METRICS = (
    "memory_weights_bytes", "memory_inputs_bytes", "memory_optimizer_bytes", "memory_saved_bytes", "memory_peak_bytes",
    "memory_saved_at_peak_bytes", "memory_gradients_bytes", "memory_temporaries_bytes", "memory_workspace_bytes",
    "memory_peak_moment", "memory_fake_bytes", "memory_worst_bytes", "memory_reserved_bytes",
)  # fmt: skip
PARTS = ("memory_saved_at_peak_bytes", "memory_gradients_bytes", "memory_temporaries_bytes", "memory_workspace_bytes")
"""What the peak is made of: these add up to it."""
FRAGMENTED = 0.25
"""Share of the reserved bytes, lying idle in split blocks, from which on a note tells it."""


def measure(subject: Subject, device: Device, settings: Settings) -> Outcome:
    """Return the bytes of one pass, after one unmeasured pass (libraries allocate workspaces at their first call)."""
    subject.run()
    subject.drop_gradients()
    values = standing(subject)
    if subject.case.trains:
        values["memory_saved_bytes"] = saved_bytes(subject)
        subject.drop_gradients()
    with _uncollected():
        peak = device.peak(subject.run)
    subject.drop_gradients()
    values["memory_peak_bytes"] = peak.peak_bytes
    if peak.reserved_bytes is not None:
        values["memory_reserved_bytes"] = peak.reserved_bytes
    parts, words = _parts(subject, peak)
    fake, why = _fake(subject)
    series = {f"memory_{name}": [float(number)] for name, number in peak.allocator.items()}
    worst = worst_case.add_worst(values, subject, device)
    return Outcome(values | parts | fake, notes=[*words, *why, *_told(peak), *worst], series=series)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keep Python from collecting what earlier work left behind: torch's profiler books that to blocks of this pass.

    It knows a block by its address, also after the pass in which it saw it made.
    """
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()


def standing(subject: Subject) -> dict[str, Measured]:
    """Return what stands before the pass and after it: weights, inputs, and in training the optimizer's state."""
    upstream = [subject.upstream] if subject.case.trains else []
    values: dict[str, Measured] = {
        "memory_weights_bytes": _bytes(subject.layer.parameters()),
        "memory_inputs_bytes": _bytes([subject.x, *upstream]),
    }
    if subject.optimizer is not None:
        state = [kept for own in subject.optimizer.state.values() for kept in own.values()]
        values["memory_optimizer_bytes"] = _bytes(kept for kept in state if isinstance(kept, Tensor))
    return values


def _parts(subject: Subject, peak: Peak) -> tuple[dict[str, Measured], list[str]]:
    """Return what the peak is made of, and what has to be said of it; nothing where that cannot be told."""
    if subject.compiled is not None:
        return {}, [
            "memory_predicted_bytes and memory_fake_bytes are those of the eager layer",
            "the peak is not told apart by role: the buffers of fused kernels have none",
        ]
    seen = attribute(subject)
    subject.drop_gradients()
    workspace = peak.peak_bytes - seen.total
    if workspace < 0:
        more = f"tensors of {show_bytes(seen.total)} were seen in a peak of {show_bytes(peak.peak_bytes)}"
        return {}, [f"the parts of the peak do not add up to it and are left out: {more}"]
    parts = dict(zip(PARTS, (seen.saved, seen.gradients, seen.temporaries, workspace), strict=True))
    return {**parts, "memory_peak_moment": seen.moment}, []


def _fake(subject: Subject) -> tuple[dict[str, Measured], list[str]]:
    try:
        return {"memory_fake_bytes": fake_attribution(subject).total}, []
    except NoFake as error:
        return {}, [f"memory_fake_bytes is not predicted: {error}"]


def _told(peak: Peak) -> list[str]:
    """Return what the caching allocator says of itself that spoils a peak, or explains it."""
    notes = []
    if retries := peak.allocator.get("num_alloc_retries", 0):
        notes.append(
            f"the allocator gave its cache back and tried again {retries} times in the measured pass: memory is short, "
            "and time taken here holds these retries"
        )
    split = peak.allocator.get("inactive_split_bytes", 0)
    if split > FRAGMENTED * (peak.reserved_bytes or split):
        notes.append(f"{show_bytes(split)} of what the allocator holds lies in split blocks that nobody uses")
    return notes


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
