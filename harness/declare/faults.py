"""Faults: what is wrong with a suite, where, what was expected, and what to try."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

LONGEST_NAME = 200
"""Characters of a file's name or of a key that a message prints."""


class Place(NamedTuple):
    """Where something stands: a line of a file, or an option of the command line."""

    file: str
    line: int | None
    key: str


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong, as a person should read it."""

    file: str
    """The file as the user named it, or the command-line option."""
    line: int | None
    """Counted from 1; None where there is no line to point at."""
    key: str
    """Dotted path in the file: `variant[top-2].sweep.experts`; empty where the whole file is meant."""
    message: str
    expected: str | None = None
    nearest: str | None = None
    """The valid name that is most like the one given."""

    @classmethod
    def at(cls, place: Place, message: str, expected: str | None = None, nearest: str | None = None) -> Fault:
        """Return the fault that stands at `place`."""
        return cls(*place, message, expected, nearest)

    def __str__(self) -> str:
        file = _on_one_line(self.file)
        where = file if self.line is None else f"{file}:{self.line}"
        lines = [": ".join(part for part in (where, _on_one_line(self.key), self.message) if part)]
        if self.expected:
            lines.append(f"    expected: {self.expected}")
        if self.nearest:
            lines.append(f"    did you mean: {self.nearest}")
        return "\n".join(lines)


class SuiteError(Exception):
    """A suite, or what the command line made of it, cannot be run; every fault that was found is in `faults`."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = sorted(dict.fromkeys(faults), key=lambda fault: (fault.file, fault.line or 0))
        super().__init__(str(self))

    def __str__(self) -> str:
        return "\n\n".join(str(fault) for fault in self.faults)


def nearest(name: object, valid: Iterable[str]) -> str | None:
    """Return the name in `valid` that is most like `name`, or None where nothing is like it."""
    by_lower = {choice.lower(): choice for choice in valid}
    found = difflib.get_close_matches(str(name).lower(), by_lower, n=1)
    return by_lower[found[0]] if found else None


def listed(names: Iterable[str], last: str = "or") -> str:
    """Return names as a sentence holds them: `a, b or c`."""
    *most, end = names
    return f"{', '.join(most)} {last} {end}" if most else end


def _on_one_line(name: str) -> str:
    """Return what a user named as a message can hold it: cut where it is long, quoted where it does not print."""
    text = name if name.isprintable() else repr(name)
    return text if len(text) <= LONGEST_NAME else f"{text[: LONGEST_NAME - 3]}..."


def shown(value: object) -> str:
    """Return `value` as a message quotes it, cut where it is long."""
    try:
        text = repr(value)
    except ValueError:  # an integer of more digits than Python prints
        text = "a number of thousands of digits"
    except RecursionError:
        text = "a value nested very deeply"
    return text if len(text) <= 60 else f"{text[:57]}..."
