"""Layers that do what a claim denies, each beside one that does not; `planted.toml` beside it makes the claims."""

from __future__ import annotations

import time

import torch
from torch import Tensor, nn

from harness.case import Case


class Honest(nn.Module):
    """A dense FFN: experts and neighbours change nothing of it, and memory follows the tokens."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        self.into, self.out = nn.Linear(case.d_model, case.d_ff), nn.Linear(case.d_ff, case.d_model)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.out(self.into(x).relu())
        return y


def honest(case: Case) -> nn.Module:
    return Honest(case)


class Repeats(Honest):
    """Runs once for every expert: time and FLOPs grow with experts that do nothing else."""

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self.experts = case.experts or 1

    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        for _ in range(self.experts - 1):
            y = y + 0.0 * super().forward(x)
        return y


def repeats(case: Case) -> nn.Module:
    return Repeats(case)


NAP = 0.005
"""Seconds: long beside what other work on the machine takes from a pass, so that what is found hangs on the layer."""


class Waits(Honest):
    """Takes a nap, or several."""

    def __init__(self, case: Case, naps: int) -> None:
        super().__init__(case)
        self.seconds = NAP * naps

    def forward(self, x: Tensor) -> Tensor:
        time.sleep(self.seconds)
        return super().forward(x)


def steady(case: Case) -> nn.Module:
    """Takes the same time with any number of experts."""
    return Waits(case, 1)


def waits(case: Case) -> nn.Module:
    """Takes time for every expert."""
    return Waits(case, case.experts or 1)


class Hoards(Honest):
    """Keeps a copy of its input for every expert until it is done."""

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self.experts = case.experts or 1

    def forward(self, x: Tensor) -> Tensor:
        copies = x.expand(64 * self.experts, *x.shape).clone()
        return super().forward(x) + 0.0 * copies[0]


def hoards(case: Case) -> nn.Module:
    return Hoards(case)


class AllPairs(Honest):
    """Writes down every pair of tokens of the batch."""

    def forward(self, x: Tensor) -> Tensor:
        rows = x.flatten(0, 1)
        pairs = torch.cdist(rows, rows)
        return super().forward(x) + 0.0 * pairs.sum()


def all_pairs(case: Case) -> nn.Module:
    return AllPairs(case)


class Couples(Honest):
    """Adds the mean of the whole batch to every token."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + x.mean()


def couples(case: Case) -> nn.Module:
    return Couples(case)
