"""The subject of one rank: its experts, its sequences of the batch, gradients summed where all hold the weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from harness.case import Case
from harness.declare.parallel import of_rank, on_one_device
from harness.layers import build
from harness.layers.exchange import Exchange
from harness.layers.interface import Assignment
from harness.layers.spread import replicated, spread
from harness.probes.subject import LEARNING_RATE, Subject, make_subject

HOST = "cpu"


@dataclass(slots=True, kw_only=True)
class RankSubject(Subject):
    """What one rank measures; its case is that of its own sequences."""

    exchange: Exchange

    def backward(self, y: Tensor) -> None:
        """Do the backward pass, and sum over the ranks the gradients of the weights that all of them hold.

        Without that sum a rank would have its own tokens' share alone, and its weights would part from the others'.
        """
        Subject.backward(self, y)
        self.exchange.add_up(own.grad for own in replicated(self.layer) if own.grad is not None)


def whole_subject(case: Case, seed: int, folders: Sequence[str] = ()) -> Subject:
    """Return `case` on one device, the host: the same weights and input as all ranks together have.

    All weights and inputs are drawn there, so that every device gets the same.
    """
    alone = on_one_device(case)
    return make_subject(alone, build(alone, seed=seed, device=HOST), seed=seed, folders=folders)


def rank_subject(
    case: Case, seed: int, folders: Sequence[str], exchange: Exchange, device: str, in_turn: Callable[[], None]
) -> RankSubject:
    """Return this rank's part of `case` on `device`.

    `in_turn` is called once for each rank: they draw the whole layer one after another, so that the host never holds
    more than one.
    """
    for turn in range(exchange.ranks):
        if turn == exchange.rank:
            whole = whole_subject(replace(case, pass_="forward"), seed, folders)
            spread(whole.layer, exchange)
        in_turn()
    own = slice(exchange.rank * case.batch // exchange.ranks, (exchange.rank + 1) * case.batch // exchange.ranks)
    local = of_rank(on_one_device(case))
    layer = whole.layer.to(device)
    layer.adopt(local, layer.backend)
    for weight in layer.parameters():
        weight.requires_grad_(case.trains)
    x = whole.x[own].to(device).detach().clone().requires_grad_(case.trains)
    optimizer = None
    if case.pass_ == "train":
        optimizer = torch.optim.AdamW(layer.parameters(), lr=LEARNING_RATE, fused=True)
    subject = RankSubject(
        local, layer, x, whole.upstream[own].to(device), optimizer, assigned=_own(whole, own, device), exchange=exchange
    )
    subject.assign()
    return subject


def _own(whole: Subject, sequences: slice, device: str) -> tuple[Assignment | None, ...]:
    """Return the part of an assignment that is about this rank's `sequences`."""
    tokens = slice(*(end * whole.case.tokens for end in (sequences.start, sequences.stop)))
    return tuple(
        None if said is None else Assignment(*(part[tokens].to(device) for part in said)) for said in whole.assigned
    )
