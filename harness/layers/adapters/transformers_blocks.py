"""transformers' MoE blocks: Mixtral's where gates are renormalised, Qwen3-MoE's where they are the raw probabilities.

Hugging Face transformers 5 (`models/mixtral`, `models/qwen3_moe`, `integrations/moe.py`). Both keep their experts in
`gate_up_proj` [E, 2 F, D] and `down_proj` [E, D, F], and have them run by one of three implementations:

- `transformers-eager`: a loop over the experts that have tokens, added up by `index_add_`;
- `transformers-batched`: one copy of an expert's weights for every assignment, and one `bmm` over all of them;
- `transformers-grouped` (its default): sort, two grouped products, back to order, sum over K.

Dispatch and combine happen inside its experts, and count as experts.
"""

from __future__ import annotations

from importlib import metadata
from typing import Any

import torch
from torch import Tensor, nn
from transformers.models.mixtral.configuration_mixtral import MixtralConfig
from transformers.models.mixtral.modeling_mixtral import MixtralSparseMoeBlock
from transformers.models.qwen3_moe.configuration_qwen3_moe import Qwen3MoeConfig
from transformers.models.qwen3_moe.modeling_qwen3_moe import Qwen3MoeSparseMoeBlock

from harness.case import Case
from harness.layers.adapters.base import Adapter
from harness.layers.interface import torch_dtype

IMPLEMENTATIONS = {
    "transformers-eager": "eager",
    "transformers-batched": "batched_mm",
    "transformers-grouped": "grouped_mm",
}
"""What transformers calls each of our backends."""


class TransformersBlock(Adapter):
    """The block of Mixtral or Qwen3-MoE, called as its model calls it."""

    def __init__(self, case: Case, backend: str, device: str = "cpu") -> None:
        super().__init__(case, backend)
        with torch.device(device):
            self.block = _block(case, IMPLEMENTATIONS[backend]).to(torch_dtype(case))
        self.remarks.append(
            f"the layer is {type(self.block).__name__} of transformers {metadata.version('transformers')}"
        )

    def ours(self) -> dict[str, tuple[Tensor, ...]]:
        """Return gate, experts' first product and second: views, with both widths turned."""
        experts = self.block.experts
        return {
            "router": (self.block.gate.weight.t(),),
            "ffn.w1": (experts.gate_up_proj.transpose(1, 2),),
            "ffn.w2": (experts.down_proj.transpose(1, 2),),
        }

    def marked(self) -> tuple[nn.Module, nn.Module]:
        """Return the router, and the experts with what moves tokens to them and back."""
        return self.block.gate, self.block.experts

    def decided(self, out: Any) -> tuple[Tensor, Tensor]:
        """Return the logits and the choice; the gates stand between them."""
        return out[0], out[2]


def _block(case: Case, implementation: str) -> Any:
    """Return the block of the case's gates, its weights not yet drawn."""
    shape = {
        "hidden_size": case.d_model,
        "num_experts_per_tok": case.top_k,
        "hidden_act": case.activation,
        "experts_implementation": implementation,
    }
    if case.gate == "softmax":
        qwen = Qwen3MoeConfig(num_experts=case.experts, moe_intermediate_size=case.d_ff, norm_topk_prob=False, **shape)
        return Qwen3MoeSparseMoeBlock(qwen)
    return MixtralSparseMoeBlock(
        MixtralConfig(num_local_experts=case.experts, intermediate_size=case.d_ff, router_jitter_noise=0.0, **shape)
    )
