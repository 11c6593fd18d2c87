"""The axes of a sweep: their names in order, which layers have them, and where each starts."""

from __future__ import annotations

from typing import Any, Literal, get_args

from harness.case import DEFAULT_TOKENS

LayerKind = Literal["dense", "dense_moe", "token_choice", "expert_choice", "soft"]
KINDS: tuple[str, ...] = get_args(LayerKind)
"""The kinds of layer that are ours; every other name is a plug-in's."""

AXES = (
    "size", "d_model", "d_ff", "heads", "experts", "top_k", "slots", "capacity_factor", "group", "batch", "tokens",
    "dtype", "pass", "backend", "routing", "compile", "scope", "activation", "gated", "shared_experts",
    "gate", "noise", "drop", "balance", "mixing", "causal", "depth", "moe_layers", "vocabulary", "patch",
    "expert_parallel",
)  # fmt: skip
"""Every axis, in the order in which a product runs through them: the last one varies fastest."""

COUNTED = frozenset(
    (
        "d_model", "d_ff", "heads", "experts", "top_k", "slots", "batch", "tokens", "shared_experts",
        "capacity_factor", "depth", "vocabulary", "patch", "expert_parallel",
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
        | {"gate", "noise", "drop", "balance", "expert_parallel"}
    ),
    "expert_choice": frozenset(_COMMON | {"experts", "capacity_factor", "group", "routing", "expert_parallel"}),
    "soft": frozenset(_COMMON | {"experts", "slots", "mixing", "expert_parallel"}),
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
_ROUTED: dict[str, Any] = {"group": "batch", "routing": "learned", "expert_parallel": 1}
START: dict[str, dict[str, Any]] = {
    "dense": _START,
    "dense_moe": _START,
    "token_choice": _START
    | _ROUTED
    | {"top_k": 2, "capacity_factor": None, "shared_experts": 0}
    | {"gate": None, "noise": "none", "drop": "position", "balance": "none"},
    "expert_choice": _START | _ROUTED | {"capacity_factor": 1.0},
    "soft": _START | {"slots": 1, "mixing": "soft", "expert_parallel": 1},
}
"""Where the axes of each kind of layer start, if the suite says nothing; the other axes of `HAS` must be given.

A capacity_factor of None is dropless; gated None is what the activation's name says (`swiglu` is gated); gate None is
the usual one for top_k.
"""

GATED_NAMES = {"swiglu": "silu", "geglu": "gelu", "reglu": "relu"}
"""Activations that are the name of a gated FFN (Shazeer 2020), and the function in it."""


def axes_of(layer: str) -> frozenset[str]:
    """Return the axes that `layer` has; a plug-in has them all, and those that nobody says are None in its cases."""
    return HAS.get(layer, _EVERY)


def start_of(layer: str) -> dict[str, Any]:
    """Return where the axes of `layer` start."""
    return START.get(layer, _START)


_EVERY = frozenset(AXES)
