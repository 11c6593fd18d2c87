"""Visits a second that the engine makes where probes do nothing, and what its runner holds; a program of its own.

    python -m tests.benchmarks.throughput [--visits 10000 100000] [--ray 4] [--ray-most 100000] [--keep docs/cluster.md]

A thousand cases, so that only their rounds grow with the visits; every visit has its line on disk, every case its
record. The worker answers at once, with one number that is always the same (tests/null_worker.py), so that next to
nothing is left to judge. Ray's nodes are of one cluster on this machine.

A visit's line is on disk before its device is asked for the next: where the run folder lies on a disk, its `fsync` is
most of what is seen. So it lies in memory, and on a disk for the fewest visits, to tell one from the other.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import psutil

from harness.declare.plan import plan
from harness.declare.planned import Plan
from harness.declare.suite import parse_suite
from harness.engine.fleet import Fleet, LocalFleet
from harness.engine.journal import Line
from harness.engine.keeper import WorkerOptions
from harness.engine.progress import Silent
from harness.engine.runner import run
from tests.reliability import markdown_table, plain_table, write_section

CASES = 1000
SHARES = 4
IN_MEMORY, ON_DISK = Path("/dev/shm"), Path("/var/tmp")
WORKER = Path(__file__).parent.parent / "null_worker.py"


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of one run."""

    where: str
    visits: int
    seconds: float
    held: tuple[int, int]
    """Bytes that the runner held when a tenth of the visits were made, and at the end."""

    def row(self) -> tuple[str, ...]:
        early, late = (f"{held / 2**20:.0f} MiB" for held in self.held)
        return (
            self.where,
            f"{self.visits:,}",
            f"{self.seconds:.1f} s",
            f"{self.visits / self.seconds:,.0f}",
            early,
            late,
        )


HEAD = ("where", "visits", "took", "visits a second", "runner at a tenth", "runner at the end")


class Watch(Silent):
    """Notes what this process holds as visits are made."""

    def __init__(self, visits: int) -> None:
        self._visits, self._made, self.early, self.late = visits, 0, 0, 0

    def visited(self, line: Line) -> None:
        self._made += 1
        if self._made == self._visits // 10:
            self.early = psutil.Process().memory_info().rss
        if self._made == self._visits:
            self.late = psutil.Process().memory_info().rss


def suite(visits: int) -> Plan:
    """Return a plan of so many visits in four shares: a check and rounds of latency for each of a thousand cases."""
    return plan(
        parse_suite(
            f"""
title = "Nothing, often"
[base]
d_model = 16
tokens = 4
[sweep]
batch = {list(range(1, SHARES + 1))}
d_ff = {{ from = 16, to = {16 * CASES // SHARES}, step = 16 }}
[[variant]]
name = "dense"
layer = "dense"
[measure]
probes = ["latency"]
rounds = {visits // CASES - 1}
a_a = 0
""",
            "throughput.toml",
        )
    )


def measure(where: str, visits: int, fleet: Callable[[], Fleet] | None, within: Path = IN_MEMORY) -> Seen:
    """Return what is seen of a run of so many visits, whose folder is `within` another; no fleet: one worker."""
    chosen, watch = suite(visits), Watch(visits)
    options = WorkerOptions(program=(sys.executable, "-S", str(WORKER)))
    with tempfile.TemporaryDirectory(dir=within) as folder:
        start = time.perf_counter()
        result = run(chosen, Path(folder), device_kind="cpu", worker=options, progress=watch, fleet=fleet and fleet())
        seconds = time.perf_counter() - start
    assert (result.end, result.visited) == ("ok", visits), result.end
    where += ", on disk" if within == ON_DISK else ""
    return Seen(where, visits, seconds, (watch.early, watch.late))


def seen(sizes: list[int], nodes: int, most: int) -> Iterator[Seen]:
    """Yield what is seen on this machine's cores, and of at most so many visits through Ray."""
    cores = len(os.sched_getaffinity(0))
    for visits, within in _places(sizes):
        yield _alone("one worker", visits, None, within)
        yield _alone(f"--devices {cores}", visits, partial(LocalFleet, "cpu", cores), within)
    if not nodes:
        return
    from harness.engine.ray_cluster import joined
    from harness.engine.ray_fleet import RayFleet
    from tests.faults.nodes import cluster

    with ExitStack() as held:
        held.enter_context(joined(held.enter_context(cluster(nodes)).address))
        for visits, within in _places([size for size in sizes if size <= most]):
            yield measure(f"Ray, {nodes} nodes", visits, partial(RayFleet, "cpu", threads=1), within)


def _alone(where: str, visits: int, fleet: Callable[[], Fleet] | None, within: Path) -> Seen:
    """Measure in a process of its own, so that what a runner holds is not what an earlier one left."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(measure, where, visits, fleet, within).result()


def _places(sizes: list[int]) -> list[tuple[int, Path]]:
    """Return how many visits to make where: on disk the fewest alone."""
    return [(min(sizes), ON_DISK), *((visits, IN_MEMORY) for visits in sizes)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--visits", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--ray", type=int, default=4, metavar="NODES", help="0: without Ray")
    parser.add_argument("--ray-most", type=int, default=100_000, metavar="VISITS", help="a million take half an hour")
    parser.add_argument("--keep", type=Path, metavar="PAGE", help="Write the table to this page.")
    chosen = parser.parse_args()
    rows: list[tuple[str, ...]] = [HEAD]
    for one in seen(chosen.visits, chosen.ray, chosen.ray_most):
        rows.append(one.row())
        print(plain_table(rows), file=sys.stderr)
    if chosen.keep:
        write_section(chosen.keep, "throughput", markdown_table(rows))


if __name__ == "__main__":
    main()
