"""Multi-head self-attention (Vaswani et al. 2017, section 3.2.2; arXiv 1706.03762).

    Q, K, V = x W_q, x W_k, x W_v      A = softmax(Q K^T / sqrt(d_h)) of each head      y = [A V of all heads] W_o

An encoder's is that of vmoe's Vision Transformers: biases, and queries and keys normalised head by head (Dehghani et
al. 2023, arXiv 2302.05442, section 2.2; flax's `normalize_qk`: a LayerNorm without bias). A decoder's is that of
Mixtral (Jiang et al. 2024, arXiv 2401.04088) with as many key heads as query heads: causal, without biases, queries
and keys turned by their position (Su et al. 2021, arXiv 2104.09864, equation 34; halves paired as in transformers).

Backends: `reference` has the products and the softmax as the equation has them; all others have torch's
`scaled_dot_product_attention`, which picks a fused kernel that keeps no [m, m] and computes it again in the backward
pass.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.case import Case
from harness.declare.scopes import fused_attention
from harness.layers import routing
from harness.layers.interface import torch_dtype
from harness.layers.linear import Linear, Norm, initialise_norm, norm

ROTARY_BASE = 10_000.0
"""Su et al. 2021, section 3.2.2."""


class Attention(nn.Module):
    """Self-attention over [B, m, D]; m is at most the case's tokens in a decoder."""

    rotary: Tensor | None

    def __init__(self, case: Case, device: str = "cpu") -> None:
        super().__init__()
        assert case.heads is not None
        self.heads, self.causal, self.fused = case.heads, bool(case.causal), fused_attention(case)
        width = case.d_model // case.heads
        self.qkv = Linear(case.d_model, 3 * case.d_model, bias=not self.causal, like=case, device=device)
        self.out = Linear(case.d_model, case.d_model, bias=not self.causal, like=case, device=device)
        self.query_norm = None if self.causal else norm(width, case, device, bias=False)
        self.key_norm = None if self.causal else norm(width, case, device, bias=False)
        table = rotary_table(case.tokens, width, torch_dtype(case), device) if self.causal else None
        self.register_buffer("rotary", table)

    def initialise(self, generator: torch.Generator) -> None:
        """Draw all weights anew."""
        self.qkv.initialise(generator)
        self.out.initialise(generator)
        for each in (self.query_norm, self.key_norm):
            if each is not None:
                initialise_norm(each, generator)

    def forward(self, x: Tensor) -> Tensor:
        """Return [B, m, D] for `x` [B, m, D]."""
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).unbind(2)  # [B, m, h, d_h] each
        placed = self._placed(q, self.query_norm), self._placed(k, self.key_norm), v
        q, k, v = (each.transpose(1, 2) for each in placed)  # [B, h, m, d_h]
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal) if self.fused else self._plain(q, k, v)
        y: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return y

    def _placed(self, v: Tensor, norm: Norm | None) -> Tensor:
        """Return queries or keys [B, m, h, d_h] as they meet: turned by their position, or normalised."""
        if self.rotary is not None:
            return turn(v, self.rotary)
        y: Tensor = v if norm is None else norm(v)
        return y

    def _plain(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """The equation, head by head: [B, h, m, d_h]."""
        scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5  # [B, h, m, m]
        if self.causal:
            later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
            scores = scores.masked_fill(later, -torch.inf)
        mixed: Tensor = routing.softmax(scores, -1).to(v.dtype) @ v
        return mixed


def rotary_table(tokens: int, width: int, dtype: torch.dtype, device: str) -> Tensor:
    """Return cosines and sines [2, tokens, 1, width] by which vectors of an even `width` turn with their position."""
    frequency = ROTARY_BASE ** (-torch.arange(0, width, 2, dtype=torch.float64, device=device) / width)
    angle = torch.arange(tokens, dtype=torch.float64, device=device)[:, None] * frequency  # [m, width / 2]
    angle = torch.cat((angle, angle), dim=-1)[:, None]  # [m, 1, width]
    return torch.stack((angle.cos(), angle.sin())).float().to(dtype)  # by float32: dtypes differ by one rounding


def turn(v: Tensor, table: Tensor) -> Tensor:
    """Return vectors [B, m, h, width] turned by their position; the first half of each is paired with the second."""
    cos, sin = table[:, : v.shape[1]].unbind()  # [m, 1, width] each
    first, second = v.chunk(2, dim=-1)
    return v * cos + torch.cat((-second, first), dim=-1) * sin
