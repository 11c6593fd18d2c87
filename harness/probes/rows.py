"""Rows compared: the two ways in which outputs differ, and the taps that tell why."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

import torch
from torch import Tensor

from harness.layers.interface import Layer, Phase, observing


class Taps:
    """An observer that keeps what a layer shows at its taps, by name."""

    looks = True

    def __init__(self) -> None:
        self.seen: dict[str, Tensor] = {}

    def enter(self, phase: Phase) -> None:
        """Do nothing."""

    def leave(self, phase: Phase) -> None:
        """Do nothing."""

    def tap(self, name: str, value: Tensor) -> None:
        """Keep the tensor."""
        self.seen[name] = value.detach()


@contextmanager
def tapping(layer: Layer) -> Iterator[list[dict[str, Tensor]]]:
    """Yield what each part of `layer` shows at its taps in the block, by name: one dictionary a part.

    Beside the taps, `input` and `output`: what goes into the part, and what comes out of it.
    """
    taps = [Taps() for _ in layer.parts]
    with ExitStack() as stack:
        for part, own in zip(layer.parts, taps, strict=True):
            stack.enter_context(observing(part, own))
            stack.callback(part.register_forward_hook(partial(_show_ends, own)).remove)
        yield [own.seen for own in taps]


def _show_ends(taps: Taps, part: object, inputs: tuple[Tensor, ...], output: object) -> None:
    taps.tap("input", inputs[0])
    if isinstance(output, Tensor):
        taps.tap("output", output)


def equal_rows(a: Tensor, b: Tensor) -> Tensor:
    """Return for each row (last dimension) whether all its numbers are equal, [...]; a NaN equals nothing."""
    return (a == b).all(dim=-1)


def scaled_error(y: Tensor, reference: Tensor, eps: float) -> Tensor:
    """Return each row's largest error over eps times the row's largest reference value, [...], in float64.

    Not in units in the last place of each number: outputs near zero cross scales and reach millions of those
    while the row is right. A row whose reference is all zero must be zero: any error there is infinite.
    """
    wide = reference.double()
    error = (y.double() - wide).abs().amax(dim=-1)
    scale = wide.abs().amax(dim=-1)
    return torch.where(error == 0, 0.0, error / (eps * scale))


def scaled_change(a: Tensor, b: Tensor, eps: float) -> Tensor:
    """Return each row's largest difference over eps times the row's largest value on either side, [...], in float64."""
    before, after = a.double(), b.double()
    change = (before - after).abs().amax(dim=-1)
    scale = torch.maximum(before.abs().amax(dim=-1), after.abs().amax(dim=-1))
    return torch.where(change == 0, 0.0, change / (eps * scale))
