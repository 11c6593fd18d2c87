"""The frontier of memory: along one axis, which cases ran, which ran out of memory, which were not tried for it."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from itertools import product
from operator import attrgetter
from typing import Any, Literal

from harness.case import Case
from harness.declare.frontier import GROWING
from reports.context import Context
from reports.results import Result
from reports.settings import PASS_WORDS, setting_of
from reports.subjects import Subject, axes_words

ROWS = 12
"""Rows drawn; the other cases stand in the table of all cases."""
State = Literal["ran", "full", "left", "other"]

_NAMING = ("size",)
Line = tuple[str, object]
_REST = {axis: attrgetter(*(field.name for field in fields(Case) if field.name not in (axis, *_NAMING)))
         for axis in GROWING}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Step:
    """One case on the axis."""

    value: str
    state: State
    """ran; full: ran out of memory; left: not tried, for a smaller one had; other: no numbers for another reason."""
    words: str
    """What a reader who does not see it should know."""
    id: str


@dataclass(frozen=True, slots=True)
class Row:
    """The cases that differ along one axis alone, smallest first."""

    subject: Subject
    axis: str
    where: str
    """What they share."""
    steps: tuple[Step, ...]


def build(context: Context) -> tuple[Row, ...]:
    """Return one row for each line of cases on which memory ran out: along the axis on which there are most of them."""
    full = [result for result in context.results if result.status == "oom"]
    rows: dict[Line, Row] = {}
    wanted = {_line(result.case, axis) for result in full for axis in GROWING}
    by_line: dict[Line, list[Result]] = {}
    for result, axis in product(context.results if full else (), GROWING):
        if (line := _line(result.case, axis)) in wanted:
            by_line.setdefault(line, []).append(result)
    drawn: set[str] = set()
    for result in full:
        if result.id not in drawn:
            lines = {axis: by_line[_line(result.case, axis)] for axis in GROWING}
            axis = max(lines, key=lambda name: len(lines[name]))
            if len(lines[axis]) > 1:
                rows[_line(result.case, axis)] = _row(context, axis, lines[axis])
                drawn |= {one.id for one in lines[axis]}
    return tuple(rows.values())


def _row(context: Context, axis: str, line: list[Result]) -> Row:
    line = sorted(line, key=lambda result: _order(axis, getattr(result.case, axis)))
    first = line[0]
    detail = replace(context.subject(first), detail="")
    fields_ = {"d_model": ("size",)}.get(axis, (axis,))
    where = context.words(setting_of(first.case), without=fields_)
    axes = dict.fromkeys(("experts", "top_k", "slots", *context.own_axes[first.case.variant]))
    own = axes_words(first.case, [name for name in axes if name not in (axis, *fields_)])
    shared = ", ".join(part for part in (own, where) if part)
    return Row(detail, axis.rstrip("_"), shared, tuple(_step(axis, result) for result in line))


def _step(axis: str, result: Result) -> Step:
    value = getattr(result.case, axis)
    words: dict[State, str] = {"ran": "ran", "full": "out of memory", "left": "not tried", "other": result.status}
    state: State = "other"
    if result.ok:
        state = "ran"
    elif result.status == "oom":
        state = "full"
    elif result.end in ("pruned", "too_large"):
        state = "left"
    return Step(PASS_WORDS.get(value, str(value)), state, words[state], result.id)


def _order(axis: str, value: Any) -> Any:
    return list(PASS_WORDS).index(value) if axis == "pass_" else value or 0


def _line(case: Case, axis: str) -> Line:
    """Return the axis and what the cases of one line share: the size's name goes with the width that it names."""
    return axis, _REST[axis](case)
