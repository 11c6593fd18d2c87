"""Dense FFN (Vaswani et al. 2017, section 3.3; gated: Shazeer 2020, arXiv 2002.05202).

    y = act(x W_1 + b_1) W_2 + b_2          y = (act(x W_g) * (x W_u)) W_2

Every token goes through the whole of it: the yardstick that the sparse layers are held to.
"""

from __future__ import annotations

import torch
from torch import Tensor

from harness.case import Case
from harness.layers.experts import Ffn
from harness.layers.interface import Layer
from harness.layers.tiles import tiled


class Dense(Layer):
    """The dense FFN. Tap: expert_output [T, D], all there is.

    Backends: `reference`, `fused` (biases inside the products, the gated pair as one product), `fixed_tile` (a control:
    batch-invariant, see `tiles.py`).
    """

    def __init__(self, case: Case, backend: str, device: str = "cpu") -> None:
        super().__init__(case, backend)
        self.ffn = Ffn(case, case.d_ff, device=device)

    def initialise(self, generator: torch.Generator) -> None:
        """Draw all weights anew."""
        self.ffn.initialise(generator)

    def forward(self, x: Tensor) -> Tensor:
        """Return [B, m, D] for `x` [B, m, D]."""
        tokens = x.flatten(0, -2)  # [T, D]
        with self.phase("experts"):
            y = self._ffn(tokens)
        self.tap("expert_output", y)
        return y.view_as(x)

    def _ffn(self, tokens: Tensor) -> Tensor:
        """Return [T, D] for `tokens` [T, D]."""
        if self.backend == "fixed_tile":
            return tiled(self.ffn.plain, tokens)
        return self.ffn.plain(tokens) if self.backend == "reference" else self.ffn.fused(tokens)
