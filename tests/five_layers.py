"""Five ways to write a Mixture-of-Experts layer, of which FLOP counters get most wrong; E=8 K=2 D=64 H=128 T=256 S=4.

Matrix products alone, 2 a multiply-add: the router 2TDE and the experts 4KTDH, or with N = ES slots the three mixings
6TDN and the experts 4NDH. Each takes x [T, D].
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

E, K, D, H, T, S = 8, 2, 64, 128, 256, 4
N = E * S
SPARSE = 2 * T * D * E + 4 * K * T * D * H
SOFT = 6 * T * D * N + 4 * N * D * H


class Loop(nn.Module):
    """Top-2, each expert a pair of `nn.Linear` over the rows that chose it."""

    def __init__(self) -> None:
        super().__init__()
        self.router = nn.Linear(D, E, bias=False)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(D, H, bias=False), nn.ReLU(), nn.Linear(H, D, bias=False)) for _ in range(E)
        )

    def forward(self, x: Tensor) -> Tensor:
        gates, choice = self.router(x).softmax(-1).topk(K)
        y = torch.zeros_like(x)
        for index, expert in enumerate(self.experts):
            token, place = (choice == index).nonzero(as_tuple=True)
            y = y.index_add(0, token, expert(x[token]) * gates[token, place, None])
        return y


class Stacked(nn.Module):
    """Weights in 3-D parameters; the choice is dealt round, so that each expert gets K T / E rows."""

    def __init__(self) -> None:
        super().__init__()
        self.router = nn.Linear(D, E, bias=False)
        self.w1 = nn.Parameter(torch.randn(E, D, H) / D**0.5)
        self.w2 = nn.Parameter(torch.randn(E, H, D) / H**0.5)

    def forward(self, x: Tensor) -> Tensor:
        choice = torch.arange(T * K).remainder(E).view(T, K)
        gates = self.router(x).softmax(-1).gather(1, choice).flatten()
        order = choice.flatten().argsort(stable=True)
        rows = self.through(x[order // K])
        return torch.zeros_like(x).index_add(0, order // K, rows * gates[order, None])

    def through(self, rows: Tensor) -> Tensor:
        """Return the experts' outputs of rows [K T, D] that are sorted by expert."""
        hidden = torch.bmm(rows.view(E, -1, D), self.w1).relu()
        return torch.bmm(hidden, self.w2).view(-1, D)


class Grouped(Stacked):
    """The same by grouped_mm."""

    def through(self, rows: Tensor) -> Tensor:
        ends = torch.arange(1, E + 1, dtype=torch.int32) * (T * K // E)
        return torch._grouped_mm(torch._grouped_mm(rows, self.w1, ends).relu(), self.w2, ends)


class SoftEinsum(nn.Module):
    """Soft MoE as its paper's listing writes it."""

    def __init__(self) -> None:
        super().__init__()
        self.phi = nn.Parameter(torch.randn(D, N) / D**0.5)
        self.w1 = nn.Parameter(torch.randn(E, D, H) / D**0.5)
        self.w2 = nn.Parameter(torch.randn(E, H, D) / H**0.5)

    def forward(self, x: Tensor) -> Tensor:
        logits = torch.einsum("td,dn->tn", x, self.phi)
        slots = torch.einsum("tn,td->nd", logits.softmax(0), x).view(E, S, D)
        hidden = torch.einsum("esd,edh->esh", slots, self.w1).relu()
        rows = torch.einsum("esh,ehd->esd", hidden, self.w2).reshape(N, D)
        return torch.einsum("tn,nd->td", logits.softmax(1), rows)


class SoftMatmul(SoftEinsum):
    """The same by `@`."""

    def forward(self, x: Tensor) -> Tensor:
        logits = x @ self.phi
        slots = (logits.softmax(0).T @ x).view(E, S, D)
        rows = ((slots @ self.w1).relu() @ self.w2).reshape(N, D)
        return logits.softmax(1) @ rows


LAYERS: dict[str, tuple[type[nn.Module], int]] = {
    "loop of nn.Linear": (Loop, SPARSE),
    "bmm on 3-D parameters": (Stacked, SPARSE),
    "grouped_mm": (Grouped, SPARSE),
    "Soft MoE, einsum": (SoftEinsum, SOFT),
    "Soft MoE, @": (SoftMatmul, SOFT),
}
"""Each with its true FLOPs."""
