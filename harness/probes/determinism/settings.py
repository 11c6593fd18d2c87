"""Settings that an axis varies for the length of one pass, and puts back whatever happens."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import replace

import torch

from harness.case import Case
from harness.devices.cpu import affinity
from harness.layers.interface import Layer, serving

Setting = Callable[[Layer], AbstractContextManager[None]]


def as_it_is(layer: Layer) -> AbstractContextManager[None]:
    """Vary nothing."""
    return nullcontext()


def other_threads() -> int | None:
    """Return the number of threads to compare with: 1, or 2 where there is one now; None on a single core."""
    if torch.get_num_threads() > 1:
        return 1
    return 2 if len(affinity()) > 1 else None


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let torch's operators on a CPU use `count` threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def strict_kernels() -> Iterator[None]:
    """Let torch's operators on CUDA be run-to-run deterministic where they can, and sum in full precision."""
    matmul = torch.backends.cuda.matmul
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.get_float32_matmul_precision(),
        matmul.allow_bf16_reduced_precision_reduction,
        matmul.allow_fp16_reduced_precision_reduction,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an operator that has no deterministic form says so, and runs
        try:
            torch.use_deterministic_algorithms(True, warn_only=True)
            torch.set_float32_matmul_precision("highest")
            matmul.allow_bf16_reduced_precision_reduction = False
            matmul.allow_fp16_reduced_precision_reduction = False
            yield
        finally:
            torch.use_deterministic_algorithms(before[0], warn_only=before[1])
            torch.set_float32_matmul_precision(before[2])
            matmul.allow_bf16_reduced_precision_reduction = before[3]
            matmul.allow_fp16_reduced_precision_reduction = before[4]


def environment(layer: Layer) -> AbstractContextManager[None]:
    """Vary the number of threads on a CPU, and elsewhere the mode of the kernels."""
    if layer.device.type != "cpu":
        return strict_kernels()
    count = other_threads()
    return nullcontext() if count is None else threads(count)


def doubled(case: Case) -> Case:
    """Return `case` with twice the capacity."""
    return replace(case, capacity_factor=2 * (case.capacity_factor or 1.0))


def served_otherwise(case: Case) -> Case:
    """Return `case` where tokens are served by priority instead of position, or the other way round."""
    return replace(case, drop="position" if case.drop == "priority" else "priority")


def with_cases(change: Callable[[Case], Case]) -> Setting:
    """Return the setting in which every part that has a capacity serves what `change` makes of its case."""

    @contextmanager
    def setting(layer: Layer) -> Iterator[None]:
        with ExitStack() as stack:
            for part in layer.parts:
                if part.case.capacity_factor is not None:
                    stack.enter_context(serving(part, change(part.case)))
            yield

    return setting
