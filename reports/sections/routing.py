"""Routing: how evenly the router loads the experts, and what it drops."""

from __future__ import annotations

from dataclasses import dataclass

from harness.metrics import show, show_count, show_percent
from reports.context import Context, Subject
from reports.read import Result
from reports.sections.base import Section
from reports.words import Sentence, Span, capital, sentence

ROWS = 20
COLUMNS = ("Load, CV", "Busiest over mean", "Dropped", "Experts used", "Entropy, nat")
_METRICS = ("load_cv", "load_max_over_mean", "drop_rate", "distinct_experts", "router_entropy")


@dataclass(frozen=True, slots=True)
class Row:
    """One case's load, each number as printed."""

    subject: Subject
    cells: tuple[str, ...]
    busiest: float
    dropped: float


@dataclass(frozen=True, kw_only=True)
class Routing(Section):
    """The section's data."""

    id: str = "routing"
    name: str = "Routing"
    question: str = "How evenly are the experts loaded?"

    where: str = ""
    columns: tuple[str, ...] = COLUMNS
    rows: tuple[Row, ...] = ()
    left_out: int = 0


def build(context: Context) -> Routing:
    """Return the load of every routed case of the first screen's setting."""
    for setting in context.settings:
        found = [result for result in context.at(setting) if result.number("load_max_over_mean") is not None]
        if found:
            rows = [_row(context, result) for result in found]
            return Routing(
                finding=_finding(rows),
                caption=_caption(rows),
                where=context.words(setting),
                rows=tuple(rows[:ROWS]),
                left_out=max(0, len(rows) - ROWS),
            )
    routed = any(context.identity[result.case.variant].family == "sparse" for result in context.results)
    why = context.why_without("routing", "routing load") if routed else "No layer of this run routes tokens to experts."
    return Routing(finding=sentence("No routing load to show."), missing=why)


def _row(context: Context, result: Result) -> Row:
    cells = []
    for metric in _METRICS:
        value = result.number(metric)
        if metric == "drop_rate" and value is not None:
            cells.append(show_percent(value))
        elif metric == "distinct_experts" and value is not None:
            cells.append(f"{show_count(value)} of {result.case.experts}")
        else:
            cells.append(show(metric, value).removesuffix(" nat"))
    busiest = result.number("load_max_over_mean") or 0.0
    return Row(context.subject(result), tuple(cells), busiest, result.number("drop_rate") or 0.0)


def _finding(rows: list[Row]) -> Sentence:
    worst = max(rows, key=lambda row: row.busiest)
    return sentence(
        f"The busiest expert gets {show('load_max_over_mean', worst.busiest)} times its share, "
        f"in {worst.subject.phrase}."
    )


def _caption(rows: list[Row]) -> Sentence:
    worst = max(rows, key=lambda row: row.dropped)
    text = (
        f"{capital(worst.subject.phrase)} drops {show_percent(worst.dropped)} of its assignments, the most of all. "
        if worst.dropped
        else "No assignment is dropped. "
    )
    return sentence(
        Span(text, "strong"),
        "CV is the standard deviation of the experts’ load over its mean: 0 is even. Load is that of the router as it"
        " was initialised, on the inputs that were timed: a property of the benchmark, not of a trained model.",
    )
