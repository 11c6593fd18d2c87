"""The experts in a model of transformers, found by its structure, and those of them that one token leaves idle."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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

EXPERTS_NAMES = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")
"""What they call the experts of a layer."""

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
            with_weights = sum(any(True for _ in child.parameters()) for child in module.children())  # no dropout
            yield Bank(name, with_weights, tuple(module.parameters()))
            continue
        stacked = [weight for weight in module.parameters(recurse=False) if weight.ndim == 3]
        if stacked:
            own = (weight for weight in module.parameters(recurse=False) if weight.shape[:1] == stacked[0].shape[:1])
            yield Bank(name, stacked[0].shape[0], tuple(own))


def top_k(config: Any, experts: int, path: object) -> int:
    """Return how many of `experts` one token uses; raise CannotCount where the configuration does not say."""
    for name, value in _said(config, TOP_K_NAMES):
        if isinstance(value, int) and 1 <= value <= experts:
            return value
        expected = f"a whole number from 1 to {experts}, the experts of a layer"
        raise CannotCount(f"{path}: {name} is {shown(value)}\n    expected: {expected}")
    if config.model_type in TOP_K_TYPES:
        return TOP_K_TYPES[config.model_type]
    message = f"{path}: the model has {experts} experts a layer, and nothing says how many a token uses"
    raise CannotCount(f"{message}\n    expected: {listed(TOP_K_NAMES)}")


def check_dense(config: Any, path: object) -> None:
    """Raise CannotCount where the configuration says experts; for a model in which no bank was found."""
    for name, value in _said(config, EXPERTS_NAMES):
        if isinstance(value, int) and value > 1:
            raise CannotCount(
                f"{path}: {name} is {value}, and no experts are found in the model that transformers builds\n"
                "    expected: stacked weights of three dimensions, or a list of modules, that are called experts"
            )


def _said(config: Any, names: Iterable[str]) -> Iterator[tuple[str, Any]]:
    """Yield what the configuration, or one inside it, says under any of `names`."""
    for part in (config, *(part for part in vars(config).values() if hasattr(part, "model_type"))):
        for name in names:
            if (value := getattr(part, name, None)) is not None:
                yield name, value
