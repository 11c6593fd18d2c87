"""Phases: where the time goes, forward and backward."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from harness.metrics import show_number, show_percent
from reports.context import Context
from reports.glyph import Tick, linear_ticks
from reports.results import Result
from reports.sections.base import Section
from reports.settings import Setting
from reports.subjects import Subject
from reports.words import Sentence, Span, count, join, sentence

PHASES = ("router", "dispatch", "experts", "combine", "exchange", "other")
Half = Literal["forward", "backward"]


@dataclass(frozen=True, slots=True)
class Row:
    """One case's time in one half of its pass, split; `other` may be negative where phases overlap."""

    subject: Subject
    ms: float | None
    """Of the half, unprofiled; None where the case has no latency, or one of another program: compiled."""
    shares: dict[str, float]
    overhead: float | None
    """Time of the profiled pass over that of the unprofiled one."""

    @property
    def length(self) -> float:
        """What the bar is as long as: milliseconds, or 1 where there are none."""
        return 1.0 if self.ms is None else self.ms

    @property
    def moving(self) -> float:
        """Share spent on choosing and moving rows."""
        return sum(self.shares.get(name, 0.0) for name in ("router", "dispatch", "combine", "exchange"))

    @property
    def times(self) -> dict[str, float]:
        """Milliseconds by phase: its share of the unprofiled time; none where that is not known."""
        return {} if self.ms is None else {phase: share * self.ms for phase, share in self.shares.items()}

    def time(self, phase: str) -> float | None:
        """Return the milliseconds of one phase."""
        return self.times.get(phase)


@dataclass(frozen=True, slots=True)
class Table:
    """The cases of one setting in one half of their pass."""

    half: Half
    where: str
    rows: tuple[Row, ...]
    left_out: int
    top: float
    ticks: tuple[Tick, ...]

    @property
    def phases(self) -> tuple[str, ...]:
        """Those that it has a column for: an exchange only where a layer is spread over ranks."""
        spread = any("exchange" in row.shares for row in self.rows)
        return tuple(phase for phase in PHASES if spread or phase != "exchange")


@dataclass(frozen=True, kw_only=True)
class Phases(Section):
    """The section's data."""

    id: str = "phases"
    name: str = "Phases"
    question: str = "Where does the time go?"

    tables: tuple[Table, ...] = ()


def build(context: Context) -> Phases:
    """Return the phases of the first screen's setting, and of the first one that has a backward pass.

    A run that only trains shows both halves of its pass.
    """
    inference = [setting for setting in context.settings if setting.pass_ == "forward"]
    training = [setting for setting in context.settings if setting.pass_ != "forward"]
    tables = [
        table
        for half, settings in (("forward", inference or training), ("backward", training))
        if (table := _first(context, settings, half))  # type: ignore[arg-type]
    ]
    if not tables:
        why = context.why_without("phases", "phases")
        return Phases(finding=sentence("No phases to show."), missing=why)
    apart = sum(any(map(_doubts, result.notes)) for result in context.results)
    return Phases(finding=_finding(tables), caption=_caption(tables, apart), tables=tuple(tables))


def _doubts(note: str) -> bool:
    """Return whether a note of the probe says that its shares are to be doubted."""
    return note.startswith("phases: ") and (" by the profiler and " in note or "the device computes" in note)


def _first(context: Context, settings: Iterable[Setting], half: Half) -> Table | None:
    """Return the table of the first of `settings` that has one."""
    for setting in settings:
        found = [result for result in context.measured(setting) if _shares(result, half)]
        rows = [_row(context, result, half) for result in context.some(found)]
        if rows:
            top, marks = linear_ticks(max(row.length * (1 + max(0.0, -row.shares.get("other", 0.0))) for row in rows))
            ticks = tuple(
                Tick(100 * mark / top, f"{_short(mark)} ms" if mark == marks[-1] else _short(mark)) for mark in marks
            )
            return Table(half, context.words(setting), tuple(rows), len(found) - len(rows), top, ticks)
    return None


def _row(context: Context, result: Result, half: Half) -> Row:
    part = 1.0 if result.case.pass_ == "forward" else result.number(f"pass_{half}_share")
    ms = None if result.case.compile or part is None or result.ms is None else part * result.ms
    return Row(context.subject(result), ms, _shares(result, half), result.number("phase_overhead"))


def _shares(result: Result, half: Half) -> dict[str, float]:
    suffix = "share" if half == "forward" else "backward_share"
    found = {name: result.number(f"phase_{name}_{suffix}") for name in PHASES}
    return {name: value for name, value in found.items() if value is not None}


def _leaders(rows: Sequence[Row]) -> list[Row]:
    """Return the row with most moving of each MoE family."""
    best: dict[str, Row] = {}
    for row in rows:
        family = row.subject.family
        if family != "dense" and (family not in best or row.moving > best[family].moving):
            best[family] = row
    return list(best.values())


def _finding(tables: list[Table]) -> Sentence:
    rows = tables[0].rows
    leaders = _leaders(rows)
    if not leaders:
        return sentence(f"At {tables[0].where}: {rows[0].subject.variant} spends its time in the experts.")
    alone = Counter(row.subject.family for row in rows)
    parts = [
        f"{'up to ' if alone[row.subject.family] > 1 else ''}{show_percent(round(row.moving, 2))}"
        f" of {row.subject.variant}’s time"
        for row in leaders
    ]
    return sentence(f"At {tables[0].where}: routing and moving tokens takes {join(parts)}.")


def _caption(tables: list[Table], apart: int) -> Sentence:
    halves: dict[Half, list[Row]] = {}
    for table in tables:
        halves.setdefault(table.half, []).extend(table.rows)
    said = [f"{_range([row.shares.get('experts', 0.0) for row in rows])} of the {half} time"
            for half, rows in halves.items()]  # fmt: skip
    return sentence(
        Span(f"The experts’ own work is {join(said)}. ", "strong"),
        "Colour is the experts’ work, grey the price of choosing and moving; other is what no phase claims. Under each"
        " share stand its milliseconds. Shares are taken in a profiled pass and applied to the time of the unprofiled"
        " one",
        _overhead([row for table in tables for row in table.rows]),
        ". A kernel belongs to the phase that launched it, an operator of the backward pass to the one whose result it"
        " differentiates.",
        f" In {count(apart, 'case')} the profile and a clock with the device drained at each border differ by more than"
        " ten points, or the device was mostly idle: the notes on the case say which." if apart else "",
    )  # fmt: skip


def _overhead(rows: list[Row]) -> str:
    known = [row.overhead for row in rows if row.overhead is not None]
    if not known:
        return ""
    low, high = show_number(min(known)), show_number(max(known))
    return f", which is {f'{low} to {high}' if low != high else low} times as fast"


def _range(shares: list[float]) -> str:
    low, high = show_percent(round(min(shares), 2)), show_percent(round(max(shares), 2))
    return low if low == high else f"{low} to {high}"


def _short(mark: float) -> str:
    return f"{mark:g}".replace("e+", "e")  # the last one stands half beyond its scale, on a phone at the page's edge
