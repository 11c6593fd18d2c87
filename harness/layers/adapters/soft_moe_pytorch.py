"""soft-moe-pytorch (lucidrains): a port of Soft MoE, measured as a black box under its own name.

Not the paper's layer: it normalises the tokens that it mixes too (ours mixes them as they come), by RMS norms with
gains in place of the l2 norm and the scale, and loops over its experts in Python. So it is held to its own copy in
float64 and not to our reference. FLOPs are the paper's: `slots` a sequence and expert.
"""

from __future__ import annotations

from soft_moe_pytorch import SoftMoE
from torch import nn

from harness.case import Case
from harness.layers.interface import Unsupported


def build(case: Case) -> nn.Module:
    """Return `SoftMoE` of the case's width, experts and slots (1 where the suite says none).

    Raises:
        Unsupported: It has GELU experts with biases, and GEGLU ones whose width is 2/3 of a multiple; no other.
    """
    if case.experts is None:
        raise Unsupported("soft-moe-pytorch needs experts")
    if case.activation != "gelu":
        raise Unsupported(f"soft-moe-pytorch has gelu and geglu experts, no {case.activation}")
    mult = case.d_ff / case.d_model * (1.5 if case.gated else 1.0)
    module: nn.Module = SoftMoE(
        case.d_model,
        num_experts=case.experts,
        num_slots=case.slots or 1,
        expert_mult=mult,
        geglu=case.gated,
        is_distributed=False,
        offload_unused_experts_to_cpu=False,
    )
    check_width(module, case.d_ff, "soft-moe-pytorch")
    return module


def check_width(module: nn.Module, d_ff: int, name: str) -> None:
    """Return if the second product of its experts takes `d_ff` numbers: these packages round a multiple of d_model."""
    widths = {each.in_features for each in module.modules() if isinstance(each, nn.Linear)}
    if d_ff not in widths:
        raise Unsupported(f"{name} rounds the width of its experts, and gives {sorted(widths)} where d_ff is {d_ff}")
