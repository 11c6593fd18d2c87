"""ScatterMoE's gated experts (Tan et al. 2024, arXiv 2403.08245; package scattermoe), on CUDA, behind our router.

`scattermoe.mlp.GLUMLP(x, gates, choice)` has no router of its own. It keeps `experts.weight` [E, 2 F, D], of which the
first half is multiplied and the second activated, and `output_experts.weight` [E, D, F]. Its kernels are Triton's.

Written from its documented interface and not yet run on a GPU: the check there, which compares it with float64 before
anything is timed, decides.
"""

from __future__ import annotations

import torch
from scattermoe.mlp import GLUMLP
from torch import Tensor, nn

from harness.case import Case
from harness.layers import routing
from harness.layers.adapters.base import Adapter
from harness.layers.experts import ACTIVATIONS
from harness.layers.gates import GATES
from harness.layers.interface import torch_dtype


class ScatterMoe(Adapter):
    """`GLUMLP` with the router of our token choice before it."""

    def __init__(self, case: Case, backend: str, device: str = "cpu") -> None:
        super().__init__(case, backend)
        dtype = torch_dtype(case)
        self.router = nn.Parameter(torch.empty(case.d_model, self.experts, dtype=dtype, device=device))
        with torch.device(device):
            self.block = GLUMLP(
                input_size=case.d_model,
                hidden_size=case.d_ff,
                num_experts=self.experts,
                top_k=self.top_k,
                activation=ACTIVATIONS[case.activation],
            ).to(dtype)
        self.remarks.append("scattermoe has experts alone: the router is ours")

    def ours(self) -> dict[str, tuple[Tensor, ...]]:
        """Return our router and its experts: the first product's halves stand the other way round."""
        up, gate = self.block.experts.weight.transpose(1, 2).chunk(2, -1)  # [E, D, F] each
        return {
            "router": (self.router,),
            "ffn.w1": (gate, up),
            "ffn.w2": (self.block.output_experts.weight.transpose(1, 2),),
        }

    def forward(self, x: Tensor) -> Tensor:
        """Return [B, m, D] for `x` [B, m, D]."""
        tokens = x.flatten(0, -2)  # [T, D]
        with self.phase("router"):
            gate = GATES[self.case.gate or "renormalised"]
            logits = tokens @ self.router  # [T, E]
            scores = gate.rank(logits)  # [T, E]
            choice = routing.top_k(scores, self.top_k)  # [T, K]
            gates = gate.weigh(scores.gather(-1, choice))  # [T, K]
            if self.watched:
                self.show(logits, choice)
        with self.phase("experts"):
            y: Tensor = self.block(tokens, gates.to(x.dtype), choice)
        return y.view_as(x)
