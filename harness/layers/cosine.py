"""Scaled cosines between tokens and slots: the router of Soft MoE, alone with what makes it fast.

    logits = scale * l2norm(X) l2norm(Phi)                    l2norm(v) = v / (||v|| + 1e-6)

The norms go into the product's result and into the small factor: with a = 1 / (||x|| + eps), b = scale / (||phi|| +
eps), logits[t, s] = a_t * (x_t . (b_s phi_s)). No normalised copy of the tokens is made, none is kept for the backward
pass, and the gradient of a norm comes out of the products that the pass needs anyway: with G the gradient of the
logits, U = a G (b Phi)^T and M = (a X)^T G,

    dX = U - x_t (x_t . U_t) a_t / ||x_t||        dPhi = b M - phi_s (phi_s . M_s) b_s / ((||phi_s|| + eps) ||phi_s||)
    dscale = sum over s of (phi_s . M_s) / (||phi_s|| + eps)
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

EPSILON = 1e-6
"""Added to a norm before it divides (the paper's algorithm 2)."""


def l2norm(v: Tensor, dim: int) -> Tensor:
    """Return `v` over its norm along `dim`, as the paper has it."""
    return v / (_norm(v, dim) + EPSILON)


def cosine_logits(x: Tensor, phi: Tensor, scale: Tensor) -> Tensor:
    """Return the logits [B, m, S] of tokens `x` [B, m, D] and `phi` [D, S], times `scale` []."""
    logits: Tensor = _Cosines.apply(x, phi, scale)  # type: ignore[no-untyped-call]
    return logits


class _Cosines(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, phi: Tensor, scale: Tensor) -> Tensor:
        x_norm, phi_norm = _norm(x, -1), _norm(phi, 0)  # [B, m, 1], [1, S]
        ctx.save_for_backward(x, phi, scale, x_norm, phi_norm)
        unit_phi = phi * (scale / (phi_norm + EPSILON))
        return (x @ unit_phi).div_(x_norm + EPSILON)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, phi, scale, x_norm, phi_norm = ctx.saved_tensors
        a, inverse = 1 / (x_norm + EPSILON), 1 / (phi_norm + EPSILON)
        b = scale * inverse
        scaled = grad * a  # [B, m, S]
        dx = scaled @ (phi * b).t()
        dx.addcmul_(x, _along(x, dx, -1) * a / x_norm.clamp_min(_tiny(x)), value=-1)
        m = x.flatten(0, -2).t() @ scaled.flatten(0, -2)  # [D, S]
        along = _along(phi, m, 0)  # [1, S]
        dphi = (m * b).addcmul_(phi, along * b * inverse / phi_norm.clamp_min(_tiny(phi)), value=-1)
        return dx, dphi, (along * inverse).sum()


def _norm(v: Tensor, dim: int) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(v, dim=dim, keepdim=True)
    return norm


def _along(v: Tensor, gradient: Tensor, dim: int) -> Tensor:
    """Return the dot products of `v` and `gradient` along `dim`, which stays."""
    return (v * gradient).sum(dim, keepdim=True)


def _tiny(like: Tensor) -> float:
    """Return what stands in for a norm of 0, whose gradient is 0 as the vector is."""
    return torch.finfo(like.dtype).tiny
