"""A contest as a cell: the fastest, who cannot be told from it, and its lead, in words."""

from __future__ import annotations

from dataclasses import dataclass, replace

from harness.metrics import show
from reports.compare import Comparison
from reports.context import Context
from reports.sections.contests import RIVALS, Contest, own
from reports.subjects import Subject
from reports.words import plain, ratio, some


@dataclass(frozen=True, slots=True)
class Cell:
    """One contest: the fastest, and who cannot be told from it."""

    winner: Subject
    backend: str | None
    """The winner's implementation; None where the whole run has one."""
    ms: float
    low: float | None
    high: float | None
    ties: tuple[Subject, ...]
    """Those that may be as fast, the nearest first; empty where the winner stands alone."""
    next: Comparison | None
    """The winner's time over that of the next fastest; None where it has no rival."""
    contestants: int
    name: str = ""
    """The winner, where the number of experts is said already."""
    tied: str = ""
    """Who cannot be told from the fastest, the nearest by name; empty where the winner stands alone."""
    lead: str = ""
    """The winner's time, its backend where there are several, and its lead, in words."""


def cell_of(context: Context, contest: Contest | None) -> Cell | None:
    """Return a contest's cell; None where it was not held."""
    if contest is None:
        return None
    best = contest.results[0]
    value = best.metrics["latency_ms"]
    backends = context.backends
    cell = Cell(
        winner=context.subject(best),
        backend=best.backend if len(backends) > 1 else None,
        ms=best.ms or 0.0,
        low=value.low,
        high=value.high,
        ties=tuple(row.reference for row in contest.rivals if row.verdict != "faster"),
        next=contest.rivals[0] if contest.rivals else None,
        contestants=len(contest.results),
    )
    return replace(cell, name=short(cell.winner), tied=tie(cell) if cell.ties else "", lead=ahead(cell))


def short(subject: Subject) -> str:
    """Return `soft, 2 slots`: a contestant where the number of experts is said already."""
    return f"{subject.variant}, {detail}" if (detail := own(subject)) else subject.variant


def tie(cell: Cell) -> str:
    """Return `tie of 3: top-1, dropless; expert-choice; soft, 2 slots`, the fastest estimate first."""
    names = [short(subject) for subject in (cell.winner, *cell.ties)]
    beyond = " or more" if len(cell.ties) == RIVALS < cell.contestants - 1 else ""  # no more of them were held
    return f"tie of {len(names)}{beyond}: {some(names, between='; ')}"


def ahead(cell: Cell) -> str:
    """Return the winner's time, its backend where there are several, and its lead: `1.20 ms, 0.81× the next’s`."""
    parts = [show("latency_ms", cell.ms, cell.low, cell.high), *([cell.backend] if cell.backend else [])]
    row = cell.next
    if row and not cell.ties:
        parts.append(f"{plain(ratio(row.value, row.interval))} the next’s")
    return ", ".join(parts)
