"""The feed-forward network, alone or as a bank of experts, and the ways to apply a bank to its rows.

Ungated: act(x W_1 + b_1) W_2 + b_2. Gated (Shazeer 2020, arXiv 2002.05202): (act(x W_g) * (x W_u)) W_2, without
biases; W_g and W_u stand in one tensor, gate first, so that both are one product.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.case import Case
from harness.declare.costs_peak import one_by_one
from harness.layers.interface import torch_dtype

BIAS_STD = 0.02
"""Biases are not zero, so that a check sees one that was left out."""

DRAWN_AT_ONCE = 1 << 22
"""Numbers drawn at a time where weights are not float32: bounds the float32 copy, and is a multiple of the 16 that
torch draws together, so that all dtypes get the same numbers."""

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"gelu": F.gelu, "relu": F.relu, "silu": F.silu}

IN_PLACE: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": torch.ops.aten.gelu_,
    "relu": partial(F.relu, inplace=True),
    "silu": partial(F.silu, inplace=True),
}


class Ffn(nn.Module):
    """One FFN (weights [D, H], [F, D]) or a bank of `experts` of them ([E, D, H], [E, F, D]); H is F, or 2 F if gated.

    `case` says the width D, the activation, the gate and the dtype; `d_ff` is F.
    """

    def __init__(self, case: Case, d_ff: int, experts: int | None = None, device: str = "cpu") -> None:
        super().__init__()
        self.activation, self.gated = case.activation, case.gated
        lead = () if experts is None else (experts,)
        empty = partial(torch.empty, dtype=torch_dtype(case), device=device)
        self.w1 = nn.Parameter(empty(*lead, case.d_model, 2 * d_ff if case.gated else d_ff))
        self.w2 = nn.Parameter(empty(*lead, d_ff, case.d_model))
        self.b1 = None if case.gated else nn.Parameter(empty(*lead, d_ff))
        self.b2 = None if case.gated else nn.Parameter(empty(*lead, case.d_model))

    @property
    def count(self) -> int:
        """Experts of the bank."""
        return len(self.w1)

    def initialise(self, generator: torch.Generator) -> None:
        """Draw all weights anew: lecun normal."""
        for weight in (self.w1, self.w2):
            normal_(weight, weight.shape[-2] ** -0.5, generator)
        for bias in (self.b1, self.b2):
            if bias is not None:
                normal_(bias, BIAS_STD, generator)

    def plain(self, rows: Tensor) -> Tensor:
        """Return the FFN of `rows` [R, D], as the equation has it."""
        return self._equation(rows, self.w1, self.w2, self.b1, self.b2)

    def looped(self, rows: Sequence[Tensor]) -> list[Tensor]:
        """Return each expert's FFN of its rows, E of [any, D], one expert after another."""
        return [expert(own) for expert, own in zip(self.alone(), rows, strict=True)]

    def alone(self) -> list[Callable[[Tensor], Tensor]]:
        """Return the experts one by one: E functions of rows [any, D]."""
        count = len(self.w1)
        weights = ([None] * count if w is None else w.unbind() for w in (self.w1, self.w2, self.b1, self.b2))
        return [partial(self._equation, w1=w1, w2=w2, b1=b1, b2=b2) for w1, w2, b1, b2 in zip(*weights, strict=True)]

    def _equation(self, rows: Tensor, w1: Tensor, w2: Tensor, b1: Tensor | None, b2: Tensor | None) -> Tensor:
        act = ACTIVATIONS[self.activation]
        if b1 is None or b2 is None:
            gate, up = (rows @ w1).chunk(2, dim=-1)  # [R, F] each
            return (act(gate) * up) @ w2
        return act(rows @ w1 + b1) @ w2 + b2

    def fused(self, rows: Tensor) -> Tensor:
        """Return the FFN of `rows` [R, D], biases inside the products."""
        if self.b1 is None or self.b2 is None:
            return self._activate(rows @ self.w1) @ self.w2
        return torch.addmm(self.b2, self._activate(torch.addmm(self.b1, rows, self.w1)), self.w2)

    def batched(self, rows: Tensor) -> Tensor:
        """Return each expert's FFN of its rows [E, R, D], as many for each."""
        if self.b1 is None or self.b2 is None:
            return torch.bmm(self._activate(torch.bmm(rows, self.w1)), self.w2)
        hidden = self._activate(torch.baddbmm(self.b1[:, None], rows, self.w1))  # [E, R, F]
        return torch.baddbmm(self.b2[:, None], hidden, self.w2)

    def gathered(self, rows: Tensor, expert: Tensor) -> Tensor:
        """Return the FFN of `rows` [R, D] by their `expert` [R], each with its own copy of the weights, [R, D, H].

        The copies are looked up, so that the gradients of one expert are summed in a fixed order on every device.
        """
        w1 = F.embedding(expert, self.w1.flatten(1)).view(-1, *self.w1.shape[1:])  # [R, D, H]
        w2 = F.embedding(expert, self.w2.flatten(1)).view(-1, *self.w2.shape[1:])  # [R, F, D]
        if self.b1 is None or self.b2 is None:
            return torch.bmm(self._activate(torch.bmm(rows[:, None], w1)), w2)[:, 0]
        hidden = torch.baddbmm(F.embedding(expert, self.b1)[:, None], rows[:, None], w1)  # [R, 1, F]
        return torch.baddbmm(F.embedding(expert, self.b2)[:, None], self._activate(hidden), w2)[:, 0]

    def grouped(self, rows: Tensor, expert: Tensor, ends: Tensor) -> Tensor:
        """Return the FFN of `rows` [R, D], sorted by `expert` [R]; `ends` [E] int32 says where each expert's end.

        Expert biases are looked up row by row: grouped_mm takes none, and the gradient of a lookup is a sum in a
        fixed order on every device. A forward pass on a CPU goes expert by expert where that is faster.
        """
        if self._is_faster_one_by_one(rows):
            return self._one_by_one(rows, ends.tolist())
        if self.b1 is None or self.b2 is None:
            return _grouped_mm(self._activate(_grouped_mm(rows, self.w1, ends)), self.w2, ends)
        hidden = self._activate(_grouped_mm(rows, self.w1, ends).add_(F.embedding(expert, self.b1)))  # [R, F]
        return _grouped_mm(hidden, self.w2, ends).add_(F.embedding(expert, self.b2))

    def _is_faster_one_by_one(self, rows: Tensor) -> bool:
        """Return whether expert by expert beats the grouped products, themselves a loop over the experts there."""
        needs_gradients = torch.is_grad_enabled() and (rows.requires_grad or self.w1.requires_grad)
        if needs_gradients or rows.device.type != "cpu" or torch.compiler.is_compiling():
            return False
        return one_by_one(self.gated, rows.element_size(), len(rows), len(self.w1))

    def _one_by_one(self, rows: Tensor, ends: list[int]) -> Tensor:
        """Return the FFN of sorted `rows` [R, D], each expert's in one go; without gradients."""
        out = torch.empty_like(rows)
        for expert, (start, end) in enumerate(pairwise([0, *ends])):
            own, done = rows[start:end], out[start:end]
            if start == end:
                continue
            if self.b1 is None or self.b2 is None:
                torch.mm(self._activate(own @ self.w1[expert]), self.w2[expert], out=done)
            else:
                hidden = torch.addmm(self.b1[expert], own, self.w1[expert])
                torch.addmm(self.b2[expert], self._activate(hidden), self.w2[expert], out=done)
                del hidden  # before the next expert's comes
        return out

    def _activate(self, hidden: Tensor) -> Tensor:
        """Return the activation of `hidden` [.., H], gated where the FFN is; in place without gradients."""
        if self.gated:
            gate, up = hidden.chunk(2, dim=-1)
            opened = ACTIVATIONS[self.activation](gate)
            return opened * up if hidden.requires_grad else opened.mul_(up)
        return (ACTIVATIONS if hidden.requires_grad else IN_PLACE)[self.activation](hidden)


def normal_(weight: Tensor, std: float, generator: torch.Generator, *, mean: float = 0.0) -> None:
    """Fill `weight` with a normal of `std`, drawn in float32 whatever its dtype, so that dtypes differ by rounding."""
    with torch.no_grad():
        if weight.dtype == torch.float32:
            weight.normal_(mean, std, generator=generator)
            return
        for part in torch.split(weight.view(-1), DRAWN_AT_ONCE):
            part.copy_(torch.empty_like(part, dtype=torch.float32).normal_(mean, std, generator=generator))


_PUBLIC: Callable[..., Tensor] | None = getattr(F, "grouped_mm", None)
_GROUPED: Callable[..., Tensor] = _PUBLIC if _PUBLIC is not None else torch._grouped_mm


def _grouped_mm(rows: Tensor, weights: Tensor, ends: Tensor) -> Tensor:
    """Return `rows` [R, D] times, group by group, `weights` [E, D, F]: [R, F].

    torch's grouped_mm knows no float64; there a loop over the experts stands in, which waits for the device.
    """
    if rows.dtype != torch.float64:
        return _GROUPED(rows, weights, offs=ends)
    stops = ends.tolist()
    parts = zip([0, *stops[:-1]], stops, weights, strict=True)
    return torch.cat([rows[start:stop] @ weight for start, stop, weight in parts])
