"""What the fronts are drawn over: costs, each with its own noise, and capacities, which have none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.judge.compare import change
from harness.judge.front import Test
from harness.judge.multiple import p_value
from harness.judge.stats import Interval, paired_ratio
from harness.judge.verdict import verdict
from reports.context import Context
from reports.results import Result
from reports.sections.bars import bar_of


@dataclass(frozen=True, slots=True)
class Cost:
    """What a layer costs: how it is read off a case, and how one case's stands to another's."""

    name: str
    noun: str
    unit: str
    of: Callable[[Context, Result], float | None]
    over: Callable[[Context, Result, Result], Test]


@dataclass(frozen=True, slots=True)
class Capacity:
    """What is got for it, known to the last digit."""

    name: str
    noun: str
    of: Callable[[Result], int | None]


def _paired(context: Context, a: Result, b: Result) -> Test:
    ratio = paired_ratio(a.rounds(), b.rounds())
    return Test(ratio, verdict(ratio, floor=context.floor), p_value(a.rounds(), b.rounds()))


def _exact(context: Context, a: Result, b: Result) -> Test:
    ratio = (_held(context, a) or 0.0) / (_held(context, b) or 1.0)
    point = Interval(ratio, ratio, ratio)
    return Test(point, verdict(point), 0.0)


def _windows(_: Context, a: Result, b: Result) -> Test:
    """Return the ratio of two energies: nothing pairs their windows, which are of different minutes."""
    name = "energy_windows_j_per_mtoken"
    found = change(b.series.get(name, []), a.series.get(name, []))
    return Test(None, "undecided", None) if found is None else Test(found.ratio, verdict(found.ratio), found.p)


def _held(context: Context, result: Result) -> float | None:
    return None if result.number("memory_peak_bytes") is None else bar_of(context, result).total or None


LATENCY = Cost("latency", "time", "ms", lambda _, result: result.ms, _paired)
MEMORY = Cost("memory", "memory", "bytes", _held, _exact)
ENERGY = Cost("energy", "energy", "J/Mtoken", lambda _, result: result.number("energy_j_per_mtoken") or None, _windows)
PARAMS = Capacity("params", "parameters", lambda result: result.params)
FLOPS = Capacity("flops", "active FLOPs", lambda result: result.flops)
