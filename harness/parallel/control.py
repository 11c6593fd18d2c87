"""Control: what ranks say to each other beside the rows; small things, on the host, over gloo whatever the device."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor

FOREVER = timedelta(days=30)
"""Ranks wait for visits as long as there are none; the owner looks after those that hang."""


class Control:
    """This rank's voice among the others.

    Args:
        come: Called before each meeting of the ranks.
    """

    def __init__(self, come: Callable[[], None]) -> None:
        self._come = come
        self.rank, self.ranks = dist.get_rank(), dist.get_world_size()
        self._group = dist.new_group(backend="gloo", timeout=FOREVER)

    def share(self, text: bytes) -> bytes:
        """Return what rank 0 says; what the others say is not heard."""
        self._come()
        length = torch.tensor([len(text)])
        dist.broadcast(length, 0, group=self._group)
        content = torch.empty(int(length), dtype=torch.uint8)
        if self.rank == 0:
            content.copy_(_as_bytes(text))
        if len(content):
            dist.broadcast(content, 0, group=self._group)
        return bytes(content.tolist())

    def collect(self, text: bytes) -> list[bytes]:
        """Return what each rank says, by rank."""
        lengths = self.gather(torch.tensor([len(text)])).flatten().tolist()
        padded = torch.zeros(max(lengths), dtype=torch.uint8)
        padded[: len(text)] = _as_bytes(text)
        told = self.gather(padded)
        return [bytes(own[:length].tolist()) for own, length in zip(told, lengths, strict=True)]

    def gather(self, tensor: Tensor) -> Tensor:
        """Return the `tensor` of each rank, all of one shape and any dtype: [n, ..], on the host."""
        self._come()
        own = tensor.detach().cpu().contiguous().flatten().view(torch.uint8)
        each = [torch.empty_like(own) for _ in range(self.ranks)]
        dist.all_gather(each, own, group=self._group)
        return torch.stack(each).flatten().view(tensor.dtype).view(self.ranks, *tensor.shape)

    def most(self, *numbers: float) -> list[float]:
        """Return the largest of each of `numbers` over the ranks."""
        self._come()
        largest = torch.tensor(numbers, dtype=torch.float64)
        dist.all_reduce(largest, dist.ReduceOp.MAX, group=self._group)
        return [float(number) for number in largest]

    def meet(self) -> None:
        """Return when all ranks have come."""
        self._come()
        dist.barrier(group=self._group)


def _as_bytes(text: bytes) -> Tensor:
    return torch.frombuffer(bytearray(text), dtype=torch.uint8) if text else torch.empty(0, dtype=torch.uint8)
