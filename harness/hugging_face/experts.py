"""The experts in a model of transformers, found by its structure, and those of them that one token leaves idle."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn

from harness.declare.counts import CannotCount
from harness.declare.faults import listed, shown

TOP_K_NAMES = (
    "num_experts_per_tok", "num_experts_per_token", "experts_per_token", "moe_topk", "moe_top_k", "moe_k",
    "top_k_experts", "num_selected_experts",
)  # fmt: skip
"""What transformers' configurations call the experts of a token."""

TOP_K_TYPES = {"switch_transformers": 1, "nllb-moe": 2}
"""Models whose experts a token are in their code and not in their configuration."""


@dataclass(frozen=True, slots=True)
class Bank:
    """The experts of one layer."""

    name: str
    experts: int
    weights: tuple[nn.Parameter, ...]


def banks(model: nn.Module) -> Iterator[Bank]:
    """Yield every layer's routed experts: stacked weights `[E, ..., ...]`, or a list of modules that are alike.

    Both are called experts by their attribute or class; shared experts are none of them.
    """
    for name, module in model.named_modules():
        words = f"{name.rpartition('.')[2]} {type(module).__name__}".lower()
        if "expert" not in words or "shared" in name:
            continue
        if isinstance(module, nn.ModuleList | nn.ModuleDict):
            yield Bank(name, len(module), tuple(module.parameters()))
            continue
        stacked = [weight for weight in module.parameters(recurse=False) if weight.ndim == 3]
        if stacked:
            own = (weight for weight in module.parameters(recurse=False) if weight.shape[:1] == stacked[0].shape[:1])
            yield Bank(name, stacked[0].shape[0], tuple(own))


def top_k(config: Any, experts: int, path: object) -> int:
    """Return how many of `experts` one token uses; raise CannotCount where the configuration does not say."""
    for part in (config.get_text_config(), config, *_nested(config)):
        for name in TOP_K_NAMES:
            value = getattr(part, name, None)
            if value is not None:
                if isinstance(value, int) and 1 <= value <= experts:
                    return value
                expected = f"a whole number from 1 to {experts}, the experts of a layer"
                raise CannotCount(f"{path}: {name} is {shown(value)}\n    expected: {expected}")
    if config.model_type in TOP_K_TYPES:
        return TOP_K_TYPES[config.model_type]
    message = f"{path}: the model has {experts} experts a layer, and nothing says how many a token uses"
    raise CannotCount(f"{message}\n    expected: {listed(TOP_K_NAMES)}")


def _nested(config: Any) -> Iterator[Any]:
    return (part for part in vars(config).values() if hasattr(part, "model_type"))
