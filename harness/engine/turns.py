"""Turns: which visit of which run comes when, for one run alone, or for two that take turns.

Runs that take turns are of one plan. Each visit is made in all of them, one directly after the other and in random
order, so that whatever the machine does at the time befalls all alike, and their rounds are pairs.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

from harness.declare.visits import Visit
from harness.engine.process import Interrupted
from harness.engine.sweep import DeviceLost, RunResult, Sweep
from harness.record import End


def take_turns(sweeps: Sequence[Sweep], seed: int = 0) -> list[RunResult]:
    """Make all visits that are left and write the runs down, whatever ends them; `seed` is of the order of turns.

    Raises:
        NoSuchDevice: The device is not here, and was not when the runs began.
        WorkerFailed: No worker can be started.
        RunFolderError: A journal cannot be read, or (WriteError) a file of a run cannot be written.
    """
    for sweep in sweeps:
        sweep.take_up()
    with ExitStack() as ending:
        for sweep in sweeps:
            sweep.begin()
            ending.callback(sweep.close)
        end = _make_all(sweeps, random.Random(f"{seed}/turns"))
        for sweep in sweeps:
            sweep.end = end
    return [sweep.result for sweep in sweeps]


def _make_all(sweeps: Sequence[Sweep], draw: random.Random) -> End:
    """Make all visits and return why that ended."""
    try:
        for visit in _visits(sweeps):
            for sweep in draw.sample(sweeps, len(sweeps)):
                sweep.make(visit)
    except Interrupted:
        return sweeps[0].cut_short
    except DeviceLost:
        return "no_device"
    for sweep in sweeps:
        sweep.finish()  # those with the most rounds that are not precise
    return "ok"


def _visits(sweeps: Sequence[Sweep]) -> Iterator[Visit]:
    """Yield the visits that every case has, and then the rounds that any of the runs wants."""

    def is_wanting(key: str, rounds: int) -> bool:
        wanting = any(sweep.is_wanting(key, rounds) for sweep in sweeps)
        if not wanting:
            for sweep in sweeps:
                sweep.finish(key)
        return wanting

    yield from sweeps[0].visits
    for round_ in sweeps[0].further(is_wanting):
        for sweep in sweeps:
            sweep.expect(round_)
        yield from round_
