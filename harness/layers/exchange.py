"""Exchange: rows that ranks send each other, forward and backward, each message counted where it is handed over.

The backward pass of a move is the move back: the gradient of a row travels to the rank that the row came from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


class Exchange:
    """This rank's way to the others.

    Args:
        group: The ranks; None: all that there are.
        come: Called before each collective, so that whoever watches sees which rank has not come to it.
    """

    def __init__(self, group: dist.ProcessGroup | None = None, come: Callable[[], None] = lambda: None) -> None:
        self._group, self._come = group, come
        self.rank, self.ranks = dist.get_rank(group), dist.get_world_size(group)
        self.sent: list[list[int]] | None = None
        """Bytes handed over by receiver, exchange after exchange, while somebody counts; what stays here is none."""

    def counts(self, counts: Tensor) -> Tensor:
        """Return how many rows come [n, E / n] by sender and own expert, for `counts` [n, E / n] that go."""
        return self._swap(counts.contiguous(), [1] * self.ranks, [1] * self.ranks)

    def move(self, rows: Tensor, send: Sequence[int], receive: Sequence[int]) -> Tensor:
        """Return the rows [sum of receive, ..] that come, by sender, for `rows` [sum of send, ..] that go."""
        moved: Tensor = _Move.apply(rows, self, send, receive)  # type: ignore[no-untyped-call]
        return moved

    def add_up(self, gradients: Iterable[Tensor]) -> None:
        """Give every rank the sum of all ranks' `gradients`, in place."""
        own = list(gradients)
        if not own:
            return
        self._come()
        flat = torch.cat([gradient.flatten() for gradient in own])
        dist.all_reduce(flat, group=self._group)
        for gradient, total in zip(own, torch.split(flat, [gradient.numel() for gradient in own]), strict=True):
            gradient.copy_(total.view_as(gradient))

    def _swap(self, rows: Tensor, send: Sequence[int], receive: Sequence[int]) -> Tensor:
        self._come()
        came = rows.new_empty((sum(receive), *rows.shape[1:]))
        dist.all_to_all_single(came, rows, list(receive), list(send), group=self._group)
        if self.sent is not None:
            row_bytes = rows.shape[1:].numel() * rows.element_size()
            self.sent.append([count * row_bytes * (peer != self.rank) for peer, count in enumerate(send)])
        return came


class _Move(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, exchange: Exchange, send: Sequence[int], receive: Sequence[int]) -> Tensor:
        ctx.exchange, ctx.send, ctx.receive = exchange, send, receive
        return exchange._swap(rows.contiguous(), send, receive)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return ctx.exchange._swap(gradient.contiguous(), ctx.receive, ctx.send), None, None, None
