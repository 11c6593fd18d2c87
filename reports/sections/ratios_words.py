"""What the key ratios say: who beats whom, by how much, and what to make of a small lead."""

from __future__ import annotations

import math
from collections.abc import Sequence

from harness.judge.multiple import flattery
from harness.judge.stats import TRIM
from harness.judge.verdict import MARGIN
from harness.metrics import show_percent, show_spread
from reports.compare import Comparison
from reports.context import Context
from reports.sections.ratios_blocks import Block, against_dense, dense_of, leading, spoken_of
from reports.words import Sentence, Span, capital, count, ratio, sentence

SMALL_LEAD = 5
"""A lead of less than five times what picking the fastest is worth is small: a fifth of it may be luck."""

WORD = {
    "faster": "beats",
    "slower": "is slower than",
    "same": "is level with",
    "undecided": "cannot be told apart from",
}
"""Verdict: what stands between the candidate and the reference in a sentence."""


def finding(block: Block) -> Sentence:
    """Return who beats the dense FFN of equal FLOPs, the one that the page's answer speaks of, or the nearest pair."""
    alike, dense, best = against_dense(block), dense_of(block), spoken_of(block)
    if not alike:
        name = capital(best.candidate.phrase)
        return sentence(f"{name} {WORD[best.verdict]} {best.reference.phrase}, at {best.budget}.")
    more, elsewhere = sum(row.verdict == best.verdict for row in alike) - 1, _elsewhere(block, best)
    if best.verdict == "slower":
        return sentence(f"No layer beats {dense}; {best.candidate.phrase} comes nearest{elsewhere}.")
    rest = {
        "faster": f", as {'does' if more == 1 else 'do'} {more} more of {len(alike)}" if more else "",
        "undecided": f", nor can {more} more of {len(alike)}" if more else "",
        "same": ", and none is ahead of it",
    }[best.verdict]
    return sentence(f"{capital(best.candidate.phrase)} {WORD[best.verdict]} {dense}{rest}{elsewhere}.")


def _elsewhere(block: Block, best: Comparison) -> str:
    """Return who beats a dense FFN that the heading does not speak of; empty where nobody does."""
    rows = [
        row
        for row in block.rows
        if (row.reference.family, row.equal, row.verdict) == ("dense", "FLOPs", "faster")
        and row.reference.variant != best.reference.variant
    ]
    first = min(rows, key=lambda row: row.value, default=None)
    return f"; {first.candidate.phrase} beats {first.reference.variant}" if first else ""


def caption(block: Block) -> Sentence:
    """Return that in numbers, and how the table is read."""
    return sentence(
        _estimated(spoken_of(block)),
        " Left of the heavy line is faster; the needle is the estimate, the bar its 95 % interval; an arrow, or a"
        f" bar’s point, leads off the scale. The grey band is ±{show_percent(MARGIN)}, drawn 7 px wide at the least:"
        " same means that the whole interval lies in it. FLOPs are the candidate’s over the reference’s, called equal"
        " within 10 %. An estimate is"
        f" the {show_percent(TRIM)} trimmed geometric mean of each round’s ratio, which the ratio of two medians need"
        " not equal; intervals are over rounds. The last rows are geometric means, of ratios of medians, over every"
        " setting of the run, with the range that a mean hides.",
    )


def counting(comparisons: int, lost: int) -> str:
    """Return how many comparisons were counted together, and what that cost."""
    if comparisons < 2:
        return ""
    looks = "looks" if lost == 1 else "look"
    more = f"; {lost} of them {looks} different alone, and undecided so" if lost else ""
    return f" All {comparisons} comparisons of this section are counted together (Benjamini and Hochberg){more}."


def flattery_words(block: Block) -> str:
    """Return the warning that the fastest of several was picked by its luck too, where its lead is small."""
    alike = against_dense(block)
    best = leading(alike) if alike else None
    if best is None or best.interval is None or best.verdict != "faster" or len(alike) < 2:
        return ""
    by = flattery(best.interval, len(alike))
    if -math.log(best.value) > SMALL_LEAD * by:
        return ""
    return (
        f" The fastest of {len(alike)} was picked by the rounds that measure it, which flatters it by about"
        f" {show_spread(by)}: measure it and its runner-up again before you quote so small a lead."
    )


def floor_words(context: Context, blocks: Sequence[Block]) -> Sequence[str]:
    """Return below which change no win is claimed, and why; a run without A/A cells is told of in its noise."""
    if context.floor <= MARGIN:
        return ()
    if context.distrusted:
        return (" Nothing is called faster or slower: the run’s A/A cells differ.",)
    withheld = sum(row.in_noise for block in blocks for row in block.rows)
    told = f"; {count(withheld, 'ratio')} would be called otherwise" if withheld else ""
    why = "the run’s A/A cells, a layer against itself, differ by too much to tell less"
    return (f" Nothing below the noise floor of {show_spread(context.floor)} is called faster or slower: {why}{told}.",)


def _estimated(row: Comparison) -> Sentence:
    name, estimate = capital(row.candidate.phrase), ratio(row.value, row.interval)
    at = f"{row.reference.phrase} at {row.budget}, {row.where}"
    if row.verdict == "undecided":
        return sentence(Span(f"{name} {WORD[row.verdict]} {at}: ", "strong"), estimate, Span(".", "strong"))
    return sentence(Span(f"{name} takes ", "strong"), estimate, Span(f" the time of {at}.", "strong"))
