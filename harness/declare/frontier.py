"""The frontier of memory: a case that needs no less than one that ran out of it need not be tried.

Only what is known to need more counts: a case lies beyond another where none of the axes below is smaller and all else
is equal, the variant and the backend too. `tests/test_frontier.py` holds the axes to the closed forms.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable
from dataclasses import fields

from harness.case import PASSES, Case

GROWING = ("d_model", "d_ff", "experts", "top_k", "slots", "shared_experts", "batch", "tokens", "pass_")
"""Axes along which a layer needs more memory, all else being equal; a pass does all that the ones before it do."""
_NAMES = ("size",)
"""Fields that only name what others say."""
_EQUAL = tuple(field.name for field in fields(Case) if field.name not in (*GROWING, *_NAMES))


class Frontier:
    """The smallest cases that ran out of memory."""

    def __init__(self) -> None:
        self._full: dict[tuple[Hashable, ...], list[Case]] = defaultdict(list)

    def add(self, case: Case) -> None:
        """Take note that `case` ran out of memory."""
        self._full[_alike(case)].append(case)

    def before(self, case: Case) -> Case | None:
        """Return a case that ran out of memory and that `case` needs no less than; None where there is none."""
        rivals = self._full.get(_alike(case), ())
        return next((full for full in rivals if full != case and needs_no_less(case, full)), None)


def needs_no_less(case: Case, other: Case) -> bool:
    """Return whether `case` is known to need at least the memory that `other` needs."""
    return _alike(case) == _alike(other) and all(map(_at_least, _sizes(case), _sizes(other)))


def _alike(case: Case) -> tuple[Hashable, ...]:
    return tuple(getattr(case, name) for name in _EQUAL)


def _sizes(case: Case) -> tuple[int | None, ...]:
    return tuple(PASSES.index(case.pass_) if axis == "pass_" else getattr(case, axis) for axis in GROWING)


def _at_least(one: int | None, other: int | None) -> bool:
    return one == other if one is None or other is None else one >= other
