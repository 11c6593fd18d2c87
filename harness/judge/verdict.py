"""What a ratio of times, with its interval, allows to say."""

from __future__ import annotations

from typing import Literal

from harness.judge.stats import Interval

Verdict = Literal["faster", "slower", "same", "undecided"]

MARGIN = 0.02
"""Times within 2 % of each other are the same for a design decision."""


def verdict(ratio: Interval | None, margin: float = MARGIN, floor: float = 0.0) -> Verdict:
    """Return the word for `ratio` = candidate's time over reference's time.

    `same` is shown, never assumed: the whole interval lies within the margin (two one-sided tests). `faster` and
    `slower` need the whole interval on one side of 1 and the estimate beyond the margin and beyond `floor`, the
    smallest change that the run's A/A cells could have told from nothing. All else is `undecided`.
    """
    beyond = 1 + max(margin, floor)
    if ratio is None:
        return "undecided"
    if ratio.low > 1 / (1 + margin) and ratio.high < 1 + margin:
        return "same"
    if ratio.high < 1 and ratio.value < 1 / beyond:
        return "faster"
    if ratio.low > 1 and ratio.value > beyond:
        return "slower"
    return "undecided"
