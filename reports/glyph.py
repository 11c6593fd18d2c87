"""Geometry of the inline-SVG interval: positions in per cent, so that a glyph stretches with its cell."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from harness.judge.stats import Interval

EDGE = 2.0
"""Per cent left free at both ends of a scale, so that the outermost labels are not cut."""
TICKS: dict[float, tuple[float, ...]] = {
    1.25: (0.8, 0.9, 1, 1.1, 1.25),
    2.0: (0.5, 0.7, 1, 1.4, 2),
    4.0: (0.25, 0.5, 1, 2, 4),
    5.0: (0.2, 0.5, 1, 2, 5),
    10.0: (0.1, 0.3, 1, 3, 10),
    100.0: (0.01, 0.1, 1, 10, 100),
}
"""Ratios at which a scale may end, and the marks on it; the smallest that holds enough of the estimates is taken."""
THIN = 3.0
"""Per cent of a scale below which a band is drawn darker, to be seen at all."""
HELD = 0.6
"""Share of the estimates that a scale must hold; the others become arrows."""


@dataclass(frozen=True, slots=True)
class Tick:
    """A labelled position on a scale."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Scale:
    """A logarithmic scale from 1 / reach to reach, or a linear one from 0 to reach."""

    reach: float
    ticks: tuple[Tick, ...]

    def at(self, ratio: float) -> float:
        """Return the position of `ratio` in per cent; beyond the ends it is not clipped."""
        return EDGE + (100 - 2 * EDGE) * (math.log(ratio) / math.log(self.reach) + 1) / 2


@dataclass(frozen=True, slots=True)
class Glyph:
    """Positions of one interval on a Scale."""

    needle: float | None
    """Position of the estimate; None where it lies beyond the scale and an arrow stands for it."""
    left: float
    right: float
    arrow: str | None
    """`left` or `right` where the estimate lies beyond the scale."""
    cut: tuple[str, ...] = ()
    """The sides, `left` and `right`, on which the interval leaves the scale."""


def ratio_scale(values: Iterable[float], held: Iterable[float] = ()) -> Scale:
    """Return the smallest scale, with 1 in the middle, that holds most of `values` and all of `held`."""
    needs = sorted(max(value, 1 / value) for value in values if value > 0)
    wanted = max([1.0, *needs[: math.ceil(HELD * len(needs))], *(max(value, 1 / value) for value in held if value > 0)])
    reach = next((reach for reach in TICKS if reach >= wanted), max(TICKS))
    scale = Scale(reach, ())
    return Scale(reach, tuple(Tick(scale.at(mark), f"{mark:g}") for mark in TICKS[reach]))


def band(scale: Scale, share: float) -> float:
    """Return the width, in per cent of the scale, of the band around 1 of changes up to `share`, or without end."""
    beyond = 1 + min(share, scale.reach)
    return min(100.0, scale.at(beyond)) - max(0.0, scale.at(1 / beyond))


def glyph(scale: Scale, value: float, interval: Interval | None) -> Glyph:
    """Return where `value` and its interval stand on `scale`."""
    at = scale.at(value)
    low, high = (scale.at(interval.low), scale.at(interval.high)) if interval else (at, at)
    arrow = "left" if at < 0 else "right" if at > 100 else None
    cut = (*(("left",) if low < 0 else ()), *(("right",) if high > 100 else ()))
    return Glyph(None if arrow else at, max(0.0, min(100.0, low)), max(0.0, min(100.0, high)), arrow, cut)


def linear_ticks(top: float, steps: int = 4) -> tuple[float, list[float]]:
    """Return a round end of a scale from zero that holds `top`, and the marks on it."""
    if top <= 0:
        return 1.0, [0.0, 1.0]
    raw = top / steps
    power = 10 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * 0.999)
    marks = [index * step for index in range(int(top / step * 1.0001) + 1)]
    return max(top, marks[-1]) * 1.02, marks
