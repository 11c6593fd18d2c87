"""The ledger: which visits of a run were made, what they gave for whom, and which are left.

What they gave stays in the journal, on disk: a run of a million visits takes no more memory than one of a thousand.
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable

from harness.declare.rounds import A_A, LATENCY
from harness.declare.visits import Visit
from harness.engine.journal import Line


class Ledger:
    """Lines by case; those of an A/A cell's second label apart, for what befalls it is not the case's doing.

    Args:
        cells: Keys of the cases that have a second label.
        read: Gives the line that begins at this byte of the journal; None: lines are kept in memory.
    """

    def __init__(self, cells: Collection[str], read: Callable[[int], Line] | None = None) -> None:
        self._cells = cells
        self._read = read
        self._lines: dict[str, list[Line]] = defaultdict(list)
        """Those that were taken without their place in the journal; they come first."""
        self._places: dict[str, array[int]] = defaultdict(lambda: array("q"))
        self._due: Counter[str] = Counter()
        self._made: dict[tuple[str, str], int] = defaultdict(int)
        """By case and probe, a bit for each round that was made; the first is of what comes in no rounds."""
        self._count = 0
        self._failed: set[str] = set()
        self._broken: set[str] = set()
        self.paired: list[Line] = []
        """The latency of A/A cells under both labels, in the order in which it was taken."""

    def __len__(self) -> int:
        """Return how many visits were made."""
        return self._count

    def expect(self, visits: Iterable[Visit]) -> None:
        """Count visits that a case is to have."""
        self._due.update(visit.key for visit in visits if visit.probe != A_A)

    def take(self, line: Line, place: int | None = None) -> None:
        """Count a visit that was made; its line begins at byte `place` of the journal, where that is known."""
        if not self._is_made(line.key, line.probe, line.round):
            self._made[line.key, line.probe] |= _bit(line.round)
            self._count += 1
        if line.key in self._cells and line.probe in (LATENCY, A_A):
            self.paired.append(line)
        if line.probe != A_A:
            self._keep(line, place)
        if line.status != "ok":
            (self._broken if line.probe == A_A else self._failed).add(line.key)

    def left(self, visits: Iterable[Visit]) -> list[Visit]:
        """Return those of `visits` that were not made, and that still have a point."""
        return [visit for visit in visits if self.is_left(visit)]

    def is_left(self, visit: Visit) -> bool:
        """Return whether a visit was not made, and still has a point."""
        return not self.is_moot(visit) and not self._is_made(visit.key, visit.probe, visit.round)

    def is_moot(self, visit: Visit) -> bool:
        """Return whether a visit has no point any more: its case failed, or its cell under the second label."""
        return visit.key in self._failed or (visit.probe == A_A and visit.key in self._broken)

    def of(self, key: str) -> list[Line]:
        """Return the visits of a case, in the order in which they were made."""
        kept = self._lines.get(key, [])
        if self._read is None:
            return list(kept)
        return [*kept, *map(self._read, self._places.get(key, ()))]

    def has(self, key: str) -> bool:
        """Return whether a case has any visit."""
        return bool(self._number(key))

    def due(self, key: str) -> int:
        """Return how many visits a case is to have, as far as that is known."""
        return self._due[key]

    def is_whole(self, key: str) -> bool:
        """Return whether a case has all the visits that it is to have."""
        return self._number(key) >= self._due[key]

    def has_failed(self, key: str) -> bool:
        """Return whether a case has failed in a visit."""
        return key in self._failed

    def _number(self, key: str) -> int:
        return len(self._lines.get(key, ())) + len(self._places.get(key, ()))

    def _keep(self, line: Line, place: int | None) -> None:
        if place is None or self._read is None:
            self._lines[line.key].append(line)
        else:
            self._places[line.key].append(place)

    def _is_made(self, key: str, probe: str, round_: int | None) -> bool:
        return bool(self._made.get((key, probe), 0) & _bit(round_))


def _bit(round_: int | None) -> int:
    return 1 if round_ is None else 2 << round_
