"""The self-check: does the harness, on this machine, keep what it promises of its numbers? A program of its own.

    python -m harness.engine.selfcheck [--quick]

One run by the harness's own protocol (a CPU, rounds in fresh processes, each visiting all cases in random order): a
dense FFN under hundreds of names, and the same with a slow-down planted. Names are paired, and the pairs judged as a
report judges them. Then the same judgements on simulated series. `nox -s selfcheck` keeps the table in docs/method.md.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil

from harness.declare.plan import plan
from harness.declare.suite import parse_suite
from harness.engine.conditions import measuring_environment
from harness.engine.fold import AnyRecord
from harness.engine.progress import Console
from harness.engine.runner import run
from harness.judge.selfcheck import (
    Figure,
    Floor,
    Pair,
    Rounds,
    estimate_spread,
    false_positives,
    found_slow_downs,
    pooled_change,
    simulated_coverage,
    smallest_change,
    smallest_changes,
    stated_change,
    sweeps_with_a_win,
)
from harness.record import OkRecord

SLOWED = {0.0: "by_0", 0.02: "by_2", 0.05: "by_5", 0.10: "by_10"}
"""Planted slow-down: the function of `harness.engine.slowed` that builds it."""
HEAD = """
title = "Does the harness keep what it promises?"
[base]
d_model = 128
d_ff = 512
batch = 8
tokens = 64
dtype = "float32"
[measure]
probes = ["latency"]
rounds = {rounds}
seconds_per_visit = {seconds}
"""
"""A dense FFN of one or two milliseconds: as short as most layers that anybody compares, and hundreds fit in memory."""
WORD_EVERY_S = 15.0


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured and simulated."""

    equals: int = 200
    """Comparisons of a layer with itself."""
    planted: int = 40
    """Comparisons for each planted slow-down."""
    rounds: int = 10
    seconds: float = 0.03
    """Of each visit."""
    processes: int = 12
    """In each, `harness.engine.noise` times a layer against itself, in pairs of calls next to each other."""
    pairs: int = 80
    """Pairs of visits, far from each other, for which the smallest detectable change is stated beside it."""
    cells: int = 50
    """Of a sweep."""
    sweeps: int = 200
    simulated_rounds: tuple[int, ...] = (6, 10, 20)
    simulated: int = 1000
    """Simulated comparisons for each machine and number of rounds."""


QUICK = Size(
    equals=6, planted=2, rounds=2, seconds=0.002, processes=2, pairs=4,
    cells=3, sweeps=4, simulated_rounds=(6,), simulated=20,
)  # fmt: skip
"""Shows that all of it runs; its figures mean nothing."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Rounds of every case of the run."""

    equals: list[Pair]
    planted: dict[float, list[Pair]]
    doctor: list[Floor] = field(default_factory=list)
    """What `harness doctor` says of the noise, each in a process of its own."""

    @property
    def cases(self) -> list[Rounds]:
        """The rounds of all cases of equal work."""
        return [rounds for pair in self.equals for rounds in pair]


class Failed(Exception):
    """Something could not be measured; the message says what and why."""


def rows(figures: Sequence[Figure]) -> list[tuple[str, ...]]:
    """Return the figures as a table, its head first."""
    body = [(figure.what, figure.found, figure.target, figure.word) for figure in figures]
    return [("what", "found", "target", ""), *body]


def check(size: Size) -> list[Figure]:
    """Measure, simulate, and return all figures in the order of the table.

    Raises:
        Busy: Another run holds the device.
        Failed: A case has no times, or a process no noise floor.
    """
    with tempfile.TemporaryDirectory(prefix="selfcheck-") as folder:
        measured = measure(size, Path(folder))
    measured = replace(measured, doctor=floors(size.processes))
    return [_load(), *_figures(measured, size)]


def measure(size: Size, folder: Path) -> Measured:
    """Run the suite in `folder` and return the rounds of each comparison.

    Raises:
        Busy: Another run holds the device.
        Failed: A case has no times.
    """
    result = run(plan(parse_suite(suite(size), "selfcheck.toml")), folder, device_kind="cpu", progress=Quiet())
    rounds: dict[str, Rounds] = {}
    for record in result.records:
        if not isinstance(record, OkRecord) or None in (of_case := record.metrics["latency_ms"].rounds or [None]):
            raise Failed(f"{record.id} has no times in all rounds: {record.reason or result.status}")
        rounds[record.variant] = [float(estimate) for estimate in of_case if estimate is not None]
    return _pair_up(rounds, size)


def floors(processes: int) -> list[Floor]:
    """Return the noise floor that each of so many processes measures; raise Failed where one of them cannot."""
    command = [sys.executable, "-m", "harness.engine.noise", "--device", "cpu"]
    found, told = [], Steps("processes of the noise floor")
    for index in range(processes):
        done = subprocess.run(command, stdout=subprocess.PIPE, env=measuring_environment(), text=True, check=False)
        if done.returncode:
            raise Failed(f"`python -m harness.engine.noise` ended with {done.returncode}; its words stand above")
        floor = json.loads(done.stdout)
        found.append(Floor(floor["pairs"], floor["ratio"], floor["smallest_change"]))
        told(index + 1, processes)
    return found


class Quiet(Console):
    """Progress that leaves out the hundreds of cases that are well."""

    def finished(self, record: AnyRecord) -> None:
        """Say what came of a case that failed."""
        if not isinstance(record, OkRecord):
            super().finished(record)


def suite(size: Size) -> str:
    """Return the suite: a dense FFN under two names for each comparison, and the slowed ones with their base."""
    lines = [HEAD.format(rounds=size.rounds, seconds=size.seconds)]
    for name, layer in _variants(size):
        lines += ["[[variant]]", f'name = "{name}"', f'layer = "{layer}"']
    return "\n".join(lines)


def _variants(size: Size) -> Iterator[tuple[str, str]]:
    for index in range(size.equals):
        yield from ((f"a-{index}", "dense"), (f"b-{index}", "dense"))
    for function in SLOWED.values():
        for index in range(size.planted):
            yield f"{function}-{index}", f"harness.engine.slowed:{function}"


def _pair_up(rounds: Mapping[str, Rounds], size: Size) -> Measured:
    base, *slowed = SLOWED.items()
    return Measured(
        [(rounds[f"a-{index}"], rounds[f"b-{index}"]) for index in range(size.equals)],
        {
            share: [(rounds[f"{name}-{index}"], rounds[f"{base[1]}-{index}"]) for index in range(size.planted)]
            for share, name in slowed
        },
    )


def _load() -> Figure:
    """Return how busy the machine was, this run and all others together."""
    found = f"{psutil.getloadavg()[2]:.1f} on {psutil.cpu_count()} cores"
    return Figure("processes that wanted a core, over a quarter of an hour", found, "about 1: a quiet machine", None)


def _figures(measured: Measured, size: Size) -> Iterator[Figure]:
    yield from false_positives(measured.equals)
    stated, shown = stated_change(measured.equals), smallest_change(estimate_spread(measured.equals))
    what = f"smallest detectable change that a run of {size.rounds} rounds states"
    yield Figure(what, f"{100 * stated:.1f} %", "what the powers stand on", None)
    yield Figure("2.8 standard deviations of the estimates", f"{100 * shown:.1f} %", "a cross-check", None)
    yield from found_slow_downs(measured.planted, stated)
    yield from smallest_changes(measured.doctor)
    yield pooled_change(measured.equals, size.pairs)
    yield from sweeps_with_a_win(measured.cases, size.cells, size.sweeps, Steps("sweeps"))
    yield from simulated_coverage(size.simulated_rounds, size.simulated, Steps("simulated machines"))


class Steps:
    """Says on stderr how far a piece of arithmetic is and how long it will take, every WORD_EVERY_S seconds."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._begun = self._last = time.monotonic()

    def __call__(self, done: int, of: int) -> None:
        """Hear that `done` of `of` steps are done."""
        now = time.monotonic()
        if now - self._last >= WORD_EVERY_S:
            left = (now - self._begun) / done * (of - done)
            print(f"[{done}/{of}] {self._what}, {left:.0f} s left", file=sys.stderr, flush=True)
            self._last = now
