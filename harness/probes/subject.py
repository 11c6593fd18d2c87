"""Subject: a built layer with the input that it is measured on, and its pass as a call without arguments.

Where the case says `compile`, the pass runs the compiled function: its outputs are what check and determinism judge,
its time and its memory what is measured. An observer looks at the eager layer, and a replay is forced on it: taps and
phases have no place inside fused kernels. AdamW runs as it does elsewhere; the layer alone is compiled.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from harness.case import Case
from harness.layers.interface import Layer, parts, torch_dtype
from harness.probes.compiled import Compiled

LEARNING_RATE = 0.0
"""Of all that a training step changes: a layer that learned would be another one in each visit."""


@dataclass(slots=True)
class Subject:
    """What a probe measures."""

    case: Case
    layer: Layer
    x: Tensor
    """Input [B, m, D]; requires grad where the pass does."""
    upstream: Tensor
    """Gradient of the output [B, m, D]; unused in `forward`."""
    optimizer: torch.optim.Optimizer | None = field(default=None)
    """AdamW over the layer's weights in `train`."""
    compiled: Compiled | None = None
    """The layer under torch.compile, where the case says so."""

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
        losses = [part.auxiliary for part in parts(self.layer) if part.auxiliary is not None]
        torch.autograd.backward([y, *losses], [self.upstream, *(torch.ones_like(loss) for loss in losses)])
        if self.optimizer is not None:
            self.optimizer.step()
            for part in parts(self.layer):
                part.after_step(LEARNING_RATE)
        return y

    def forward(self, x: Tensor) -> Tensor:
        """Return the layer's output for `x` [.., m, D]."""
        looked_at = self.layer.observer is not None or self.layer.replay is not None
        y = self.layer(x) if self.compiled is None or looked_at else self.compiled(x)
        assert isinstance(y, Tensor)
        return y

    def drop_gradients(self) -> None:
        """Give the memory of all gradients back, and of what would lead to them."""
        self.x.grad = None
        for part in parts(self.layer):
            part.auxiliary = None
        for weight in self.layer.parameters():
            weight.grad = None


def make_subject(case: Case, layer: Layer, *, seed: int = 0) -> Subject:
    """Return the subject of `case` on a built `layer`, which other cases may share.

    Input and upstream gradient are standard normal and the same for every layer of that shape. AdamW and the loss-free
    balance run with a rate of zero: their work is the same, and what cases share stays what it is, bit for bit.
    """
    layer.train(case.trains)
    for weight in layer.parameters():
        weight.requires_grad_(case.trains)
    x = normal(case, layer, seed).requires_grad_(case.trains)
    upstream = normal(case, layer, seed + 1)
    optimizer = None
    if case.pass_ == "train":
        optimizer = torch.optim.AdamW(layer.parameters(), lr=LEARNING_RATE, fused=True)
    return Subject(case, layer, x, upstream, optimizer, Compiled(layer) if case.compile else None)


def normal(case: Case, layer: Layer, seed: int, *, batch: int | None = None) -> Tensor:
    """Return standard normal numbers [B, m, D] in the case's dtype where the layer lives, the same for every layer."""
    where = next(layer.parameters()).device
    generator = torch.Generator(device=where).manual_seed(seed)
    shape = (batch or case.batch, case.tokens, case.d_model)
    return torch.randn(shape, generator=generator, device=where).to(torch_dtype(case))
