"""CUDA graph: the forward pass captured and replayed, and whether it can be.

`graph_capturable` is found by trying, after the eager pass was timed: a layer that reads routing counts on the host
cannot be captured. `latency_graph_ms` is a metric of its own, without the host's launches between kernels and with
warm caches: it compares with other graphs, never with eager times. A replay must give what the eager pass gave.

After a failed capture the worker is replaced before its next visit: up to torch 2.11 the allocator goes on as in a
capture (pytorch/pytorch#180395), and the stream of the capture stays the current one. The eager times of this visit
stand.
"""

from __future__ import annotations

import torch
from torch import Tensor

from harness.devices.interface import CaptureFailed, Device
from harness.probes.blocks import Blocks
from harness.probes.outcome import Outcome, Settings, join
from harness.probes.rows import scaled_change
from harness.probes.samples import take_samples
from harness.probes.subject import Subject

SPOILT = "a failed capture may leave torch's allocator and its current stream as they are in a capture"
ROUNDING_EPS = 64.0
"""Units of eps of a row's largest value by which a replay may differ: sums by atomics come in another order."""


def time_graph(subject: Subject, device: Device, settings: Settings) -> Outcome:
    """Return samples of the replayed forward pass; nothing on a CPU, for a pass with gradients, or where not asked."""
    if device.kind != "cuda" or subject.case.trains or not settings.graphs:
        return Outcome()
    eager = subject.run()
    try:
        captured = device.capture(subject.run)
    except CaptureFailed as error:
        return _not_captured(subject, device, error)
    captured.replay()
    device.synchronize()
    assert isinstance(captured.output, Tensor)
    if not _agree(captured.output, eager):
        return Outcome({"graph_capturable": "no"}, ["captured, but a replay of the CUDA graph gives another output"])
    found = Outcome({"graph_capturable": "yes"})
    return join(
        [found, take_samples(Blocks(captured.replay, device, cold=False), settings, "latency_graph_ms", "graph_")]
    )


def _not_captured(subject: Subject, device: Device, error: CaptureFailed) -> Outcome:
    spent = _unfit(subject, device) or SPOILT
    if error.__cause__ is not None and device.fault(error.__cause__) == "device memory":
        return Outcome(notes=["no CUDA graph was captured: its memory did not fit beside the rest"], spent=spent)
    return Outcome({"graph_capturable": "no"}, [f"no CUDA graph can be captured: {error}"], spent=spent)


def _unfit(subject: Subject, device: Device) -> str | None:
    """Return in words why the device does no more work after a failed capture; None where it does."""
    try:
        device.synchronize()
        subject.run()
        device.synchronize()
    except Exception as error:  # whatever it is, this process is at its end
        return f"a failed capture has left the device unfit ({str(error).partition(chr(10))[0]})"
    return None


def _agree(replayed: Tensor, eager: Tensor) -> bool:
    change = scaled_change(replayed, eager, torch.finfo(eager.dtype).eps)
    return bool((change <= ROUNDING_EPS).all())
