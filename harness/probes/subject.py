"""Subject: a built layer with the input that it is measured on, and its pass as a call without arguments."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from harness.case import Case
from harness.layers.interface import Layer, torch_dtype


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

    def run(self) -> Tensor:
        """Do the case's pass once and return the output; gradients of an earlier pass are dropped first."""
        if not self.case.trains:
            with torch.no_grad():
                return self.forward(self.x)
        self.drop_gradients()
        y = self.forward(self.x)
        torch.autograd.backward(y, self.upstream)
        if self.optimizer is not None:
            self.optimizer.step()
        return y

    def forward(self, x: Tensor) -> Tensor:
        """Return the layer's output for `x` [.., m, D]."""
        y = self.layer(x)
        assert isinstance(y, Tensor)
        return y

    def drop_gradients(self) -> None:
        """Give the memory of all gradients back."""
        self.x.grad = None
        for weight in self.layer.parameters():
            weight.grad = None


def make_subject(case: Case, layer: Layer, *, seed: int = 0) -> Subject:
    """Return the subject of `case` on a built `layer`, which other cases may share.

    Input and upstream gradient are standard normal and the same for every layer of that shape. AdamW runs with a
    learning rate of zero: its work is the same, and the shared weights stay what they are, bit for bit.
    """
    for weight in layer.parameters():
        weight.requires_grad_(case.trains)
    x = normal(case, layer, seed).requires_grad_(case.trains)
    upstream = normal(case, layer, seed + 1)
    optimizer = None
    if case.pass_ == "train":
        optimizer = torch.optim.AdamW(layer.parameters(), lr=0.0, fused=True)
    return Subject(case, layer, x, upstream, optimizer)


def normal(case: Case, layer: Layer, seed: int, *, batch: int | None = None) -> Tensor:
    """Return standard normal numbers [B, m, D] in the case's dtype where the layer lives, the same for every layer."""
    where = layer.device
    generator = torch.Generator(device=where).manual_seed(seed)
    shape = (batch or case.batch, case.tokens, case.d_model)
    return torch.randn(shape, generator=generator, device=where).to(torch_dtype(case))
