"""The table of all cases: its first rows as markup, the rest as data from which the page's script makes rows."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from reports.markup.notes import Notes, notes
from reports.sections.cases import Cases, Row

SHOWN = 250
"""Rows that stand in the page as markup, and that its script shows at once: a browser lays these out in a blink."""
COLUMN = {"experts": 1, "batch": 3, "pass": 4, "status": 11}
"""Filter: the column that holds its value."""


@dataclass(frozen=True, slots=True)
class Rows:
    """The table of all cases as a page carries it."""

    drawn: tuple[Row, ...]
    notes: Notes
    data: dict[str, Any]
    """`shown`; the `columns` of filters; the `keys` of those without one, `[value, rows]` for each run of equal ones;
    and `rest`, the rows that are not drawn: class, notes referred to, own notes, trace, and what its cells say."""


def table(section: Cases) -> Rows:
    """Return the table of `section`."""
    noted = notes(section.rows)
    columns = {one.key: COLUMN[one.key] for one in section.filters if one.key in COLUMN}
    keys = {one.key: _runs([_place(row.filters[one.key], one.values) for row in section.rows])
            for one in section.filters if one.key not in COLUMN}  # fmt: skip
    rest = [_data(section.rows[index], index, noted) for index in range(SHOWN, len(section.rows))]
    return Rows(section.rows[:SHOWN], noted, {"shown": SHOWN, "columns": columns, "keys": keys, "rest": rest})


def cells(row: Row) -> tuple[str, ...]:
    """Return what the row's cells say, from the case's name to its status."""
    numbers = (row.latency, row.spread, row.flops, row.routed, row.rate, row.peak)
    return (row.subject.id, row.experts.text, row.width.text, row.batch.text, row.pass_,
            *(cell.text for cell in numbers), row.word)  # fmt: skip


def look(row: Row) -> str:
    """Return the classes of the mark that stands before the case's name."""
    return f"{row.subject.family} k{row.subject.step}" if row.subject.step else row.subject.family


def _data(row: Row, index: int, noted: Notes) -> list[Any]:
    return [look(row), noted.refers[index], noted.own[index], row.trace, *cells(row)]


def _place(value: str, values: Sequence[str]) -> int:
    return values.index(value) if value in values else -1


def _runs(values: Sequence[int]) -> list[list[int]]:
    return [[value, len(list(run))] for value, run in itertools.groupby(values)]
