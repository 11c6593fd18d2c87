"""Soft MoE: experts process slots, each a weighted average of all tokens of a sequence.

Puigcerver et al. 2023 (arXiv 2308.00951), equations 1 to 3 and section 2.3.

    logits = scale * l2norm(X) l2norm(Phi)                    [m, S]; l2norm(v) = v / (||v|| + 1e-6)
    D = softmax of logits over tokens     X~ = D^T X          [S, D]
    Y~[s] = FFN_e(X~[s]), e = s // P                          [S, D]
    C = softmax of logits over slots      Y = C Y~            [m, D]

Only the router sees normalised tokens. A sequence is a group: nothing crosses from one to another.

Backends: `reference` loops over the experts; `batched` is one batched product over them with B P rows each.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from harness.case import Case
from harness.layers import routing
from harness.layers.experts import Ffn, normal_
from harness.layers.interface import Layer, torch_dtype

EPSILON = 1e-6
"""Added to a norm before it divides (the paper's algorithm 2)."""


class Soft(Layer):
    """Soft MoE. Taps: logits [B, m, S], load [E] (slots of the batch), expert_output [B, S, D]; it makes no choice."""

    def __init__(self, case: Case, backend: str, device: str = "cpu") -> None:
        super().__init__(case, backend)
        assert case.experts is not None
        assert case.slots is not None
        self.experts, self.slots = case.experts, case.slots
        dtype = torch_dtype(case)
        self.phi = nn.Parameter(torch.empty(case.d_model, case.total_slots, dtype=dtype, device=device))
        self.scale = nn.Parameter(torch.empty((), dtype=dtype, device=device))
        self.ffn = Ffn(case, case.d_ff, case.experts, device)

    def initialise(self, generator: torch.Generator) -> None:
        """Draw all weights anew; the scale is 1."""
        normal_(self.phi, self.case.d_model**-0.5, generator)
        nn.init.ones_(self.scale)
        self.ffn.initialise(generator)

    def forward(self, x: Tensor) -> Tensor:
        """Return [B, m, D] for `x` [B, m, D]."""
        with self.phase("router"):
            logits = _l2norm(x, -1) @ (self.scale * _l2norm(self.phi, 0))  # [B, m, S]
            into, out = (routing.softmax(logits, dim).to(x.dtype) for dim in (1, 2))  # [B, m, S]
            if self.observer is not None:
                self.tap("logits", logits)
                self.tap("load", torch.full((self.experts,), len(x) * self.slots, device=x.device))
        with self.phase("dispatch"):
            slots = into.transpose(1, 2) @ x  # [B, S, D]
        with self.phase("experts"):
            rows = self._looped(slots) if self.backend == "reference" else self._batched(slots)
            self.tap("expert_output", rows)
        with self.phase("combine"):
            return out @ rows

    def _looped(self, slots: Tensor) -> Tensor:
        """Reference: expert by expert, each on its P slots of every sequence."""
        by_expert = torch.split(slots, self.slots, dim=1)  # E of [B, P, D]
        return torch.cat(self.ffn.looped(by_expert), dim=1)

    def _batched(self, slots: Tensor) -> Tensor:
        """Return [B, S, D]; with one slot an expert, or one sequence, both turns are views."""
        B, _, D = slots.shape
        rows = slots.view(B, self.experts, self.slots, D).transpose(0, 1).reshape(self.experts, B * self.slots, D)
        return self.ffn.batched(rows).view(self.experts, B, self.slots, D).transpose(0, 1).reshape(slots.shape)


def _l2norm(v: Tensor, dim: int) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(v, dim=dim, keepdim=True)
    return v / (norm + EPSILON)
