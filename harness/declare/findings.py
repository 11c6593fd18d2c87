"""Findings: the faults of one suite as they are found, and which of its variants they leave fit to be expanded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from harness.declare.expressions import Condition, ExpressionError
from harness.declare.faults import Fault, Place
from harness.declare.format import Text
from harness.declare.lines import Path


@dataclass(slots=True)
class Findings:
    """Faults of the suite in `text`, in the order in which they were found."""

    text: Text
    faults: list[Fault] = field(default_factory=list)
    broken: set[int] = field(default_factory=set)
    """Variants (by position) with a fault: expanding them would only report its consequences."""
    all_broken: bool = False
    """True where a fault touches every variant."""

    def add(self, path: Path, message: str, expected: str | None = None, nearest: str | None = None) -> None:
        """Note a fault that stands at `path`."""
        self.add_at(self.text.place(path), message, expected, nearest)
        match path:
            case ("variant", int(position), *_):
                self.broken.add(position)
            case (("base" | "sweep" | "variant"), *_):
                self.all_broken = True

    def add_at(self, place: Place, message: str, expected: str | None = None, nearest: str | None = None) -> None:
        """Note a fault that stands at `place`, which may be on the command line."""
        self.faults.append(Fault.at(place, message, expected, nearest))

    def condition(self, path: Path, text: str, names: Iterable[str]) -> None:
        """Note the fault where `text`, which stands at `path`, is no condition over `names`."""
        try:
            Condition(text, tuple(names))
        except ExpressionError as error:
            self.add(path, error.message, error.expected, error.nearest)
