"""Linear maps and norms of blocks and models: torch's own, drawn when they are asked to and not when they are made."""

from __future__ import annotations

import torch
from torch import nn

from harness.case import Case
from harness.layers.experts import BIAS_STD, normal_
from harness.layers.interface import torch_dtype

NORM_EPS = 1e-6
"""Flax's LayerNorm, and so vmoe's; transformers' T5. Mixtral has 1e-5."""

Norm = nn.LayerNorm | nn.RMSNorm


class Linear(nn.Linear):
    """x W^T + b, the weight [out, in]."""

    def __init__(self, inner: int, outer: int, *, bias: bool, like: Case, device: str) -> None:
        super().__init__(inner, outer, bias=bias, dtype=torch_dtype(like), device=device)

    def reset_parameters(self) -> None:
        """Draw nothing: `initialise` does."""

    def initialise(self, generator: torch.Generator) -> None:
        """Draw all weights anew: lecun normal."""
        normal_(self.weight, self.in_features**-0.5, generator)
        if self.bias is not None:
            normal_(self.bias, BIAS_STD, generator)


def norm(width: int, like: Case, device: str, *, bias: bool = True) -> Norm:
    """Return the norm of one vector of `width`: RMSNorm in a decoder, LayerNorm in an encoder."""
    dtype = torch_dtype(like)
    if like.causal:
        return nn.RMSNorm(width, NORM_EPS, dtype=dtype, device=device)
    return nn.LayerNorm(width, NORM_EPS, bias=bias, dtype=dtype, device=device)


def initialise_norm(norm: Norm, generator: torch.Generator) -> None:
    """Draw scales near 1 and biases near 0, so that a check sees one that was left out."""
    normal_(norm.weight, BIAS_STD, generator, mean=1.0)
    if isinstance(norm, nn.LayerNorm) and norm.bias is not None:
        normal_(norm.bias, BIAS_STD, generator)
