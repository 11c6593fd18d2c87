"""Dense mixture of experts: every expert sees every token, and a softmax gate weighs what they say.

Jacobs, Jordan, Nowlan and Hinton 1991 ("Adaptive mixtures of local experts"), Jordan and Jacobs 1994; the mixture that
Shazeer et al. 2017 (arXiv 1701.06538, section 1.2) made sparse, and so the upper bound of what routing can save.

    G = softmax(x W_r)            y = sum over all e of G_e FFN_e(x)

Backends: `reference` loops over the experts; `fused` takes them all as one wide FFN whose hidden values are scaled by
the gates, since sum_e G_e (h_e W_2e + b_2e) = [G_1 h_1 .. G_E h_E] [W_21; ..; W_2E] + G b_2: two products of the width
E F, no tensor of E outputs a token, and it never waits for the device.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor, nn

from harness.case import Case
from harness.layers import routing
from harness.layers.experts import ACTIVATIONS, BIAS_STD, IN_PLACE, normal_
from harness.layers.interface import Layer, torch_dtype


class DenseMoe(Layer):
    """The classic mixture. Taps: logits [T, E], load [E] (T each); of `reference` also expert_output [T, E, D].

    The first weights stand side by side, [D, E F] (gated: all W_g, then all W_u, [D, 2 E F]); the second ones below
    each other, [E, F, D].
    """

    def __init__(self, case: Case, backend: str, device: str = "cpu") -> None:
        super().__init__(case, backend)
        assert case.experts is not None
        D, F, E = case.d_model, case.d_ff, case.experts
        self.experts = E
        empty = partial(torch.empty, dtype=torch_dtype(case), device=device)
        self.router = nn.Parameter(empty(D, E))
        self.w1 = nn.Parameter(empty(D, (2 if case.gated else 1) * E * F))
        self.w2 = nn.Parameter(empty(E, F, D))
        self.b1 = None if case.gated else nn.Parameter(empty(E * F))
        self.b2 = None if case.gated else nn.Parameter(empty(E, D))

    def initialise(self, generator: torch.Generator) -> None:
        """Draw all weights anew: lecun normal; the logits of a unit-variance input have unit variance."""
        for weight, width in (
            (self.router, self.case.d_model),
            (self.w1, self.case.d_model),
            (self.w2, self.case.d_ff),
        ):
            normal_(weight, width**-0.5, generator)
        for bias in (self.b1, self.b2):
            if bias is not None:
                normal_(bias, BIAS_STD, generator)

    def forward(self, x: Tensor) -> Tensor:
        """Return [B, m, D] for `x` [B, m, D]."""
        tokens = x.flatten(0, -2)  # [T, D]
        with self.phase("router"):
            logits = tokens @ self.router  # [T, E]
            gates = routing.softmax(logits, -1).to(x.dtype)  # [T, E]
            if self.watched:
                self.tap("logits", logits)
                self.tap("load", torch.full((self.experts,), len(tokens), device=x.device))
        mix = self._looped if self.backend == "reference" else self._fused
        return mix(tokens, gates).view_as(x)

    def _looped(self, tokens: Tensor, gates: Tensor) -> Tensor:
        """Reference: expert by expert, as the equation has it."""
        with self.phase("experts"):
            outputs = torch.stack([self._expert(tokens, *own) for own in self._by_expert()], dim=1)  # [T, E, D]
            self.tap("expert_output", outputs)
        with self.phase("combine"):
            return (gates[..., None] * outputs).sum(1)

    def _by_expert(self) -> Iterator[tuple[tuple[Tensor, ...], Tensor, Tensor | None, Tensor | None]]:
        """Yield each expert's W_1 [D, F] (gated: W_g and W_u), W_2 [F, D], and biases."""
        E = self.experts
        parts = self.w1.view(len(self.w1), -1, E, self.case.d_ff).unbind(1)  # 1 or 2 of [D, E, F]
        first = zip(*(part.unbind(1) for part in parts), strict=True)
        b1 = (None,) * E if self.b1 is None else self.b1.view(E, -1).unbind()
        b2 = (None,) * E if self.b2 is None else self.b2.unbind()
        return zip(first, self.w2.unbind(), b1, b2, strict=True)

    def _expert(
        self, tokens: Tensor, w1: tuple[Tensor, ...], w2: Tensor, b1: Tensor | None, b2: Tensor | None
    ) -> Tensor:
        """Return what one expert makes of `tokens` [T, D]: [T, D]."""
        act = ACTIVATIONS[self.case.activation]
        if b1 is None or b2 is None:
            w_gate, w_up = w1
            return (act(tokens @ w_gate) * (tokens @ w_up)) @ w2
        return act(tokens @ w1[0] + b1) @ w2 + b2

    def _fused(self, tokens: Tensor, gates: Tensor) -> Tensor:
        """All experts as one FFN of width E F."""
        with self.phase("experts"):
            product = tokens @ self.w1 if self.b1 is None else torch.addmm(self.b1, tokens, self.w1)  # [T, H E]
            hidden = self._activate(product).view(len(tokens), self.experts, -1)  # [T, E, F]
            by_expert = gates[..., None]
            scaled = (hidden * by_expert if hidden.requires_grad else hidden.mul_(by_expert)).flatten(1)  # [T, E F]
        with self.phase("combine"):
            bias = None if self.b2 is None else gates @ self.b2  # [T, D]
        with self.phase("experts"):
            w2 = self.w2.flatten(0, 1)  # [E F, D]
            return scaled @ w2 if bias is None else torch.addmm(bias, scaled, w2)

    def _activate(self, product: Tensor) -> Tensor:
        """Return the activation [T, E F] of `product` [T, H E], gated where the experts are; in place if it may."""
        act = (ACTIVATIONS if product.requires_grad else IN_PLACE)[self.case.activation]
        if self.b1 is not None:
            return act(product)
        gate, up = product.chunk(2, dim=-1)
        opened = act(gate)
        return opened * up if product.requires_grad else opened.mul_(up)
