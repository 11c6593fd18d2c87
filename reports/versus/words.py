"""What is said of a comparison in words, whatever prints it: its noise, its drift, a number's change."""

from __future__ import annotations

import math

from harness.judge.verdict import MARGIN
from harness.metrics import show, show_percent, show_ratio, show_spread
from reports.versus.headline import ALL
from reports.versus.versus import EXACT, Row, Versus
from reports.words import count, join

TO_TELL = 0.005
"""Drift that is told: half a per cent."""


def noise_sentence(versus: Versus) -> str | None:
    """Return below which change nothing is told, and why; None where that is no more than always."""
    if versus.noise.distrusted:
        which = join(versus.noise.distrusted)
        return f"Nothing is called faster or slower: the A/A cells of {which}, layers against themselves, differ."
    if versus.noise.floor <= MARGIN:
        return None
    share = show_spread(versus.noise.floor)
    return (
        f"No time is called faster or slower by less than the noise floor of {share}: the runs' A/A cells, layers "
        "against themselves, could not be told apart by less."
    )


def drift_sentence(versus: Versus) -> str | None:
    """Return what happened to all times alike, or None where that is next to nothing."""
    if versus.drift is None or abs(versus.drift - 1) < TO_TELL:
        return None
    told = f"The median of all ratios is {show_ratio(versus.drift)}"
    if any(one.name == ALL and one.verdict == "cannot tell" for one in versus.headlines):
        return f"{told}, which the noise of the two runs would explain; ratios are shown uncorrected."
    if abs(math.log(versus.drift)) <= math.log1p(MARGIN):
        return f"{told}; ratios are shown uncorrected."
    share, word = show_percent(abs(versus.drift - 1)), "slower" if versus.drift > 1 else "faster"
    return f"{told}: this run is {share} {word} {_how_far(versus, versus.drift)}; ratios are shown uncorrected."


def _how_far(versus: Versus, drift: float) -> str:
    """Return `throughout` where every time moved with the median, else how many did: half of them make a median."""
    ratios = [row.change.ratio.value for row in versus.rows if row.metric == "latency_ms" and row.change]
    moved = sum(ratio > 1 if drift > 1 else ratio < 1 for ratio in ratios)
    if moved == len(ratios):
        return "throughout"
    return f"in the median, with {moved} of {count(len(ratios), 'time')} {'above' if drift > 1 else 'below'} 1×"


def by(row: Row) -> str:
    """Return `: 64 B more` for a number without noise, whose change may be too small to be seen in its digits."""
    base, candidate = row.base, row.candidate
    if row.metric not in EXACT or not isinstance(base, int | float) or not isinstance(candidate, int | float):
        return ""
    return f": {show(row.metric, abs(candidate - base))} {'more' if candidate > base else 'less'}"
