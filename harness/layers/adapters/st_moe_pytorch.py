"""st-moe-pytorch (lucidrains): top-n routing by one-hot products, measured as a black box under its own name.

GShard's dispatch with a capacity for each sequence that leaves K out (`m c / E`, at least 4), and GEGLU experts with
biases and a gain. It sends a second choice only with a probability that falls with its gate; here the threshold of that
is 0, so that every choice is sent and the output is a function of the input.
"""

from __future__ import annotations

from torch import Tensor, nn

from harness.case import Case
from harness.layers.adapters.soft_moe_pytorch import check_width
from harness.layers.interface import Unsupported

CAPACITY = 2.0
"""The package's own capacity factor in evaluation, where the suite says none."""


class _Output(nn.Module):
    """The mixture alone, without the losses that it returns beside it."""

    def __init__(self, moe: nn.Module) -> None:
        super().__init__()
        self.moe = moe

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.moe(x).outputs
        return y


def build(case: Case) -> nn.Module:
    """Return `MoE` of the case's width, experts, top_k (2) and capacity_factor (2, its default).

    Raises:
        Unsupported: It has GEGLU experts alone, two choices or more, and a capacity.
    """
    from st_moe_pytorch import MoE

    if case.experts is None:
        raise Unsupported("st-moe-pytorch needs experts")
    if not case.gated or case.activation != "gelu":
        raise Unsupported('st-moe-pytorch has geglu experts alone: use activation = "geglu"')
    if (case.top_k or 2) < 2:
        raise Unsupported("st-moe-pytorch sends each token to two experts or more: top_k = 2")
    factor = case.capacity_factor or CAPACITY
    module = MoE(
        case.d_model,
        num_experts=case.experts,
        gating_top_n=case.top_k or 2,
        expert_hidden_mult=1.5 * case.d_ff / case.d_model,
        capacity_factor_train=factor,
        capacity_factor_eval=factor,
        threshold_train=0.0,
        threshold_eval=0.0,
        is_distributed=False,
    )
    check_width(module, case.d_ff, "st-moe-pytorch")
    return _Output(module)
