"""The rows of the matrix of determinism, and which of them a page has room for: of many that read alike, one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reports.sections.determinism_cells import Cell

ROWS = 40
"""Rows that a reader goes through; of more, those of one family whose cells all say the same are one."""


@dataclass(frozen=True, slots=True)
class Row:
    """One variant in one number format."""

    variant: str
    family: str
    step: int
    own: str
    """What sets the row apart from the variant's others, its number format left out: `capacity 1.25`."""
    detail: str
    cases: tuple[str, ...]
    """Ids of the cases that the row was made of."""
    cells: tuple[Cell, ...]

    @property
    def name(self) -> str:
        """The row in a sentence: `top-1 (capacity 1.25)`."""
        return f"{self.variant} ({self.own})" if self.own else self.variant

    def cell(self, axis: str) -> Cell | None:
        """Return the row's cell on `axis`, or None where it was not measured."""
        return next((cell for cell in self.cells if cell.axis == axis and cell.kind != "no"), None)

    @property
    def reads(self) -> tuple[str, ...]:
        """What rows that read alike share: the family, and a kind a cell."""
        return (self.family, self.own, *(cell.kind for cell in self.cells))

    @property
    def harm(self) -> tuple[float, float]:
        """What is least bit-equal in it, and its largest error: of rows that read alike the worst has the most."""
        shares = [cell.share for cell in self.cells if cell.share is not None]
        return -min(shares, default=1.0), max((cell.max_rel or 0.0 for cell in self.cells), default=0.0)


def alike(rows: Sequence[Row]) -> tuple[tuple[Row, int], ...]:
    """Return ROWS of `rows` at the most, each with how many others it stands for, the worst for those like it."""
    if len(rows) <= ROWS:
        return tuple((row, 0) for row in rows)
    kinds: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        kinds.setdefault(row.reads, []).append(row)
    return tuple((max(some, key=lambda row: row.harm), len(some) - 1) for some in kinds.values())[:ROWS]
