"""Noise on the router's logits while it trains, so that experts which score alike take turns.

    shazeer    h + n softplus(x W_noise)    learned, one width a token and expert (Shazeer et al. 2017, equation 4)
    vmoe       h + n / E                    (Riquelme et al. 2021, arXiv 2106.05974, section 2.1 and the code of vmoe)

n is standard normal. It is drawn in float32 whatever the layer's dtype, and from the same seed in every pass: a pass is
then a function of its input, which can be repeated bit for bit and held against float64, and costs what fresh noise
costs. A layer in eval mode has none.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from harness.layers.gates import wide, wide_type

SEED = 170106538
"""Of the noise: none that a suite is likely to give, since inputs and weights are drawn from those."""


def standard_normal(like: Tensor) -> Tensor:
    """Return the noise of every pass, in the shape of `like` and where it lives: float32, or as wide as `like`."""
    if like.device.type == "meta":
        return wide(torch.empty_like(like))
    generator = torch.Generator(like.device).manual_seed(SEED)
    noise = torch.randn(like.shape, generator=generator, device=like.device, dtype=torch.float32)
    return noise.to(wide_type(like))


def _learned(tokens: Tensor, logits: Tensor, weight: Tensor | None) -> Tensor:
    assert weight is not None
    return F.softplus(wide(tokens @ weight))


def _one_over_experts(tokens: Tensor, logits: Tensor, weight: Tensor | None) -> Tensor:
    return torch.full((1, 1), 1 / logits.shape[-1], dtype=wide_type(logits), device=logits.device)


WIDTHS: dict[str | None, Callable[[Tensor, Tensor, Tensor | None], Tensor]] = {
    "shazeer": _learned,
    "vmoe": _one_over_experts,
}
"""The standard deviation of each kind of noise, one for all or [T, E], for tokens [T, D], logits and W_noise [D, E]."""
