"""Moves: tokens to the rows of their experts and back, each a gather in both passes.

Which rows a token has is known where rows are laid out, so the gradient of a gather need not be added up where it
happens to arrive (atomics on CUDA), nor be sorted anew (torch's backward of `embedding`): it is a gather again, from
the other side. Sums run in a fixed order, so that two runs agree to the last bit.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Back(NamedTuple):
    """The way back: the rows of each token."""

    row: Tensor
    """[T, K]; or [R], token after token, where they have different numbers of rows."""
    starts: Tensor | None = None
    """[T] where the rows of each token start in a `row` [R]; a token without rows starts where the next one does."""


def ragged(token: Tensor, tokens: int) -> Back:
    """Return the way back for rows whose tokens are `token` [R], any number of rows for each of `tokens` tokens."""
    owner, order = token.sort(stable=True)
    return Back(order, torch.searchsorted(owner, torch.arange(tokens, device=token.device)))


def dispatch(tokens: Tensor, token: Tensor, back: Back, kept: Tensor | None = None) -> Tensor:
    """Return the rows `tokens[token]` [R, D] of `tokens` [T, D]; no gradient comes over assignments not `kept`."""
    weights = None if kept is None else kept.to(tokens.dtype)
    rows: Tensor = _Dispatch.apply(tokens, token, *back, weights)  # type: ignore[no-untyped-call]
    return rows


def combine(rows: Tensor, token: Tensor, back: Back, gates: Tensor) -> Tensor:
    """Return for each token the sum of its rows of `rows` [R, D], each times its gate: [T, D].

    `gates` are shaped like `back.row`; where two assignments name one row, all but one of their gates are 0. One fused
    gather, product and sum, with no [T, K, D] in between; a token without rows gets exactly 0.
    """
    y: Tensor = _Combine.apply(rows, token, *back, gates)  # type: ignore[no-untyped-call]
    return y


def _sum(rows: Tensor, row: Tensor, starts: Tensor | None, weights: Tensor | None) -> Tensor:
    return F.embedding_bag(row, rows, starts, per_sample_weights=weights, mode="sum")


class _Dispatch(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, tokens: Tensor, token: Tensor, row: Tensor, starts: Tensor | None, weights: Tensor | None
    ) -> Tensor:
        ctx.save_for_backward(row, starts, weights)
        return tokens.index_select(0, token)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        return _sum(grad.contiguous(), *ctx.saved_tensors), None, None, None, None


class _Combine(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, token: Tensor, row: Tensor, starts: Tensor | None, gates: Tensor) -> Tensor:
        ctx.save_for_backward(rows, token, row, gates)
        return _sum(rows, row, starts, gates)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        rows, token, row, gates = ctx.saved_tensors
        moved = grad.index_select(0, token)  # [R, D]
        of_gates = (moved * rows).sum(-1)[row] if ctx.needs_input_grad[4] else None
        # duplicates add zeros alone, so the order in which they are added does not show
        gate = gates.new_zeros(len(rows)).scatter_add_(0, row.flatten(), gates.flatten())  # [R]
        return moved.mul_(gate[:, None]), None, None, None, of_gates
