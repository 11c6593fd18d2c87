"""What the routing section says: who is uneven beyond chance, what drops, and what an uneven load costs."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from harness.declare.loads import rule_of_thumb
from harness.metrics import fixed, show, show_bytes, show_percent, show_ratio
from reports.compare import Comparison
from reports.context import Context
from reports.results import Result
from reports.words import Sentence, Span, capital, count, join_sentences, ratio, sentence

TALLEST = 4.0
"""Bars of the sorted loads are cut at so many times the mean: beyond, the number beside them tells."""
GROWS = 1.05
"""From so many times the peak on, the worst routing is worth a word."""


def finding(context: Context, found: list[Result]) -> Sentence:
    """Return who loads its experts most unevenly, first of those whose own router decides."""
    beside = [result for result in found if result.series.get("load_max_over_mean_null")]
    learned = [result for result in beside if result.case.routing == "learned"]
    worst = max(learned, key=_over_chance) if learned else max(beside or found, key=_busiest)
    phrase, busiest = context.subject(worst).phrase, show("load_max_over_mean", _busiest(worst))
    if not beside and _busiest(worst) <= 1:
        return sentence("Every expert gets the same load.")
    if not beside:
        return sentence(f"The busiest expert gets {busiest} times its share, in {phrase}.")
    random = show("load_max_over_mean", _by_chance(worst))
    if not learned:
        return sentence(
            f"The most uneven load gives one expert {busiest} times its share, in {phrase}; "
            f"the busiest of a random router gets {random} times."
        )
    if _over_chance(worst) <= 1:
        return _within(context, max(learned, key=_busiest))
    return sentence(
        f"Before it learns, the router of {phrase} gives one expert {busiest} times its share; "
        f"chance alone would give {random} times."
    )


def _within(context: Context, result: Result) -> Sentence:
    """Return the busiest expert of all, beside what the draws of a random router there give: the table's numbers."""
    draws = result.series["load_max_over_mean_null"]
    return sentence(
        "No router is more uneven than chance: the busiest expert gets"
        f" {show('load_max_over_mean', _busiest(result))} times its share, in {context.subject(result).phrase},"
        f" where a random router’s gets {fixed(min(draws), 2)} to {fixed(max(draws), 2)}."
    )


def _busiest(result: Result) -> float:
    return result.number("load_max_over_mean") or 0.0


def _by_chance(result: Result) -> float:
    """Return the load of a random router's busiest expert; of draws alone, which have no metric, their mean."""
    told = result.number("load_max_over_mean_null")
    return statistics.fmean(result.series["load_max_over_mean_null"]) if told is None else told


def _over_chance(result: Result) -> float:
    """Return the busiest expert's load over the largest that any draw of a random router gave one."""
    return _busiest(result) / max(result.series["load_max_over_mean_null"])


_PICTURES = (
    " Each picture has one bar an expert, the busiest first, over the mean load (the dashed line); the outline is a"
    f" random router’s, the mean over draws; bars are cut at {TALLEST:g} times the mean."
)


def caption(context: Context, found: list[Result], judged: Sequence[Comparison]) -> Sentence:
    """Return what is dropped, what chance would do, what an uneven load costs and how to read it."""
    said = (_dropped(context, found), _chance(context, found), _slower(judged), _memory(context, found))
    return sentence(
        join_sentences([part for part in said if part], " "),
        _PICTURES if any("expert_load" in result.series for result in found) else "",
        " A random router sends each"
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
    return sentence(Span(f"{phrase} drops {share_words(share)} of its assignments, the most of all.", "strong"))


def _chance(context: Context, found: list[Result]) -> Sentence:
    """Return whether a random router of this run drops what it should: a check of the harness on itself."""
    for result in found:
        draws, rule = result.series.get("drop_rate_null"), rule_of(result)
        if result.case.routing == "iid" and draws and rule is not None:
            low, high, share = min(draws), max(draws), result.number("drop_rate") or 0.0
            word = "within" if low <= share <= high else "outside"
            return sentence(
                f"A random router ({context.subject(result).phrase}) drops {share_words(share)}, {word} the range of "
                f"{count(len(draws), 'draw')} ({share_words(low)} to {share_words(high)}); its mean is exactly "
                f"{share_words(result.number('drop_rate_null') or 0.0)}, and the rule says {share_words(rule)}."
            )
    return ()


def _slower(judged: Sequence[Comparison]) -> Sentence:
    """Return which load takes longest over an even one, where the run has even ones."""
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


def share_words(share: float) -> str:
    """Return a share with one decimal, which is what tells a drop rate from its expectation: `9.8 %`."""
    text = f"{fixed(100 * share, 1)} %"
    return show_percent(share) if text in ("0.0 %", "100.0 %") else text


def rule_of(result: Result) -> float | None:
    """Return 1 / sqrt(2 π λ) for the tokens that compete; None where the capacity factor is not 1."""
    case = result.case
    if case.capacity_factor != 1.0 or not case.top_k or not case.experts:
        return None
    tokens = case.tokens if case.group == "sequence" else case.sequence_tokens
    return rule_of_thumb(tokens, case.top_k, case.experts)
