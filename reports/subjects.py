"""Subjects: how tables, charts and sentences name a case."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from harness.case import Case
from reports.families import Family
from reports.words import count

OWN_AXES = (
    "experts", "top_k", "slots", "capacity_factor", "group", "routing", "shared_experts", "backend", "expert_parallel",
)  # fmt: skip
"""Axes that belong to the layer, not to its input; a variant may sweep them."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A case as a table or chart names it."""

    variant: str
    family: Family
    step: int
    detail: str
    """What tells it from the variant's other cases in the same setting: `32 experts, 2 slots`."""
    id: str

    @property
    def phrase(self) -> str:
        """The case in a sentence: `soft with 32 experts, 2 slots`."""
        return f"{self.variant} with {self.detail}" if self.detail else self.variant


def axes_words(case: Case, axes: Iterable[str]) -> str:
    """Return `8 experts, dropless`: the axes of `case` that apply to it."""
    dropless = case.layer == "token_choice" and case.capacity_factor is None
    parts = ["dropless" if axis == "capacity_factor" and dropless else axis_words(axis, getattr(case, axis))
             for axis in axes]  # fmt: skip
    return ", ".join(part for part in parts if part)


_COUNTED = {"experts": "expert", "slots": "slot", "shared_experts": "shared expert", "expert_parallel": "rank"}
"""Axes that count something, and what one of it is called."""


def axis_words(axis: str, value: object) -> str:
    """Return one axis and its value as a phrase: `32 experts`, `k = 2`; empty where it does not apply."""
    if axis == "capacity_factor":
        return "" if value is None else f"capacity {value:g}"
    if value is None or (axis == "shared_experts" and not value):
        return ""
    if isinstance(value, int) and axis in _COUNTED:
        return count(value, _COUNTED[axis])
    return {
        "top_k": f"k = {value}",
        "group": f"capacity shared by the {value}",
        "routing": f"{value} load",
        "backend": f"{value}",
    }.get(axis, f"{axis} {value}")
