"""The suspects of a gate, by their ids: as many as alert, and no expression is too long for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.declare.planned import Plan


def chosen(select: str | None, cases: Sequence[str]) -> str:
    """Return what `--select` would say of these of the cases that `select` holds for."""
    some = f"id in [{', '.join(map(repr, cases))}]"
    return f"({select}) and {some}" if select else some


def of_cases(plan: Plan, cases: Sequence[str]) -> Plan:
    """Return the plan of these of its cases alone.

    They are found by their ids and not by an expression, whose length has a limit for a reason: of a bad night every
    case may be a suspect.
    """
    wanted = set(cases)
    kept = [planned for planned in plan.cases if planned.case.id in wanted]
    return replace(plan, cases=kept, select=chosen(plan.select, cases))
