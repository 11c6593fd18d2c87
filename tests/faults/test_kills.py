"""SIGKILL at random moments: of the worker, which is replaced, and of the runner, which is resumed."""

from __future__ import annotations

import random
from pathlib import Path

from harness.engine.folder import RUN
from tests.faults.conftest import Size
from tests.faults.killers import finished, killed_after, killing_workers, start
from tests.faults.sweeps import make_plan, suite_file, sweep
from tests.faults.tally import Counts, Tally, Truth, begun, begun_again, count, journaled

SEED = 20260101
RUN_S = 6.0
"""About what an undisturbed run takes, from its command to its end."""


def test_a_killed_worker_is_replaced(folder: Path, sound: Truth, tally: Tally, size: Size) -> None:
    chance, counts = random.Random(SEED), Counts()
    while counts.injected < size.times(1, 50):
        run = folder.with_name(f"run-{counts.injected}")
        with killing_workers(run, chance, size.times(3, 10)) as killer:
            sweep(run, make_plan(probes=size.probes))
        counts += count(run, sound, injected=killer.end())
    tally.add("SIGKILL of the worker", counts)


def test_a_killed_runner_is_resumed(folder: Path, sound: Truth, tally: Tally, size: Size) -> None:
    chance, counts = random.Random(SEED), Counts()
    while counts.injected < size.times(1, 50):
        run = folder.with_name(f"run-{counts.injected}")
        kills, again = _kill_and_resume(run, chance, size)
        counts += count(run, sound, injected=kills, again=again)
    tally.add("SIGKILL of the runner, then --resume", counts)


def _kill_and_resume(folder: Path, chance: random.Random, size: Size) -> tuple[int, int]:
    """Run to the end, killed at random moments; return the kills, and the visits made again that the journal had."""
    at_most, again = size.times(2, 12), 0
    suite = suite_file(folder, probes=size.probes)
    for kills in range(at_most + 1):
        before, kept = begun(folder), journaled(folder)
        begin = ("--resume", folder) if (folder / RUN).exists() else (suite, "-o", folder, "--threads", "1")
        process = start(folder, "run", *begin)
        moment = chance.uniform(0, RUN_S) if kills < at_most else None
        killed = moment is not None and killed_after(process, moment)
        again += begun_again(before, kept, folder)
        if not killed:
            code, errors = finished(process) if moment is None else (process.returncode, "")
            assert code == 0, errors
            return kills, again
    raise AssertionError("the last of the runs is not killed")
