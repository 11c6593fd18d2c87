"""Routing: how evenly the experts are loaded beside a random router, what is dropped, and what an uneven load costs."""

from __future__ import annotations

from dataclasses import dataclass, replace

from harness.metrics import fixed, show, show_count
from reports.compare import Comparison, compare
from reports.context import Context
from reports.results import Result
from reports.sections.base import Section
from reports.sections.routing_words import TALLEST, caption, finding, rule_of, share_words
from reports.settings import setting_of
from reports.subjects import Subject
from reports.words import plain, ratio, sentence

ROWS = 24
COLUMNS = ("Busiest over mean", "Load, CV", "Dropped", "Tokens lost", "Experts used", "Entropy, nat", "Margin",
           "Time over even")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cell:
    """A number as printed, and what stands below it: what a random router gives."""

    text: str
    below: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One case's load beside that of a balanced random router."""

    subject: Subject
    load: tuple[float, ...]
    """Each expert's load over the mean, the busiest first; empty where the run kept none."""
    random: tuple[float, ...]
    """The same of a random router, the mean over draws."""
    cells: tuple[Cell, ...]
    over_even: Comparison | None
    """Its time over that of the same case with an even load."""


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
    top: float = 1.0
    """Height of the sorted loads' scale, in means."""


def build(context: Context) -> Routing:
    """Return the load of every routed case of the first screen's setting."""
    for setting in context.settings:
        alike = context.at(setting) or [each for each in context.results if setting_of(each.case) == setting]
        found = [result for result in alike if result.number("load_max_over_mean") is not None]
        if found:
            return _section(context, found, context.words(setting))
    routed = any(context.identity[result.case.variant].family == "sparse" for result in context.results)
    why = context.why_without("routing", "routing load") if routed else "No layer of this run routes tokens to experts."
    return Routing(finding=sentence("No routing load to show."), missing=why)


def _section(context: Context, found: list[Result], where: str) -> Routing:
    rows = [_row(context, result) for result in found]
    kept = [n for n in range(len(COLUMNS)) if any(row.cells[n].text != "–" for row in rows)]
    rows = [replace(row, cells=tuple(row.cells[n] for n in kept)) for row in rows]
    return Routing(
        finding=finding(context, found),
        caption=caption(context, found, [row.over_even for row in rows if row.over_even is not None]),
        where=where,
        columns=tuple(COLUMNS[n] for n in kept),
        rows=tuple(rows[:ROWS]),
        left_out=max(0, len(rows) - ROWS),
        top=min(TALLEST, max((load for row in rows for load in row.load), default=1.0)),
    )


def _row(context: Context, result: Result) -> Row:
    load = result.series.get("expert_load", [])
    mean = sum(load) / len(load) if load else 1.0
    over_even = _over_even(context, result)
    return Row(
        subject=context.subject(result),
        load=tuple(sorted((each / mean for each in load), reverse=True)),
        random=tuple(result.series.get("expert_load_null", ())),
        cells=(*_cells(result), _time(over_even)),
        over_even=over_even,
    )


def _cells(result: Result) -> tuple[Cell, ...]:
    used, random = result.number("distinct_experts"), result.number("distinct_experts_null")
    return (
        Cell(_plain(result, "load_max_over_mean"), _range(result, "load_max_over_mean_null")),
        Cell(_plain(result, "load_cv"), _range(result, "load_cv_null")),
        Cell(_percent(result, "drop_rate"), _drop_below(result)),
        Cell(_percent(result, "fully_dropped")),
        Cell(
            "–" if used is None else f"{show_count(used)} of {result.case.experts}",
            "" if random is None else f"random {fixed(random, 1)}",
        ),
        Cell(_plain(result, "router_entropy").removesuffix(" nat")),
        Cell(_plain(result, "router_margin")),
    )


def _plain(result: Result, metric: str) -> str:
    return show(metric, result.number(metric))


def _percent(result: Result, metric: str) -> str:
    value = result.number(metric)
    return "–" if value is None else share_words(value)


def _range(result: Result, metric: str) -> str:
    """Return how far the draws of a random router went."""
    draws = result.series.get(metric)
    return f"random {fixed(min(draws), 2)} to {fixed(max(draws), 2)}" if draws else ""


def _drop_below(result: Result) -> str:
    """Return what a random router drops, exactly, and by the rule of thumb where that speaks of this capacity."""
    expected = result.number("drop_rate_null")
    if not expected:
        return ""
    rule = rule_of(result)
    return f"random {share_words(expected)}" + ("" if rule is None else f", rule {share_words(rule)}")


def _over_even(context: Context, result: Result) -> Comparison | None:
    """Return the time of a case over that of the same case with an even load, where the run has one."""
    case = result.case
    if case.routing in (None, "balanced"):
        return None
    even = context.by_case.get(replace(case, routing="balanced", assignment=None))
    return None if even is None else compare(context, result, even)


def _time(over_even: Comparison | None) -> Cell:
    if over_even is None:
        return Cell("–")
    return Cell(plain(ratio(over_even.value, over_even.interval)), over_even.verdict)
