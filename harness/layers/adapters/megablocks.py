"""MegaBlocks' dropless MoE (Gale et al. 2022, arXiv 2211.15841; package megablocks), on CUDA.

`megablocks.layers.dmoe.dMoE` with gated experts by grouped GEMM (`mlp_type="glu"`, `mlp_impl="grouped"`), which its
README has as the faster one on Hopper, and which newer Tritons leave as the only one. Its experts keep three matrices
[E F, D]: `w1` is activated, `v1` multiplies it, `w2` leads back. Its grouped GEMM copies the loads to the host, so its
forward waits for the device.

Written from its documented interface and not yet run on a GPU: the check there, which compares it with float64 before
anything is timed, decides.
"""

from __future__ import annotations

from typing import Any

import torch
from megablocks.layers.arguments import Arguments
from megablocks.layers.dmoe import dMoE
from torch import Tensor, nn

from harness.case import Case
from harness.layers.adapters.base import Adapter
from harness.layers.experts import ACTIVATIONS


class MegaBlocks(Adapter):
    """`dMoE`, which in training mode would keep a load-balance loss from every call."""

    def __init__(self, case: Case, backend: str, device: str = "cpu") -> None:
        super().__init__(case, backend)
        self.block = dMoE(
            Arguments(
                hidden_size=case.d_model,
                ffn_hidden_size=case.d_ff,
                bias=False,
                return_bias=False,
                activation_fn=ACTIVATIONS[case.activation],
                moe_num_experts=self.experts,
                moe_top_k=self.top_k,
                moe_normalize_expert_weights=None if case.gate == "softmax" else 1,
                mlp_type="glu",
                mlp_impl="grouped",
                fp16=case.dtype == "float16",
                bf16=case.dtype == "bfloat16",
                device=torch.device(device),
            )
        )

    def ours(self) -> dict[str, tuple[Tensor, ...]]:
        """Return router and experts, each [E F, D] seen as E matrices."""
        bank, shape = self.block.experts.mlp, (self.experts, self.case.d_ff, self.case.d_model)
        gate, up = (weight.view(shape).transpose(1, 2) for weight in (bank.w1, bank.v1))
        return {
            "router": (self.block.router.layer.weight.t(),),
            "ffn.w1": (gate, up),
            "ffn.w2": (bank.w2.view(shape),),
        }

    def marked(self) -> tuple[nn.Module, nn.Module]:
        """Return the router, and the experts with what moves tokens to them and back."""
        return self.block.router, self.block.experts

    def decided(self, out: Any) -> tuple[Tensor, Tensor]:
        """Return the logits, up to a constant, and the choice: probabilities [T, E] come first, choices last."""
        return out[0].detach().log(), out[-1].view(-1, self.top_k).long()
