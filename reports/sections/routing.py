"""Routing: how evenly the experts are loaded beside a random router, what is dropped, and what an uneven load costs."""

from __future__ import annotations

from dataclasses import dataclass, replace

from harness.declare.loads import rule_of_thumb
from harness.metrics import show, show_bytes, show_count, show_percent, show_ratio
from reports.compare import Comparison, compare
from reports.context import Context, Subject
from reports.read import Result
from reports.sections.base import Section
from reports.words import Sentence, Span, capital, count, join_sentences, plain, ratio, sentence

ROWS = 24
TALLEST = 4.0
"""Bars of the sorted loads are cut at so many times the mean: beyond, the number beside them tells."""
GROWS = 1.05
"""From so many times the peak on, the worst routing is worth a word."""
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
        found = [result for result in context.at(setting) if result.number("load_max_over_mean") is not None]
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
        finding=_finding(context, found),
        caption=_caption(context, found, rows),
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
            "" if random is None else f"random {random:.1f}",
        ),
        Cell(_plain(result, "router_entropy").removesuffix(" nat")),
        Cell(_plain(result, "router_margin")),
    )


def _plain(result: Result, metric: str) -> str:
    return show(metric, result.number(metric))


def _percent(result: Result, metric: str) -> str:
    value = result.number(metric)
    return "–" if value is None else _share(value)


def _share(share: float) -> str:
    """Return a share with one decimal, which is what tells a drop rate from its expectation: `9.8 %`."""
    text = f"{100 * share:.1f} %"
    return show_percent(share) if text in ("0.0 %", "100.0 %") else text


def _range(result: Result, metric: str) -> str:
    """Return how far the draws of a random router went."""
    draws = result.series.get(metric)
    return f"random {min(draws):.2f} to {max(draws):.2f}" if draws else ""


def _drop_below(result: Result) -> str:
    """Return what a random router drops, exactly, and by the rule of thumb where that speaks of this capacity."""
    expected = result.number("drop_rate_null")
    if not expected:
        return ""
    rule = _rule(result)
    return f"random {_share(expected)}" + ("" if rule is None else f", rule {_share(rule)}")


def _rule(result: Result) -> float | None:
    """Return 1 / sqrt(2 π λ) for the tokens that compete; None where the capacity factor is not 1."""
    case = result.case
    if case.capacity_factor != 1.0 or not case.top_k or not case.experts:
        return None
    tokens = case.tokens if case.group == "sequence" else case.sequence_tokens
    return rule_of_thumb(tokens, case.top_k, case.experts)


def _over_even(context: Context, result: Result) -> Comparison | None:
    """Return the time of a case over that of the same case with an even load, where the run has one."""
    case = result.case
    if case.routing in (None, "balanced"):
        return None
    even = next((o for o in context.timed if o.case == replace(case, routing="balanced", assignment=None)), None)
    return None if even is None else compare(context, result, even)


def _time(over_even: Comparison | None) -> Cell:
    if over_even is None:
        return Cell("–")
    return Cell(plain(ratio(over_even.value, over_even.interval)), over_even.verdict)


def _finding(context: Context, found: list[Result]) -> Sentence:
    """Return who loads its experts most unevenly, first of those whose own router decides."""
    beside = [result for result in found if result.series.get("load_max_over_mean_null")]
    learned = [result for result in beside if result.case.routing == "learned"]
    worst = max(learned or beside or found, key=_busiest)
    phrase, busiest = context.subject(worst).phrase, show("load_max_over_mean", _busiest(worst))
    if not beside:
        return sentence(f"The busiest expert gets {busiest} times its share, in {phrase}.")
    random = show("load_max_over_mean", worst.number("load_max_over_mean_null"))
    if not learned:
        return sentence(
            f"The most uneven load gives one expert {busiest} times its share, in {phrase}; "
            f"the busiest of a random router gets {random} times."
        )
    if _busiest(worst) <= max(worst.series["load_max_over_mean_null"]):
        return sentence(
            f"No router is more uneven than chance: the busiest expert gets {busiest} times its share, in {phrase}, "
            f"and that of a random router {random} times."
        )
    return sentence(
        f"Before it learns, the router of {phrase} gives one expert {busiest} times its share; "
        f"chance alone would give {random} times."
    )


def _busiest(result: Result) -> float:
    return result.number("load_max_over_mean") or 0.0


def _caption(context: Context, found: list[Result], rows: list[Row]) -> Sentence:
    said = (_dropped(context, found), _chance(context, found), _slower(rows), _memory(context, found))
    return sentence(
        join_sentences([part for part in said if part], " "),
        " Each picture has one bar an expert, the busiest first, over the mean load (the dashed line); the outline is a"
        f" random router’s, the mean over draws; bars are cut at {TALLEST:g} times the mean. A random router sends each"
        " token to as many experts, all as likely: its range is over seeded draws, its drop rate exact, and the rule is"
        " 1/√(2πλ), λ assignments an expert, at capacity factor 1. CV is the standard deviation of the load over its"
        " mean; the margin is the median of the last chosen logit less the first that was not. Load is that of the"
        " router as it was initialised, or the one that the suite assigns, on the inputs that were timed: a property of"
        " the benchmark, not of a trained model.",
    )


def _dropped(context: Context, found: list[Result]) -> Sentence:
    worst = max(found, key=lambda result: result.number("drop_rate") or 0.0)
    share = worst.number("drop_rate") or 0.0
    if not share:
        return sentence(Span("No assignment is dropped.", "strong"))
    phrase = capital(context.subject(worst).phrase)
    return sentence(Span(f"{phrase} drops {_share(share)} of its assignments, the most of all.", "strong"))


def _chance(context: Context, found: list[Result]) -> Sentence:
    """Return whether a random router of this run drops what it should: a check of the harness on itself."""
    for result in found:
        draws, rule = result.series.get("drop_rate_null"), _rule(result)
        if result.case.routing == "iid" and draws and rule is not None:
            low, high, share = min(draws), max(draws), result.number("drop_rate") or 0.0
            word = "within" if low <= share <= high else "outside"
            return sentence(
                f"A random router ({context.subject(result).phrase}) drops {_share(share)}, {word} the range of "
                f"{count(len(draws), 'draw')} ({_share(low)} to {_share(high)}); its mean is exactly "
                f"{_share(result.number('drop_rate_null') or 0.0)}, and the rule says {_share(rule)}."
            )
    return ()


def _slower(rows: list[Row]) -> Sentence:
    """Return which load takes longest over an even one, where the run has even ones."""
    judged = [row.over_even for row in rows if row.over_even is not None]
    if not judged:
        return ()
    slower = [one for one in judged if one.verdict == "slower"]
    if not slower:
        return sentence(f"Of {count(len(judged), 'other load')}, none is shown to take longer than the even one.")
    worst = max(slower, key=lambda one: one.value)
    return sentence(
        f"{capital(worst.candidate.phrase)} takes ", ratio(worst.value, worst.interval), " the time of an even load."
    )


def _memory(context: Context, found: list[Result]) -> Sentence:
    """Return whose peak depends most on the routing."""
    grown = [(worst / peak, result, peak, worst) for result in found
             if (worst := result.number("memory_worst_bytes")) and (peak := result.number("memory_peak_bytes"))
             and worst > GROWS * peak]  # fmt: skip
    if not grown:
        return ()
    times, result, peak, worst = max(grown, key=lambda found: found[0])
    return sentence(
        f"At the worst routing, {context.subject(result).phrase} takes {show_bytes(worst)} at its peak: "
        f"{show_ratio(times)} the {show_bytes(peak)} of its own."
    )
