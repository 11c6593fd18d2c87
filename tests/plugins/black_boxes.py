"""Layers of somebody else's, each with its own way to be right or wrong; `boxes.toml` beside it names them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from harness.case import Case
from harness.layers.interface import Unsupported


class Ffn(nn.Module):
    """A dense FFN, and `after`, which does something to its output."""

    def __init__(self, case: Case, after: Callable[[Tensor], Any] = lambda y: y) -> None:
        super().__init__()
        self.into, self.out = nn.Linear(case.d_model, case.d_ff), nn.Linear(case.d_ff, case.d_model)
        self.after = after

    def forward(self, x: Tensor) -> Any:
        return self.after(self.out(self.into(x).relu()))


def good(case: Case) -> nn.Module:
    return Ffn(case)


class HiddenCopy(nn.Module):
    """Sums all tokens by a product whose first operand is one column seen T times; its kernel makes a copy of that."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        self.column = nn.Parameter(torch.ones(case.batch * case.tokens, 1))

    def forward(self, x: Tensor) -> Tensor:
        rows = x.flatten(0, 1)
        return (self.column.expand(-1, len(rows)) @ rows).view_as(x)


def hidden_copy(case: Case) -> nn.Module:
    return HiddenCopy(case)


def without_weights(case: Case) -> nn.Module:
    return nn.Identity()


def shape(case: Case) -> nn.Module:
    return Ffn(case, lambda y: y[:, :-1])


def dtype(case: Case) -> nn.Module:
    return Ffn(case, lambda y: y.half())


def not_a_number(case: Case) -> nn.Module:
    return Ffn(case, lambda y: y * float("nan"))


def pair(case: Case) -> nn.Module:
    return Ffn(case, lambda y: (y, y.sum()))


def raises(case: Case) -> nn.Module:
    return Ffn(case, _trouble)


def _trouble(y: Tensor) -> Tensor:
    raise ValueError("trouble of its own\nin two lines")


def declines(case: Case) -> nn.Module:
    raise Unsupported(f"it has no {case.dtype}")


class Writes(Ffn):
    def forward(self, x: Tensor) -> Any:
        with torch.no_grad():
            x.mul_(1.0)
        return super().forward(x)


def writes(case: Case) -> nn.Module:
    return Writes(case)


class Stubborn(Ffn):
    """Couples its rows, and cannot be cast."""

    def __deepcopy__(self, memo: object) -> Stubborn:
        raise RuntimeError("there is one of me")

    def forward(self, x: Tensor) -> Any:
        return super().forward(x) + x.mean()


def stubborn(case: Case) -> nn.Module:
    return Stubborn(case)


class Coupled(Ffn):
    def forward(self, x: Tensor) -> Any:
        return super().forward(x) + x.mean()


def coupled(case: Case) -> nn.Module:
    return Coupled(case)


class Random(Ffn):
    def forward(self, x: Tensor) -> Any:
        return super().forward(x) + torch.rand_like(x)


def random(case: Case) -> nn.Module:
    return Random(case)


class Half(nn.Module):
    """Has chosen its own format, and keeps it."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        self.ffn = Ffn(case).bfloat16()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.ffn(x.bfloat16()).to(x.dtype)
        return y


def half(case: Case) -> nn.Module:
    return Half(case)


def no_module(case: Case) -> dict[str, int]:
    return {"d_model": case.d_model}


NUMBER = 3
