"""Small cases for tests: one of each family, easy to vary."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from harness.case import Case, usual_gate

_BASE = Case(
    variant="dense",
    layer="dense",
    d_model=32,
    d_ff=64,
    batch=2,
    tokens=16,
    dtype="float32",
    pass_="forward",
    backend="best",
    activation="gelu",
    gated=False,
)


def dense(**changes: Any) -> Case:
    """A dense FFN of width 32."""
    return replace(_BASE, **changes)


def dense_moe(**changes: Any) -> Case:
    """The dense mixture of 4 experts."""
    return _vary("mixture", "dense_moe", {"experts": 4, **changes})


def token_choice(**changes: Any) -> Case:
    """Top-2 of 4 experts, dropless unless `capacity_factor` says otherwise."""
    own: dict[str, Any] = {"experts": 4, "top_k": 2, "group": "batch", "routing": "learned", "shared_experts": 0}
    axes = {**own, "noise": "none", "balance": "none", **changes}
    usual = {"gate": usual_gate(axes["top_k"]), "drop": "position" if axes.get("capacity_factor") else None}
    return _vary("top-2", "token_choice", {**usual, **axes})


def expert_choice(**changes: Any) -> Case:
    """Expert choice among 4 experts at capacity 1."""
    own: dict[str, Any] = {"experts": 4, "capacity_factor": 1.0, "group": "batch", "routing": "learned"}
    return _vary("ec", "expert_choice", {**own, **changes})


def soft(**changes: Any) -> Case:
    """Soft MoE of 4 experts with one slot each."""
    return _vary("soft", "soft", {"experts": 4, "slots": 1, "mixing": "soft", **changes})


def families(**changes: Any) -> list[Case]:
    """One case of each family, token choice both dropless and with capacity."""
    return [
        dense(**changes),
        dense_moe(**changes),
        token_choice(**changes),
        token_choice(variant="capacity", capacity_factor=1.0, **changes),
        expert_choice(**changes),
        soft(**changes),
    ]


def _vary(variant: str, layer: str, changes: dict[str, Any]) -> Case:
    return replace(_BASE, **{"variant": variant, "layer": layer, **changes})
