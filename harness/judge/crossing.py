"""Where two curves cross along a swept axis, as an interval of the axis and never as a point.

Between measured places the log of the curves' ratio is taken as straight in the log of the axis, and so are the ends of
its interval. Two curves cross where that band leaves one side of 1 and reaches the other: the places at which it holds
1 are the interval of the crossing (Fieller's way, read off a band).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from harness.judge.stats import Interval
from harness.judge.verdict import Verdict

Course = Literal["crosses", "never", "level", "undecided"]
"""crosses: once or more; never: one curve is ahead at every place; level: the same within the margin at every place;
undecided: the rounds cannot tell."""


@dataclass(frozen=True, slots=True)
class Crossing:
    """One change of sides."""

    at: Interval
    """On the axis."""
    ahead: Literal["before", "after"]
    """On which side of it the first curve is the lower one."""


@dataclass(frozen=True, slots=True)
class Found:
    """What two curves do to each other over the places that both have."""

    course: Course
    crossings: tuple[Crossing, ...] = ()
    ahead: bool | None = None
    """Where they never cross: whether the first curve is the lower one."""


def crossings(xs: Sequence[float], ratios: Sequence[Interval], words: Sequence[Verdict]) -> Found:
    """Return where the first curve crosses the second.

    Args:
        xs: The axis, positive and rising, at least two places.
        ratios: First over second at each of them, positive.
        words: The verdict of each ratio, after whatever else was compared has been counted: a change of sides needs a
            sure one on either side of it.

    Raises:
        ValueError: There are fewer than two places, or they do not rise.
    """
    if len(xs) < 2 or any(b <= a for a, b in pairwise(xs)) or xs[0] <= 0:
        raise ValueError("an axis has two places at least, positive and rising")
    sure = [index for index, word in enumerate(words) if word in ("faster", "slower")]
    turns = [(a, b) for a, b in pairwise(sure) if words[a] != words[b]]
    if turns:
        return Found("crosses", tuple(_crossing(xs, ratios, words, a, b) for a, b in turns))
    if len(sure) == len(xs):
        return Found("never", ahead=words[0] == "faster")
    return Found("level" if all(word == "same" for word in words) else "undecided")


def _crossing(
    xs: Sequence[float], ratios: Sequence[Interval], words: Sequence[Verdict], first: int, last: int
) -> Crossing:
    """Return the crossing between two places, at which the ratio is surely on one side and surely on the other."""
    rises = words[first] == "faster"
    logs = [math.log(x) for x in xs[first : last + 1]]
    lows, values, highs = (
        [math.log(end) for end in ends]
        for ends in zip(*((r.low, r.value, r.high) for r in ratios[first : last + 1]), strict=True)
    )
    early, late = (highs, lows) if rises else (lows, highs)
    ends = _zero(logs, early, first=True), _zero(logs, values, first=True), _zero(logs, late, first=False)
    low, value, high = sorted(math.exp(end) for end in ends)
    return Crossing(Interval(value, low, high), "before" if rises else "after")


def _zero(xs: Sequence[float], ys: Sequence[float], *, first: bool) -> float:
    """Return where the line through the points meets zero: the first place, or the last."""
    found = [
        a + (b - a) * (p / (p - q)) for (a, p), (b, q) in pairwise(zip(xs, ys, strict=True)) if p * q <= 0 and p != q
    ]
    return found[0] if first else found[-1]
