"""The table of cases: one row a case, one cell a run, its time and how it stands to the first run's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from harness.judge.compare import Word
from harness.judge.stats import Interval
from harness.metrics import show, show_spread
from reports.against.entries import Number, numbers_of
from reports.beside.judged import METRIC, Judged
from reports.context import Context
from reports.glyph import Glyph, Scale, glyph, ratio_scale
from reports.results import Result, Run
from reports.sections.coverage import KINDS
from reports.subjects import Subject
from reports.versus.pairs import Pair, pairs
from reports.versus.versus import TIMED, Row

QUIET: tuple[Word, ...] = ("same", "cannot tell", "not comparable")
"""Words of a time that tell of no difference, or that none can be told."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One case in one run."""

    time: str
    """`1.20 ms`; the kind of failure where it has none."""
    spread: str
    """`±0.8 %`."""
    ms: float | None
    fastest: bool
    """Whether it is faster than in every other comparable run."""
    ratio: Interval | None = None
    """Its time over the first run's; None for the first run, and where no ratio is allowed."""
    verdict: Word | None = None
    """Of the time; None for the first run, and where there is none."""
    why: str | None = None
    """Why the case cannot be compared as a whole."""
    numbers: tuple[Number, ...] = ()
    """Numbers without noise that are not the first run's: from what to what."""
    glyph: Glyph | None = None

    @property
    def quiet(self) -> bool:
        """Whether it says nothing but that noise hides all differences, if there are any."""
        return not self.numbers and self.why is None and self.verdict in (None, *QUIET)


@dataclass(frozen=True, slots=True)
class CaseRow:
    """One case in all runs."""

    subject: Subject
    cells: tuple[Cell | None, ...]
    """None where a run's plan has no such case."""

    @property
    def weight(self) -> tuple[bool, float]:
        """What sorts the rows: what differs first, by the largest ratio."""
        far = [max(c.ratio.value, 1 / c.ratio.value) for c in self.cells if c and c.ratio and c.verdict not in QUIET]
        return self.quiet, -max(far, default=0.0)

    @property
    def quiet(self) -> bool:
        """Whether all runs have the case, and none differs from the first."""
        return all(cell is not None and cell.quiet for cell in self.cells)


def table(runs: Sequence[Run], found: Judged) -> tuple[tuple[CaseRow, ...], Scale]:
    """Return a row for every case of any run, those that differ first, and the scale of their glyphs."""
    contexts = [Context(run) for run in runs]
    slots = [{result.key: _alone(result) for result in runs[0].results}]
    subjects = {result.key: contexts[0].subject(result) for result in runs[0].results}
    for number, versus in enumerate(found.versus, start=1):
        rows = _by_case(versus.rows)
        both = {_slot(pair): pair for pair in pairs(runs[0], runs[number])}
        slots.append({key: _cell(pair, rows.get(pair.id, [])) for key, pair in both.items() if pair.candidate})
        subjects |= {key: contexts[number].subject(pair.candidate) for key, pair in both.items()
                     if pair.candidate and key not in subjects}  # fmt: skip
    winners = {race.key: race.leader for race, alone in zip(found.races, found.alone, strict=True) if alone}
    made = [CaseRow(subject, tuple(_won(key, number, cells, winners) for number, cells in enumerate(slots)))
            for key, subject in subjects.items()]  # fmt: skip
    cells = [cell for row in made for cell in row.cells if cell and cell.ratio]
    told = [cell for cell in cells if cell.verdict not in QUIET]
    scale = ratio_scale([cell.ratio.value for cell in told or cells if cell.ratio])
    ordered = sorted(made, key=lambda row: row.weight)
    return tuple(replace(row, cells=tuple(_drawn(cell, scale) for cell in row.cells)) for row in ordered), scale


def _slot(pair: Pair) -> str:
    """Return what a case is filed under: its key in the first run, else its own."""
    side = pair.base or pair.candidate
    assert side is not None
    return side.key


def _by_case(rows: Iterable[Row]) -> dict[str, list[Row]]:
    out: dict[str, list[Row]] = {}
    for row in rows:
        out.setdefault(row.id, []).append(row)
    return out


def _alone(result: Result) -> Cell:
    interval = result.interval(METRIC)
    if not result.ok:
        return Cell(KINDS.get(result.status, result.status), "", None, fastest=False)
    half = (interval.high - interval.low) / 2 / interval.value if interval and interval.value else None
    ends = (interval.low, interval.high) if interval else (None, None)
    spread = "" if half is None else f"±{show_spread(half)}"
    return Cell(show(METRIC, result.ms, *ends), spread, result.ms, fastest=False)


def _cell(pair: Pair, rows: Sequence[Row]) -> Cell:
    assert pair.candidate is not None
    time = next((row for row in rows if row.metric == METRIC), None)
    other = [row for row in rows if row.metric not in (None, *TIMED) and row.verdict not in QUIET]
    return replace(
        _alone(pair.candidate),
        ratio=time.change.ratio if time and time.change else None,
        verdict=time.verdict if time else None,
        why=None if _is_untried(pair) else _why(rows),
        numbers=tuple(numbers_of(other)),
    )


def _is_untried(pair: Pair) -> bool:
    """Return whether neither run came to the case, which is no difference between them."""
    return all(side is not None and side.untried for side in (pair.base, pair.candidate))


def _why(rows: Sequence[Row]) -> str | None:
    """Return why the case cannot be compared as a whole."""
    return next((row.why for row in rows if row.metric is None and row.verdict != "same"), None)


def _won(key: str, number: int, cells: dict[str, Cell], winners: dict[str, int]) -> Cell | None:
    """Return a run's cell, with whether it won its race."""
    return replace(cells[key], fastest=winners.get(key) == number) if key in cells else None


def _drawn(cell: Cell | None, scale: Scale) -> Cell | None:
    if cell is None or cell.ratio is None:
        return cell
    return replace(cell, glyph=glyph(scale, cell.ratio.value, cell.ratio))
