"""The axes of a sweep: their names in order, which layers have them, and where each starts."""

from __future__ import annotations

from typing import Any, Literal

from harness.case import DEFAULT_TOKENS

LayerKind = Literal["dense", "dense_moe", "token_choice", "expert_choice", "soft"]

AXES = (
    "size", "d_model", "d_ff", "heads", "experts", "top_k", "slots", "capacity_factor", "group", "batch", "tokens",
    "dtype", "pass", "backend", "routing", "compile", "scope", "activation", "gated", "shared_experts",
    "gate", "noise", "drop", "balance", "mixing", "causal", "depth", "moe_layers", "vocabulary", "patch",
)  # fmt: skip
"""Every axis, in the order in which a product runs through them: the last one varies fastest."""

COUNTED = frozenset(
    (
        "d_model", "d_ff", "heads", "experts", "top_k", "slots", "batch", "tokens", "shared_experts",
        "capacity_factor", "depth", "vocabulary", "patch",
    )
)  # fmt: skip
"""Axes that hold numbers, and so may be derived: `d_ff = "4 * d_model"`."""

FLAGS = frozenset(("compile", "gated", "causal"))
"""Axes that are true or false, and so conditions by themselves."""

_COMMON = {
    "size", "d_model", "d_ff", "heads", "batch", "tokens", "dtype", "pass", "backend", "compile", "scope",
    "activation", "gated", "causal", "depth", "moe_layers", "vocabulary", "patch",
}  # fmt: skip
HAS: dict[str, frozenset[str]] = {
    "dense": frozenset(_COMMON),
    "dense_moe": frozenset(_COMMON | {"experts"}),
    "token_choice": frozenset(
        _COMMON
        | {"experts", "top_k", "capacity_factor", "group", "routing", "shared_experts"}
        | {"gate", "noise", "drop", "balance"}
    ),
    "expert_choice": frozenset(_COMMON | {"experts", "capacity_factor", "group", "routing"}),
    "soft": frozenset(_COMMON | {"experts", "slots", "mixing"}),
}
"""The axes of each kind of layer; on the others its cases hold None."""

_START: dict[str, Any] = {
    "batch": 8,
    "tokens": DEFAULT_TOKENS,
    "dtype": "float32",
    "pass": "forward",
    "backend": "best",
    "compile": False,
    "scope": "layer",
    "activation": "gelu",
    "gated": None,
    "causal": False,
    "depth": 12,
    "moe_layers": "all",
    "vocabulary": 0,
    "patch": 16,
}
_ROUTED: dict[str, Any] = {"group": "batch", "routing": "learned"}
START: dict[str, dict[str, Any]] = {
    "dense": _START,
    "dense_moe": _START,
    "token_choice": _START
    | _ROUTED
    | {"top_k": 2, "capacity_factor": None, "shared_experts": 0}
    | {"gate": None, "noise": "none", "drop": "position", "balance": "none"},
    "expert_choice": _START | _ROUTED | {"capacity_factor": 1.0},
    "soft": _START | {"slots": 1, "mixing": "soft"},
}
"""Where the axes of each kind of layer start, if the suite says nothing; the other axes of `HAS` must be given.

A capacity_factor of None is dropless; gated None is what the activation's name says (`swiglu` is gated); gate None is
the usual one for top_k.
"""

GATED_NAMES = {"swiglu": "silu", "geglu": "gelu", "reglu": "relu"}
"""Activations that are the name of a gated FFN (Shazeer 2020), and the function in it."""
