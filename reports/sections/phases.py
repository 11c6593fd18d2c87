"""Phases: where the time goes."""

from __future__ import annotations

from dataclasses import dataclass

from harness.metrics import show_percent
from reports.context import Context, Subject
from reports.glyph import Tick, linear_ticks
from reports.read import Result
from reports.sections.base import Section
from reports.words import Sentence, Span, capital, join, sentence

PHASES = ("router", "dispatch", "experts", "combine", "other")
ROWS = 20


@dataclass(frozen=True, slots=True)
class Row:
    """One case's forward time, split; `other` may be negative where phases overlap."""

    subject: Subject
    ms: float | None
    shares: dict[str, float]

    @property
    def length(self) -> float:
        """What the bar is as long as: milliseconds, or 1 where the case has no latency."""
        return 1.0 if self.ms is None else self.ms

    @property
    def moving(self) -> float:
        """Share spent on choosing and moving rows."""
        return sum(self.shares.get(name, 0.0) for name in ("router", "dispatch", "combine"))


@dataclass(frozen=True, kw_only=True)
class Phases(Section):
    """The section's data."""

    id: str = "phases"
    name: str = "Phases"
    question: str = "Where does the time go?"

    where: str = ""
    rows: tuple[Row, ...] = ()
    top: float = 1.0
    ticks: tuple[Tick, ...] = ()


def build(context: Context) -> Phases:
    """Return the phases of the first screen's setting."""
    for setting in context.settings:
        rows = [_row(context, result) for result in context.at(setting) if _shares(result)][:ROWS]
        if rows and setting.pass_ == "forward":
            top, marks = linear_ticks(max(row.length * (1 + max(0.0, -row.shares.get("other", 0.0))) for row in rows))
            return Phases(
                finding=_finding(rows),
                caption=_caption(rows),
                where=context.words(setting),
                rows=tuple(rows),
                top=top,
                ticks=tuple(Tick(100 * mark / top, f"{mark:g}") for mark in marks),
            )
    why = context.why_without("phases", "phases")
    return Phases(finding=sentence("No phases to show."), missing=why)


def _row(context: Context, result: Result) -> Row:
    return Row(context.subject(result), result.ms, _shares(result))


def _shares(result: Result) -> dict[str, float]:
    found = {name: result.number(f"phase_{name}_share") for name in PHASES}
    return {name: value for name, value in found.items() if value is not None}


def _leaders(rows: list[Row]) -> list[Row]:
    """Return the row with most moving of each MoE family."""
    best: dict[str, Row] = {}
    for row in rows:
        family = row.subject.family
        if family != "dense" and (family not in best or row.moving > best[family].moving):
            best[family] = row
    return list(best.values())


def _finding(rows: list[Row]) -> Sentence:
    leaders = _leaders(rows)
    if not leaders:
        return sentence(f"{capital(rows[0].subject.variant)} spends its time in the experts.")
    parts = [f"up to {show_percent(round(row.moving, 2))} of {row.subject.variant}’s time" for row in leaders]
    return sentence(f"Routing and moving tokens takes {join(parts)}.")


def _caption(rows: list[Row]) -> Sentence:
    low = min(row.shares.get("experts", 0.0) for row in rows)
    high = max(row.shares.get("experts", 0.0) for row in rows)
    return sentence(
        Span(f"The experts’ own work is {show_percent(round(low, 2))} to {show_percent(round(high, 2))} of the time. ",
             "strong"),
        "Colour is the experts’ work, grey the price of choosing and moving; other is what no phase claims. Shares are"
        " taken in a pass of their own and applied to the time of the uninstrumented layer.",
    )  # fmt: skip
