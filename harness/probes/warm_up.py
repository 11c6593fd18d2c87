"""Warm-up: blocks are taken until their times have settled, or until the visit's time is up.

All blocks of a visit are one series. `harness/judge/steady.py` says how much of its start is warm-up; while that is
more than half, or too little is left, further blocks are taken. The rest are the samples; what was left out is kept
beside them.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from harness.judge.steady import MIN_BLOCKS, NEVER_SETTLED, NOT_TESTED, settled_from
from harness.probes.blocks import Blocks
from harness.probes.outcome import Settings

MAX_BLOCKS = 200
"""Of a visit that has settled; one that has not may take as many again."""
LONGER = 1.0
"""What a visit may take beyond its `seconds_per_visit` for its times to settle, as a share of it."""
MOST_S = 5.0
"""And at the most: a case that takes longer to settle is told, not waited for."""

LOOKS = 5
"""Further blocks after each of which a series was looked at, before it is said never to settle: a single look finds one
steady series in twelve unsteady, so many fewer than one in fifty."""


@dataclass(frozen=True, slots=True)
class WarmUp:
    """How the warm-up of a visit ended."""

    blocks: int
    """Left out at the start."""
    note: str | None = None
    """What is to be told: that the times never settled, or that this could not be tested."""


def take_until_steady(blocks: Blocks, settings: Settings) -> WarmUp:
    """Take the blocks of one visit, and return how many of them are warm-up."""
    start = _now(blocks)
    end = start + settings.seconds_per_visit
    last = end + min(MOST_S, LONGER * settings.seconds_per_visit + blocks.device.wakes_s)
    while len(blocks.timed) < settings.min_samples or (_now(blocks) < end and len(blocks.timed) < MAX_BLOCKS):
        blocks.take()
    each = (_now(blocks) - start) / len(blocks.timed)
    while not _is_enough(blocks, settings) and _is_time_left(blocks, each, last):
        blocks.take()
    return _verdict(blocks, settings)


def _is_enough(blocks: Blocks, settings: Settings) -> bool:
    taken, warm_up = len(blocks.timed), settled_from(blocks.times)
    return taken >= MIN_BLOCKS and warm_up is not None and taken - warm_up >= settings.min_samples


def _is_time_left(blocks: Blocks, each: float, last: float) -> bool:
    """Return whether another block can be taken, and where the test wants more than one, all of them."""
    taken = len(blocks.timed)
    more = max(0, MIN_BLOCKS - taken - 1)
    return taken < 2 * MAX_BLOCKS and _now(blocks) + more * each < last


def _now(blocks: Blocks) -> float:
    """Return the host's time, the same for all who take these blocks."""
    return blocks.device.agreed(time.perf_counter())


def _verdict(blocks: Blocks, settings: Settings) -> WarmUp:
    """Return what is left out: nothing of a series that is too short for the test, which would pick its luckiest rest.

    How such a case does over all its rounds, `harness/engine/settling.py` says.
    """
    taken, warm_up = len(blocks.timed), settled_from(blocks.times)
    if taken < MIN_BLOCKS:
        return WarmUp(0, NOT_TESTED)
    if warm_up is not None:
        return WarmUp(max(0, min(warm_up, taken - settings.min_samples)))
    few = taken < MIN_BLOCKS + LOOKS
    return WarmUp(max(0, min(taken // 2, taken - settings.min_samples)), NOT_TESTED if few else NEVER_SETTLED)
