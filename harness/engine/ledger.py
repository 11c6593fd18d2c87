"""The ledger: which visits of a run were made, what they gave for whom, and which are left."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable

from harness.declare.rounds import A_A, LATENCY
from harness.declare.visits import Visit
from harness.engine.journal import Line


class Ledger:
    """Lines by case; those of an A/A cell's second label apart, for what befalls it is not the case's doing.

    Args:
        cells: Keys of the cases that have a second label.
    """

    def __init__(self, cells: Collection[str]) -> None:
        self._cells = cells
        self._lines: dict[str, list[Line]] = defaultdict(list)
        self._due: Counter[str] = Counter()
        self._made: set[object] = set()
        self._failed: set[str] = set()
        self._broken: set[str] = set()
        self.paired: list[Line] = []
        """The latency of A/A cells under both labels, in the order in which it was taken."""

    def __len__(self) -> int:
        """Return how many visits were made."""
        return len(self._made)

    def expect(self, visits: Iterable[Visit]) -> None:
        """Count visits that a case is to have."""
        self._due.update(visit.key for visit in visits if visit.probe != A_A)

    def take(self, line: Line) -> None:
        """Count a visit that was made."""
        self._made.add(line.place)
        if line.key in self._cells and line.probe in (LATENCY, A_A):
            self.paired.append(line)
        if line.probe != A_A:
            self._lines[line.key].append(line)
        if line.status != "ok":
            (self._broken if line.probe == A_A else self._failed).add(line.key)

    def left(self, visits: Iterable[Visit]) -> list[Visit]:
        """Return those of `visits` that were not made, and that still have a point."""
        return [
            visit for visit in visits
            if not self.is_moot(visit) and (visit.key, visit.probe, visit.round) not in self._made
        ]  # fmt: skip

    def is_moot(self, visit: Visit) -> bool:
        """Return whether a visit has no point any more: its case failed, or its cell under the second label."""
        return visit.key in self._failed or (visit.probe == A_A and visit.key in self._broken)

    def of(self, key: str) -> list[Line]:
        """Return the visits of a case, in the order in which they were made."""
        return self._lines[key]

    def due(self, key: str) -> int:
        """Return how many visits a case is to have, as far as that is known."""
        return self._due[key]

    def is_whole(self, key: str) -> bool:
        """Return whether a case has all the visits that it is to have."""
        return len(self._lines[key]) >= self._due[key]

    def has_failed(self, key: str) -> bool:
        """Return whether a case has failed in a visit."""
        return key in self._failed
