"""Subject: a built layer with the input that it is measured on, and its pass as a call without arguments.

Where the case says `compile`, the pass runs the compiled function: its outputs are what check and determinism judge,
its time and its memory what is measured. An observer looks at the eager layer, and a replay is forced on it: taps and
phases have no place inside fused kernels. AdamW runs as it does elsewhere; the layer alone is compiled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from harness.case import Case
from harness.declare.scopes import input_shape, output_shape, reads
from harness.layers.interface import Assignment, Layer, torch_dtype
from harness.probes.assignment import assignments
from harness.probes.compiled import Compiled

LEARNING_RATE = 0.0
"""Of all that a training step changes: a layer that learned would be another one in each visit."""


@dataclass(slots=True)
class Subject:
    """What a probe measures."""

    case: Case
    layer: Layer
    x: Tensor
    """Input, such as [B, m, D]; requires grad where the pass does, and it is no ids."""
    upstream: Tensor
    """Gradient of the output, shaped like it; unused in `forward`."""
    optimizer: torch.optim.Optimizer | None = field(default=None)
    """AdamW over the layer's weights in `train`."""
    compiled: Compiled | None = None
    """The layer under torch.compile, where the case says so."""
    assigned: tuple[Assignment | None, ...] = ()
    """For each part, what the case's `routing` puts in place of its router's choice."""

    def assign(self) -> None:
        """Give the layer, which other cases may have used since, the routing of this case."""
        for part, own in zip(self.layer.parts, self.assigned, strict=True):
            part.assigned = own

    @property
    def eager(self) -> Subject:
        """The same subject without torch.compile."""
        return replace(self, compiled=None)

    def run(self) -> Tensor:
        """Do the case's pass once and return the output; gradients of an earlier pass are dropped first.

        A load-balance loss is added to the objective; the loss-free one moves its bias after the optimizer's step.
        """
        if not self.case.trains:
            with torch.no_grad():
                return self.forward(self.x)
        self.drop_gradients()
        y = self.forward(self.x)
        self.backward(y)
        self.step()
        return y

    def backward(self, y: Tensor) -> None:
        """Do the backward pass of the output `y` and of the losses that the forward pass has left."""
        losses = [part.auxiliary for part in self.layer.parts if part.auxiliary is not None]
        torch.autograd.backward([y, *losses], [self.upstream, *(torch.ones_like(loss) for loss in losses)])

    def step(self) -> None:
        """Do what the case's pass does after the backward pass: in `train`, the optimizer's step."""
        if self.optimizer is not None:
            self.optimizer.step()
            for part in self.layer.parts:
                part.after_step(LEARNING_RATE)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the layer's output for `x`, a batch of any size; with `mask` where the layer takes one, eagerly."""
        if mask is not None:
            masked: Tensor = self.layer(x, mask=mask)
            return masked
        looked_at = any(part.observer is not None or part.replay is not None for part in self.layer.parts)
        y = self.layer(x) if self.compiled is None or looked_at else self.compiled(x)
        assert isinstance(y, Tensor)
        return y

    def drop_gradients(self) -> None:
        """Give the memory of all gradients back, and of what would lead to them."""
        self.x.grad = None
        for part in self.layer.parts:
            part.auxiliary = None
        for weight in self.layer.parameters():
            weight.grad = None


def make_subject(case: Case, layer: Layer, *, seed: int = 0, folders: Sequence[str] = ()) -> Subject:
    """Return the subject of `case` on a built `layer`, which other cases may share.

    A routing that is not learned is drawn here, once, from the same seed; a stored one is looked for in `folders`.

    Input and upstream gradient are standard normal (ids: even) and the same for every layer of that shape. AdamW and
    the loss-free balance run with a rate of zero: their work is the same, and what cases share stays what it is, bit
    for bit.
    """
    layer.train(case.trains)
    for weight in layer.parameters():
        weight.requires_grad_(case.trains)
    x = draw_input(case, layer, seed)
    x.requires_grad_(case.trains and x.is_floating_point())
    upstream = normal(case, layer, seed + 1, output_shape(case))
    optimizer = None
    if case.pass_ == "train":
        optimizer = torch.optim.AdamW(layer.parameters(), lr=LEARNING_RATE, fused=True)
    compiled = Compiled(layer) if case.compile else None
    assigned = assignments(case, layer.device, seed, folders)
    subject = Subject(case, layer, x, upstream, optimizer, compiled, assigned)
    subject.assign()
    return subject


def draw_input(case: Case, layer: Layer, seed: int, *, batch: int | None = None) -> Tensor:
    """Return what goes into `case` where `layer` lives, the same for every layer of that shape.

    Hidden states [B, m, D] and patches [B, m, 3 P^2] are standard normal, ids [B, m] are drawn evenly.
    """
    shape = input_shape(replace(case, batch=batch or case.batch))
    if reads(case) != "ids":
        return normal(case, layer, seed, shape)
    where, generator = _source(layer, seed)
    return torch.randint(case.vocabulary or 1, shape, generator=generator, device=where)


def normal(case: Case, layer: Layer, seed: int, shape: tuple[int, ...]) -> Tensor:
    """Return standard normal numbers in the case's dtype where the layer lives."""
    where, generator = _source(layer, seed)
    return torch.randn(shape, generator=generator, device=where).to(torch_dtype(case))


def _source(layer: Layer, seed: int) -> tuple[torch.device, torch.Generator]:
    where = layer.device
    return where, torch.Generator(device=where).manual_seed(seed)
