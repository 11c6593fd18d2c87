"""Selection: which cases a suite's `[select]` and the command line's `--select` keep."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from harness.case import Case
from harness.declare.checks import CASE_NAMES
from harness.declare.expressions import Condition, ExpressionError
from harness.declare.faults import Fault, Place, SuiteError
from harness.declare.format import Suite

COMMAND_LINE = "--select"
"""What stands for a file in the faults of `--select`."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One condition on cases, and where it is written."""

    condition: Condition
    place: Place
    values: Callable[[Case], tuple[Any, ...]]

    @classmethod
    def read(cls, text: str, place: Place) -> Rule:
        """Return the rule that `text` says; raise SuiteError where it is no condition on cases."""
        try:
            condition = Condition(text, CASE_NAMES)
        except ExpressionError as error:
            raise SuiteError([Fault.at(place, error.message, error.expected, error.nearest)]) from None
        return cls(condition, place, _values(condition.names))

    def holds(self, case: Case) -> bool:
        """Return whether the condition is true of `case`; raise SuiteError where it gives no value."""
        try:
            return bool(self.condition.value(self.values(case)))
        except ExpressionError as error:
            raise SuiteError([Fault.at(self.place, error.message, "true or false for every case")]) from None


@dataclass(frozen=True, slots=True)
class Selection:
    """Keeps the cases that some rule of `include` holds for (or all, without one), and no rule of `exclude`."""

    include: Sequence[Rule] = ()
    exclude: Sequence[Rule] = ()

    @property
    def keeps_all(self) -> bool:
        """Whether there is no rule that could leave a case out."""
        return not self.include and not self.exclude

    @classmethod
    def of(cls, suite: Suite) -> Selection:
        """Return what the suite's `[select]` keeps."""
        include, exclude = (
            [Rule.read(text, suite.place(("select", key, n))) for n, text in enumerate(getattr(suite.select, key))]
            for key in ("include", "exclude")
        )
        return cls(include, exclude)

    @classmethod
    def from_command_line(cls, text: str | None) -> Selection:
        """Return what `--select TEXT` keeps; all where there is none."""
        return cls() if text is None else cls([Rule.read(text, Place(COMMAND_LINE, None, ""))])

    def keeps(self, case: Case) -> bool:
        """Return whether `case` stays; raise SuiteError where a rule gives no value for it."""
        if self.include and not any(rule.holds(case) for rule in self.include):
            return False
        return not any(rule.holds(case) for rule in self.exclude)


def _values(names: tuple[str, ...]) -> Callable[[Case], tuple[Any, ...]]:
    """Return what reads the values of `names` off a case."""
    if not names:
        return lambda _: ()
    if "capacity_factor" in names:  # the slow way, for the one name that reads otherwise
        return lambda case: tuple(_read(case, name) for name in names)
    read = attrgetter(*names)
    return read if len(names) > 1 else lambda case: (read(case),)


def _read(case: Case, name: str) -> Any:
    """Return an axis as expressions see it: dropless is infinite, so that it is above every capacity factor."""
    if name == "capacity_factor" and case.layer == "token_choice" and case.capacity_factor is None:
        return math.inf
    return getattr(case, name)
