"""Families: the three identities that every table, chart and sentence shares; what is of none of them is neutral."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Family = Literal["dense", "sparse", "soft", "mixture", "other"]

NEUTRAL: frozenset[Family] = frozenset({"mixture", "other"})
"""Drawn without a colour of their own, and not counted as families."""

_FAMILY: dict[str, Family] = {
    "dense": "dense",
    "token_choice": "sparse",
    "expert_choice": "sparse",
    "soft": "soft",
    "dense_moe": "mixture",
}
NAMES: dict[Family, str] = {
    "dense": "dense FFN",
    "sparse": "sparse MoE",
    "soft": "Soft MoE",
    "mixture": "dense mixture",
    "other": "other layer",
}
"""What a family is called in a sentence."""

STEPS = 4
"""Ways in which a mark of one hue and shape can be filled; a fifth variant of a family starts again."""


@dataclass(frozen=True, slots=True)
class Identity:
    """How one variant is drawn: its family gives hue, shape and dash, its step how the mark is filled."""

    name: str
    family: Family
    step: int
    """0 solid, 1 hollow, 2 crossed, 3 barred."""


def family_of(layer: str) -> Family:
    """Return the family of a kind of layer; `other` for a kind that this report does not know."""
    return _FAMILY.get(layer, "other")


def identities(variants: Iterable[tuple[str, str]]) -> dict[str, Identity]:
    """Return the identity of each variant, given (name, layer) in the suite's order."""
    seen: dict[Family, int] = {}
    out: dict[str, Identity] = {}
    for name, layer in variants:
        if name not in out:
            family = family_of(layer)
            step = seen.get(family, 0)
            seen[family] = step + 1
            out[name] = Identity(name, family, step % STEPS)
    return out
