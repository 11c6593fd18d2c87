"""Spread: a layer's experts over ranks, each rank with its own tokens (GShard, Lepikhin et al. 2020, section 3.2).

Of n ranks, rank r holds the experts r E / n to (r + 1) E / n; what stands around the experts is on every rank. A layer
routes its own tokens as it does alone, and hands their rows to its bank of experts: there they travel to the ranks of
their experts and back. So nothing of a layer is written twice, and each rank's output is that of the layer on one
device for its sequences, to rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from harness.case import Case
from harness.layers.exchange import Exchange
from harness.layers.expert_choice import ExpertChoice
from harness.layers.experts import Ffn
from harness.layers.interface import Layer, Phase
from harness.layers.soft import Soft
from harness.layers.token_choice import TokenChoice

Phases = Callable[[Phase], AbstractContextManager[None]]


class SpreadFfn(Ffn):
    """A bank of experts of which this rank holds its part: weights [E / n, D, H], [E / n, F, D].

    Its rows are those of all E experts, as those of any bank; the phases inside are `exchange`, and `dispatch` and
    `combine` for what is put in order between the ranks.
    """

    def __init__(self, case: Case, whole: Ffn, exchange: Exchange, phase: Phases) -> None:
        own = whole.count // exchange.ranks
        super().__init__(case, case.d_ff, own, str(whole.w1.device))
        self._exchange, self._phase = exchange, phase
        part = slice(exchange.rank * own, (exchange.rank + 1) * own)
        with torch.no_grad():
            for weight, of_all in zip(self.parameters(), whole.parameters(), strict=True):
                weight.copy_(of_all[part])

    @property
    def count(self) -> int:
        """Experts on all ranks together."""
        return len(self.w1) * self._exchange.ranks

    def batched(self, rows: Tensor) -> Tensor:
        """Return each expert's FFN of its rows [E, R, D], as many for each: messages of one size."""
        n, own, R, D = self._exchange.ranks, len(self.w1), rows.shape[1], rows.shape[2]
        each = [own * R] * n
        with self._phase("exchange"):
            rows = self._exchange.move(rows.reshape(-1, D), each, each)
        with self._phase("dispatch"):
            rows = rows.view(n, own, R, D).transpose(0, 1).reshape(own, n * R, D)
        rows = super().batched(rows)
        with self._phase("combine"):
            rows = rows.view(own, n, R, D).transpose(0, 1).reshape(-1, D)
        with self._phase("exchange"):
            return self._exchange.move(rows, each, each).view(n * own, R, D)

    def grouped(self, rows: Tensor, expert: Tensor, ends: Tensor) -> Tensor:
        """Return the FFN of `rows` [R, D], sorted by expert; `ends` [E] int32 says where each expert's end.

        How many rows come must be known before they do: ranks tell each other, and wait for the device.
        """
        going = torch.diff(ends.long(), prepend=ends.new_zeros(1, dtype=torch.long)).view(self._exchange.ranks, -1)
        with self._phase("exchange"):
            coming = self._exchange.counts(going)  # [n, E / n]
            send, receive = going.sum(1).tolist(), coming.sum(1).tolist()
            rows = self._exchange.move(rows, send, receive)
        with self._phase("dispatch"):
            own = torch.arange(coming.shape[1], device=rows.device).repeat(len(coming))
            own, order = own.repeat_interleave(coming.flatten()).sort(stable=True)
            rows = rows.index_select(0, order)
        if len(rows):
            rows = super().grouped(rows, own, coming.sum(0).cumsum(0).to(torch.int32))
        with self._phase("combine"):
            rows = rows.index_select(0, order.argsort())
        with self._phase("exchange"):
            return self._exchange.move(rows, receive, send)


def spread(layer: Layer, exchange: Exchange) -> None:
    """Leave on this rank its part of the experts of `layer`, which is built whole."""
    assert isinstance(layer, TokenChoice | ExpertChoice | Soft)
    layer.ffn = SpreadFfn(layer.case, layer.ffn, exchange, layer.phase)


def replicated(layer: Layer) -> list[nn.Parameter]:
    """Return the weights of a spread `layer` that stand on every rank: router, Phi and scale, shared experts."""
    return [weight for name, weight in layer.named_parameters() if not name.startswith("ffn.")]
