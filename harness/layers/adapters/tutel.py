"""Tutel's MoE layer (Hwang et al. 2022, arXiv 2206.03382; package tutel), on CUDA, dropless.

`tutel.moe.moe_layer` with `capacity_factor = 0`, which gives every expert the room of the busiest: it multiplies empty
rows, which `flops_executed` does not count. Gate, dispatch and combine are its own, with kernels that it compiles; the
experts are its custom ones (`experts={"type": "custom"}`): two batched products, gated.

Written from its documented interface and not yet run on a GPU: the check there, which compares it with float64 before
anything is timed, decides.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from tutel import moe

from harness.case import Case
from harness.layers.adapters.base import Adapter
from harness.layers.experts import ACTIVATIONS
from harness.layers.interface import torch_dtype


class Gated(nn.Module):
    """Gated experts as Tutel calls them: [E, C, D] to [E, C, D], C rows an expert."""

    def __init__(self, model_dim: int, local_experts: int, sharded_count: int, d_ff: int, activation: str) -> None:
        super().__init__()
        assert sharded_count == 1, "one device holds every expert"
        self.activation = activation
        self.w1 = nn.Parameter(torch.empty(local_experts, model_dim, 2 * d_ff))
        self.w2 = nn.Parameter(torch.empty(local_experts, d_ff, model_dim))

    def forward(self, rows: Tensor, _layer: nn.Module) -> Tensor:
        """Return the experts' outputs."""
        gate, up = torch.bmm(rows, self.w1).chunk(2, -1)
        return torch.bmm(ACTIVATIONS[self.activation](gate) * up, self.w2)


class Tutel(Adapter):
    """`moe_layer` of one device."""

    def __init__(self, case: Case, backend: str, device: str = "cpu") -> None:
        super().__init__(case, backend)
        experts = {"type": "custom", "module": Gated, "d_ff": case.d_ff, "activation": case.activation}
        with torch.device(device):
            self.block = moe.moe_layer(
                gate_type={"type": "top", "k": self.top_k, "capacity_factor": 0.0},
                model_dim=case.d_model,
                experts={**experts, "count_per_node": self.experts},
                normalize_gate=case.gate != "softmax",
            ).to(torch_dtype(case))
        self.remarks.append("tutel pads every expert to the busiest one's rows, which flops_executed does not count")

    def ours(self) -> dict[str, tuple[Tensor, ...]]:
        """Return its gate, and the experts as they are."""
        bank = self.block.experts
        return {"router": (self.block.gates[0].wg.weight.t(),), "ffn.w1": (bank.w1,), "ffn.w2": (bank.w2,)}

    def marked(self) -> tuple[nn.Module, nn.Module]:
        """Return the gate and the experts; what is between them is dispatch and combine, and nobody's phase."""
        return self.block.gates[0], self.block.experts

    def decided(self, out: Any) -> tuple[Tensor, Tensor]:
        """Return the gate's logits [T, E], and the choice that the layer makes of their softmax."""
        return out.detach(), out.softmax(-1).topk(self.top_k, dim=-1).indices
