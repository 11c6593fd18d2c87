"""Scene: a layer with a batch, companions and padding, and the passes that are played on it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from harness.layers import reference_of
from harness.layers.interface import Layer, NoReference
from harness.probes.rows import scaled_change, tapping
from harness.probes.subject import Subject, draw_input

BATCH_OF_ONE = 8
"""Batch that a case of batch 1 is compared with."""
DESIGN_EPS = 2.0**20
"""A change of more eps of float64 is no rounding there: it is the layer's design."""
ROUNDING_EPS, HALF_ROUNDING_EPS = 64.0, 4.0
"""A change of at most so many eps is rounding: no discrete choice is that small. Half precision rounds few times, as
its products are summed in float32; and 64 of its eps would be half the row."""


@dataclass(frozen=True, slots=True)
class Play:
    """One forward pass: what went in, what came out, and what each part showed at its taps."""

    x: Tensor
    y: Tensor
    seen: list[dict[str, Tensor]]


class Scene:
    """What every axis needs, computed once."""

    def __init__(
        self, layer: Layer, forward: Callable[..., Tensor], x: Tensor, others: Tensor, pad: Tensor, *, compiled: bool
    ) -> None:
        self.layer, self.forward, self.compiled = layer, forward, compiled
        self.x, self.others, self.pad = x, others, pad
        self.full = self.play(x)

    @classmethod
    def of(cls, subject: Subject, seed: int) -> Scene:
        """Return the scene of `subject`; a batch of one gets company.

        Companions stand around another mean of a norm like a token's, as the tokens of another text do, so that they
        load other experts; ids are those of an eighth of the vocabulary. Padding is one token, again and again.
        """
        case, layer = subject.case, subject.layer
        batch = case.batch if case.batch > 1 else BATCH_OF_ONE
        x, others = (draw_input(case, layer, own, batch=batch) for own in (seed, seed + 3))
        pad = draw_input(case, layer, seed + 2, batch=1)[:, :1]  # [1, 1, D] or [1, 1]
        if x.is_floating_point():
            others = others + pad
        else:
            others, pad = others % max(1, (case.vocabulary or 1) // 8), torch.zeros_like(pad)
        return cls(layer, subject.forward, x, others, pad, compiled=subject.compiled is not None)

    def play(self, x: Tensor, mask: Tensor | None = None) -> Play:
        """Return one pass over `x`; `mask` [B, m] where the layer takes one."""
        with tapping(self.layer) as seen:
            y = self.forward(x) if mask is None else self.forward(x, mask=mask)
        if self.compiled:  # what was observed is the eager layer
            y = self.forward(x)
        return Play(x, y, seen)

    @cached_property
    def in_float64(self) -> Scene | None:
        """The same scene, played by the reference; None for a black box that has no copy in float64."""
        try:
            reference = reference_of(self.layer)
        except NoReference:
            return None
        inputs = (x.double() if x.is_floating_point() else x for x in (self.x, self.others, self.pad))
        return Scene(reference, reference, *inputs, compiled=False)

    @cached_property
    def is_random(self) -> bool:
        """Whether the same input gives another output in float64 too: the layer draws random numbers."""
        wide = self.in_float64
        return wide is not None and bool((changes(wide.full.y, wide.play(wide.x).y) > DESIGN_EPS).any())

    @property
    def limit(self) -> float:
        """Eps up to which a change is rounding."""
        return HALF_ROUNDING_EPS if self.full.y.element_size() < torch.float32.itemsize else ROUNDING_EPS

    @property
    def rows_are_tokens(self) -> bool:
        """Whether a row of the output is a token; an encoder's is an image."""
        return self.full.y.shape[:-1] == self.x.shape[:2]

    @property
    def takes_mask(self) -> bool:
        """Whether the layer can be told which tokens are padding."""
        return "mask" in inspect.signature(self.layer.forward).parameters

    @property
    def experts_choose(self) -> bool:
        """Whether some part's experts choose their tokens."""
        return any("choice" in seen and seen["choice"].dim() == 3 for seen in self.full.seen)

    @property
    def has_taps(self) -> bool:
        """Whether the layer shows anything but its ends."""
        return any(set(seen) - {"input", "output"} for seen in self.full.seen)


def changes(before: Tensor, after: Tensor) -> Tensor:
    """Return each row's change in eps of its largest value, [rows]."""
    return scaled_change(before, after, torch.finfo(before.dtype).eps).flatten()
