"""One Transformer block: attention and an FFN or MoE layer, each after a norm and beside a residual.

    x' = x + Attention(norm(x))          y = x' + FFN(norm(x'))

Pre-norm (Xiong et al. 2020, arXiv 2002.04745): LayerNorm in encoders as in Vision Transformers (Dosovitskiy et al.
2021, arXiv 2010.11929, equations 2 and 3), RMSNorm (Zhang and Sennrich 2019, arXiv 1910.07467) in decoders as in
Mixtral.
"""

from __future__ import annotations

import torch
from torch import Tensor

from harness.case import Case
from harness.layers.attention import Attention
from harness.layers.compound import Compound
from harness.layers.interface import Layer
from harness.layers.linear import initialise_norm, norm


class Block(Compound):
    """A block of `case` around the layer `ffn`, which is its only part."""

    def __init__(self, case: Case, ffn: Layer, device: str = "cpu") -> None:
        super().__init__(case, ffn.backend)
        self.attention_norm = norm(case.d_model, case, device)
        self.attention = Attention(case, device)
        self.ffn_norm = norm(case.d_model, case, device)
        self.ffn = ffn

    @property
    def parts(self) -> list[Layer]:
        """The FFN or MoE layer."""
        return [self.ffn]

    def initialise(self, generator: torch.Generator) -> None:
        """Draw all weights anew."""
        initialise_norm(self.attention_norm, generator)
        self.attention.initialise(generator)
        initialise_norm(self.ffn_norm, generator)
        self.ffn.initialise(generator)

    def forward(self, x: Tensor) -> Tensor:
        """Return [B, m, D] for `x` [B, m, D]."""
        x = x + self.attention(self.attention_norm(x))
        y: Tensor = x + self.ffn(self.ffn_norm(x))
        return y
