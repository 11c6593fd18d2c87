"""The peak of a pass under fake tensors: torch's own shape rules, no allocation and no arithmetic.

A third opinion beside the allocator's peak and the closed form: it knows nothing of our formulas, and it sees tensors
only, so what kernels allocate inside themselves is not in it. It cannot be had where a shape depends on the data, as
where each expert takes the rows that chose it; after MemTracker under FakeTensorMode.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch._subclasses.fake_tensor import FakeCopyMode, FakeTensorMode

from harness.probes.peak_roles import Attribution, attribute
from harness.probes.subject import LEARNING_RATE, Subject


class NoFake(Exception):
    """The pass cannot be made with fake tensors; the message says why, in words for the report."""


def fake_attribution(subject: Subject) -> Attribution:
    """Return whose bytes would stand at the peak of one pass of the eager `subject`, which is left as it is.

    Raises:
        NoFake: A shape depends on the data, or the layer does not run on fake tensors.
    """
    subject.drop_gradients()
    mode = FakeTensorMode()
    try:
        fake = _fake(subject, mode)
        with mode, _quiet():
            if fake.optimizer is not None:
                fake.run()  # AdamW makes its state in the first step
                fake.drop_gradients()
            return attribute(fake)
    except Exception as error:
        raise NoFake(_why(error)) from error


def _fake(subject: Subject, mode: FakeTensorMode) -> Subject:
    with FakeCopyMode(mode):
        layer, x, upstream = copy.deepcopy((subject.layer, subject.x.detach(), subject.upstream))
    optimizer = None
    if subject.optimizer is not None:
        optimizer = torch.optim.AdamW(layer.parameters(), lr=LEARNING_RATE, fused=True)
    x.requires_grad_(subject.x.requires_grad)
    return replace(subject, layer=layer, x=x, upstream=upstream, optimizer=optimizer, compiled=None)


def _why(error: Exception) -> str:
    kind = type(error).__name__
    if kind.startswith(("DynamicOutputShape", "DataDependentOutput", "GuardOnDataDependent")):
        return "a shape depends on the data"
    return f"fake tensors do not go through the layer ({kind}: {str(error).strip().partition(chr(10))[0][:120]})"


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep torch from logging an operator that has no shape rule: that is an answer here and no error."""
    log = logging.getLogger("torch._subclasses.fake_tensor")
    before = log.disabled
    log.disabled = True
    try:
        yield
    finally:
        log.disabled = before
