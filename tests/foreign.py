"""Stand-ins for packages that need a GPU: their documented interface and layouts, worked out plainly with torch.

They prove how an adapter lays out weights and calls the package, and nothing of the package's own kernels.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from types import ModuleType
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@contextmanager
def installed(**modules: dict[str, Any]) -> Iterator[None]:
    """Make modules of these names (`a__b` is a.b) importable, with these members, and ours that import them anew."""
    names = {name.replace("__", "."): members for name, members in modules.items()}
    before = {name: sys.modules.pop(name, None) for name in (*names, *_adapters(names))}
    for name, members in names.items():
        sys.modules[name] = ModuleType(name)
        sys.modules[name].__dict__.update(members)
    try:
        yield
    finally:
        for name, module in before.items():
            sys.modules.pop(name, None)
            if module is not None:
                sys.modules[name] = module


def _adapters(names: dict[str, Any]) -> list[str]:
    return sorted({f"harness.layers.adapters.{name.partition('.')[0]}" for name in names})


def mixed(x: Tensor, gates: Tensor, choice: Tensor, ffn: Any) -> Tensor:
    """Return [T, D]: the sum over K of gate times expert; `ffn(expert, rows)` is one expert's FFN."""
    y = torch.zeros_like(x)
    for token in range(len(x)):
        for k in range(choice.shape[1]):
            y[token] = y[token] + gates[token, k] * ffn(int(choice[token, k]), x[token])
    return y


# scattermoe.mlp


class _ParallelExperts(nn.Module):
    def __init__(self, experts: int, inner: int, outer: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(experts, outer, inner))


class GLUMLP(nn.Module):
    """scattermoe.mlp.GLUMLP: the first half of the first product multiplies, the second is activated."""

    def __init__(self, input_size: int, hidden_size: int, num_experts: int, top_k: int, activation: Any) -> None:
        super().__init__()
        self.experts = _ParallelExperts(num_experts, input_size, 2 * hidden_size)
        self.output_experts = _ParallelExperts(num_experts, hidden_size, input_size)
        self.top_k, self.activation = top_k, activation

    def forward(self, x: Tensor, expert_p: Tensor, expert_idxs: Tensor) -> Tensor:
        assert x.dtype == expert_p.dtype
        assert x.shape[0] == expert_p.shape[0] == expert_idxs.shape[0]
        assert expert_p.shape[1] == self.top_k

        def ffn(expert: int, row: Tensor) -> Tensor:
            up, gate = (self.experts.weight[expert] @ row).chunk(2)
            y: Tensor = self.output_experts.weight[expert] @ (self.activation(gate) * up)
            return y

        return mixed(x, expert_p, expert_idxs, ffn)


SCATTERMOE: dict[str, dict[str, Any]] = {"scattermoe": {}, "scattermoe__mlp": {"GLUMLP": GLUMLP}}


# sonicmoe


class KernelBackendMoE(Enum):
    sonicmoe = "sonicmoe"


class ActivationType(Enum):
    SWIGLU = "swiglu"


class SonicMoE(nn.Module):
    """sonicmoe.MoE: rows of gate and up in turn, gates the softmax of the chosen logits, a loss beside the output."""

    calls: ClassVar[list[bool]] = []

    def __init__(
        self,
        num_experts: int,
        num_experts_per_tok: int,
        hidden_size: int,
        intermediate_size: int,
        activation_function: ActivationType,
        add_bias: bool,
        std: float,
    ) -> None:
        super().__init__()
        assert activation_function is ActivationType.SWIGLU
        assert not add_bias
        self.top_k = num_experts_per_tok
        self.router = nn.Linear(hidden_size, num_experts, bias=False)
        self.c_fc = _ParallelExperts(num_experts, hidden_size, 2 * intermediate_size)
        self.c_proj = _ParallelExperts(num_experts, intermediate_size, hidden_size)

    def forward(
        self, x: Tensor, kernel_backend_moe: KernelBackendMoE, is_inference_mode: bool
    ) -> tuple[Tensor, Tensor]:
        SonicMoE.calls.append(is_inference_mode)
        tokens = x.view(-1, x.shape[-1])
        values, choice = self.router(tokens).topk(self.top_k, dim=-1)

        def ffn(expert: int, row: Tensor) -> Tensor:
            hidden = self.c_fc.weight[expert] @ row
            return self.c_proj.weight[expert] @ (F.silu(hidden[::2]) * hidden[1::2])

        return mixed(tokens, values.float().softmax(-1).to(x.dtype), choice, ffn).view_as(x), tokens.sum()


SONICMOE: dict[str, dict[str, Any]] = {
    "sonicmoe": {"MoE": SonicMoE, "KernelBackendMoE": KernelBackendMoE},
    "sonicmoe__enums": {"ActivationType": ActivationType},
}


# megablocks


@dataclass
class Arguments:
    """megablocks.layers.arguments.Arguments, as far as it matters here."""

    hidden_size: int
    ffn_hidden_size: int
    bias: bool
    return_bias: bool
    activation_fn: Any
    moe_num_experts: int
    moe_top_k: int
    moe_normalize_expert_weights: int | None
    mlp_type: str
    mlp_impl: str
    fp16: bool
    bf16: bool
    device: torch.device

    @property
    def dtype(self) -> torch.dtype:
        return torch.float16 if self.fp16 else torch.bfloat16 if self.bf16 else torch.float32


class _Router(nn.Module):
    def __init__(self, args: Arguments) -> None:
        super().__init__()
        self.args = args
        self.layer = nn.Linear(args.hidden_size, args.moe_num_experts, bias=False, dtype=args.dtype)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        scores = self.layer(x.view(-1, x.shape[-1])).softmax(dim=-1)
        weights, choice = scores.topk(self.args.moe_top_k, dim=-1)
        if self.args.moe_normalize_expert_weights:
            weights = weights / torch.norm(weights, p=self.args.moe_normalize_expert_weights, dim=-1, keepdim=True)
        return scores, weights, choice


class _Glu(nn.Module):
    def __init__(self, args: Arguments) -> None:
        super().__init__()
        rows = args.moe_num_experts * args.ffn_hidden_size
        self.w1, self.v1, self.w2 = (
            nn.Parameter(torch.empty(rows, args.hidden_size, dtype=args.dtype)) for _ in range(3)
        )


class _Experts(nn.Module):
    def __init__(self, args: Arguments) -> None:
        super().__init__()
        self.args, self.mlp = args, _Glu(args)

    def forward(self, x: Tensor, scores: Tensor, weights: Tensor, choice: Tensor) -> Tensor:
        width = self.args.ffn_hidden_size

        def ffn(expert: int, row: Tensor) -> Tensor:
            w1, v1, w2 = (
                matrix[expert * width : (expert + 1) * width] for matrix in (self.mlp.w1, self.mlp.v1, self.mlp.w2)
            )
            y: Tensor = (self.args.activation_fn(w1 @ row) * (v1 @ row)) @ w2
            return y

        return mixed(x.view(-1, x.shape[-1]), weights, choice, ffn).view_as(x)


class DMoE(nn.Module):
    """megablocks.layers.dmoe.dMoE."""

    def __init__(self, args: Arguments) -> None:
        super().__init__()
        assert (args.mlp_type, args.mlp_impl, args.bias, args.return_bias) == ("glu", "grouped", False, False)
        self.router, self.experts = _Router(args), _Experts(args)

    def forward(self, x: Tensor) -> Tensor:
        assert not self.training, "it would keep a loss from every call"
        y: Tensor = self.experts(x, *self.router(x))
        return y


MEGABLOCKS: dict[str, dict[str, Any]] = {
    "megablocks": {},
    "megablocks__layers": {},
    "megablocks__layers__arguments": {"Arguments": Arguments},
    "megablocks__layers__dmoe": {"dMoE": DMoE},
}


# tutel


class _Gate(nn.Module):
    def __init__(self, width: int, experts: int) -> None:
        super().__init__()
        self.wg = nn.Linear(width, experts, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.wg(x)
        return logits


class MoeLayer(nn.Module):
    """tutel.moe.moe_layer with custom experts, which see [E, C, D] padded to the busiest of them."""

    def __init__(
        self, gate_type: dict[str, Any], model_dim: int, experts: dict[str, Any], normalize_gate: bool
    ) -> None:
        super().__init__()
        assert gate_type["type"] == "top"
        assert gate_type["capacity_factor"] == 0
        assert experts.pop("type") == "custom"
        self.k, self.normalize, self.count = gate_type["k"], normalize_gate, experts.pop("count_per_node")
        module = experts.pop("module")
        self.experts = module(**experts, model_dim=model_dim, local_experts=self.count, sharded_count=1)
        self.gates = nn.ModuleList([_Gate(model_dim, self.count)])

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.reshape(-1, x.shape[-1])
        gates, choice = self.gates[0](tokens).softmax(-1).topk(self.k, dim=-1)
        if self.k > 1 and self.normalize:
            gates = gates / gates.sum(-1, keepdim=True)
        busiest = int(choice.flatten().bincount(minlength=self.count).max())
        rows, y = tokens.new_zeros(self.count, busiest, tokens.shape[1]), torch.zeros_like(tokens)
        places = []
        for expert in range(self.count):
            token, k = torch.nonzero(choice == expert, as_tuple=True)
            rows[expert, : len(token)] = tokens[token]
            places.append((token, k))
        out = self.experts(rows, self)
        for expert, (token, k) in enumerate(places):
            y = y.index_add(0, token, gates[token, k, None] * out[expert, : len(token)])
        return y.view_as(x)


class _Moe(ModuleType):
    moe_layer = MoeLayer


TUTEL: dict[str, dict[str, Any]] = {"tutel": {"moe": _Moe("tutel.moe")}, "tutel__moe": {"moe_layer": MoeLayer}}
