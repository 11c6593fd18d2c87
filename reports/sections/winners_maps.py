"""The maps: contests at settings that differ in their tokens alone, each row one number of experts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from reports.context import Context
from reports.sections.contests import Contest
from reports.sections.winners_cells import Cell, cell_of
from reports.settings import Setting
from reports.words import count, some

MAPS, ROWS, COLUMNS = 6, 24, 6
"""Maps, and rows and columns of one; what is beyond them is counted."""


@dataclass(frozen=True, slots=True)
class Row:
    """One number of experts, and the layers that share a budget there."""

    experts: int
    contestants: tuple[str, ...]
    met: str
    """The contestants in words, of many the first."""
    cells: tuple[Cell | None, ...]
    """One a column; None where that contest was not held."""
    variants: int
    """Variants among them; where there is one, it meets but itself."""


@dataclass(frozen=True, slots=True)
class Map:
    """All contests at settings that differ in their tokens alone."""

    where: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    left_out: int


@dataclass(frozen=True, slots=True)
class Grid:
    """The columns of a map, each an input; the rows with a contest in the columns that are shown; those contests."""

    rows: list[tuple[int, tuple[str, ...]]]
    columns: list[Setting]
    shown: list[Contest]


def rest_of(setting: Setting) -> Setting:
    """Return a setting less its tokens: those of one map share it."""
    return replace(setting, batch=0, tokens=0)


def grid_of(contests: list[Contest]) -> Grid:
    """Return what of these contests a map shows, by tokens and by experts."""
    settings = dict.fromkeys(one.setting for one in contests)
    columns = sorted(settings, key=lambda s: (s.batch * s.tokens, s.batch, s.tokens))
    kept = {*columns[:COLUMNS]}
    shown = [one for one in contests if one.setting in kept]
    rows = list(dict.fromkeys(sorted((one.row for one in shown), key=lambda row: row[0])))
    return Grid(rows, columns, [one for one in shown if one.row in rows[:ROWS]])


def map_of(context: Context, grid: Grid, found: Mapping[tuple[Setting, tuple[int, tuple[str, ...]]], Contest]) -> Map:
    """Return the map of a grid; `found` are its contests once they are judged."""
    places = [(setting.batch, setting.tokens) for setting in grid.columns]
    shown = grid.columns[:COLUMNS]
    return Map(
        where=context.words(grid.shown[0].setting, without=("batch", "tokens")),
        columns=tuple(_column(at, places) for at in places[:COLUMNS]),
        rows=tuple(
            Row(
                *row,
                some(row[1]),
                tuple(cell_of(context, found.get((setting, row))) for setting in shown),
                len({result.case.variant for one in grid.shown if one.row == row for result in one.results}),
            )
            for row in grid.rows[:ROWS]
        ),
        left_out=max(0, len(grid.rows) - ROWS) + max(0, len(grid.columns) - COLUMNS),
    )


def _column(at: tuple[int, int], places: Sequence[tuple[int, int]]) -> str:
    """Return `batch 8`, `196 tokens`, or `8 × 196 tokens` where both vary."""
    batch, tokens = at
    if len({tokens for _, tokens in places}) == 1:
        return f"batch {batch}, {count(batch * tokens, 'token')}"
    return count(tokens, "token") if len({batch for batch, _ in places}) == 1 else f"{batch} × {count(tokens, 'token')}"
