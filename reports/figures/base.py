"""What figures share: a drawn figure with its words, ticks, and labels that keep clear of each other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from harness.metrics import show_bytes

LABEL_HEIGHT = 13.5
"""Pixels that one label at a line's end takes."""
CHARACTER = 5.9
"""Mean width of a character at 11.5 px."""


@dataclass(frozen=True)
class Drawn:
    """A figure with its words."""

    id: str
    title: str
    unit: str
    """What is drawn, and what is held fixed."""
    alt: str
    """What a reader who does not see it should know."""
    figure: go.Figure


def tidy(value: float) -> float:
    """Return `value` in five significant digits: more than a pixel shows."""
    short = float(f"{value:.5g}")
    return int(short) if short.is_integer() else short


def short(value: float) -> float:
    """Return `value` in three significant digits: of very many marks nobody sees more, and the page stays small."""
    return float(f"{value:.3g}")


def round_bytes(value: float) -> str:
    """Return a round number of bytes without idle zeros: `512 MiB`."""
    number, _, unit = show_bytes(value).partition(" ")
    return f"{float(number):g} {unit}"


def decade_ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Return at most `most` round numbers between `low` and `high`: 1, 2, 5 a decade, or fewer."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for digits in ((1, 1.5, 2, 3, 4, 5, 6, 8), (1, 2, 3, 5), (1, 2, 5), (1, 3), (1,)):
        marks = [d * 10.0**power for power in range(first, last + 1) for d in digits]
        marks = [mark for mark in marks if low <= mark * 1.0001 and mark <= high * 1.0001]
        if len(marks) <= most:
            return marks
    step = math.ceil((last - first + 1) / most)
    return [10.0**power for power in range(first, last + 1, step)]


def log_span(values: Sequence[float], pad: float = 0.06) -> tuple[float, float]:
    """Return the range of a log axis that holds `values`, in log10, with a margin."""
    low, high = math.log10(min(values)), math.log10(max(values))
    if high - low < 0.3:
        middle = (low + high) / 2
        low, high = middle - 0.15, middle + 0.15
    room = pad * (high - low)
    return low - room, high + room


def spread(positions: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Return `positions` moved apart to at least `gap`, in their order, as little as possible, within low and high.

    Labels that touch are merged into blocks, and each block is centred on the mean of where its labels would be.
    """
    order = sorted(range(len(positions)), key=lambda index: positions[index])
    blocks: list[tuple[list[int], float]] = []
    for index in order:
        members, centre = [index], positions[index]
        while blocks and centre - gap * (len(members) - 1) / 2 < _end(blocks[-1], gap) + gap:
            before, _ = blocks.pop()
            members = before + members
            centre = sum(positions[i] for i in members) / len(members)
            half = gap * (len(members) - 1) / 2
            centre = min(max(centre, low + half), max(high - half, low + half))
        blocks.append((members, centre))
    out = [0.0] * len(positions)
    for members, centre in blocks:
        for place, index in enumerate(members):
            out[index] = centre + gap * (place - (len(members) - 1) / 2)
    return out


def _end(block: tuple[list[int], float], gap: float) -> float:
    members, centre = block
    return centre + gap * (len(members) - 1) / 2
