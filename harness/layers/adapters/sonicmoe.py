"""SonicMoE (Guo et al. 2025, arXiv 2512.14080; package sonic-moe), on Hopper and Blackwell.

`sonicmoe.MoE` keeps `c_fc.weight` [E, 2 F, D] with the rows of gate and up in turn, `c_proj.weight` [E, D, F] and a
router of its own; gates are the softmax over the chosen logits. Its forward works out a load-balance loss too, which
counts in its time.

Written from its documented interface and not yet run on a GPU: the check there, which compares it with float64 before
anything is timed, decides.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from sonicmoe import KernelBackendMoE, MoE
from sonicmoe.enums import ActivationType
from torch import Tensor

from harness.case import Case
from harness.layers.adapters.base import Adapter
from harness.layers.interface import torch_dtype


class SonicMoe(Adapter):
    """`MoE` with SwiGLU experts, by its own kernels."""

    def __init__(self, case: Case, backend: str, device: str = "cpu") -> None:
        super().__init__(case, backend)
        with torch.device(device):
            self.block = MoE(
                num_experts=self.experts,
                num_experts_per_tok=self.top_k,
                hidden_size=case.d_model,
                intermediate_size=case.d_ff,
                activation_function=ActivationType.SWIGLU,
                add_bias=False,
                std=0.02,
            ).to(torch_dtype(case))
        self.remarks.append("its forward works out a load-balance loss too")

    def ours(self) -> dict[str, tuple[Tensor, ...]]:
        """Return router and experts: even rows of the first product are the gate, odd ones the up half."""
        first = self.block.c_fc.weight.transpose(1, 2)  # [E, D, 2 F]
        return {
            "router": (self.block.router.weight.t(),),
            "ffn.w1": (first[..., ::2], first[..., 1::2]),
            "ffn.w2": (self.block.c_proj.weight.transpose(1, 2),),
        }

    def forward(self, x: Tensor) -> Tensor:
        """Return [B, m, D] for `x` [B, m, D]."""
        if self.watched:  # its router is fused: what it chooses is worked out again, from the same logits
            logits = F.linear(x.flatten(0, -2), self.block.router.weight)
            self.show(logits, logits.topk(self.top_k, dim=-1).indices)
        y: Tensor = self.block(x, kernel_backend_moe=KernelBackendMoE.sonicmoe, is_inference_mode=not self.case.trains)[
            0
        ]
        return y
