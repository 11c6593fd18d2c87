"""Predicted beside measured: every timed case that closed forms and ceilings can foresee, alone and in groups."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

from harness.case import Case
from harness.declare import plugins
from harness.declare.adapters import ADAPTERS
from harness.declare.costs import cost, unsupported
from harness.declare.exchange import own_ranks
from harness.declare.predict import Bound, predict
from harness.declare.roofs import Roofs
from reports.context import Context
from reports.families import Identity
from reports.results import Result
from reports.settings import setting_of
from reports.subjects import Subject

WAITS: dict[Bound, str] = {
    "compute": "products",
    "memory": "memory",
    "launch": "the host’s operations",
    "exchange": "the exchange",
}
"""What a case waits for, by what bounds it."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One case: its time as predicted, and as measured."""

    subject: Subject
    where: str
    predicted: float
    """ms."""
    measured: float
    """ms."""
    plain: float
    """ms that the roofline of the whole pass alone allows: no launches, no products of few rows."""
    bound: Bound
    too_fast: bool = False
    """Whether it did more FLOP/s, whole interval, than the ceiling that it is predicted by."""

    @property
    def ratio(self) -> float:
        """Measured over predicted."""
        return self.measured / self.predicted

    @property
    def error(self) -> float:
        """The factor that the prediction is off by, either way."""
        return factor(self.ratio)


@dataclass(frozen=True, slots=True)
class Group:
    """The cases of one variant, of many variants those of a family, or those that one thing bounds."""

    name: str
    subject: Subject | None
    """The variant's first case; None for those of a bound."""
    pairs: tuple[Pair, ...]

    @property
    def ratio(self) -> float:
        """The median of measured over predicted."""
        return median(pair.ratio for pair in self.pairs)

    @property
    def error(self) -> float:
        """The median factor that predictions are off by."""
        return median(pair.error for pair in self.pairs)

    @property
    def worst(self) -> Pair:
        """The case whose prediction is farthest off."""
        return max(self.pairs, key=lambda pair: pair.error)


def factor(ratio: float) -> float:
    """Return how far a ratio is from 1, either way, as a factor."""
    return math.exp(abs(math.log(ratio)))


def pairs_of(context: Context) -> list[Pair]:
    """Return every timed case that can be foreseen; none where no ceilings were measured."""
    roofs, kind = context.run.file.roofs, str(context.run.file.device.get("kind", "cpu"))
    if roofs is None:
        return []
    return [
        _pair(context, result, roofs, kind)
        for result in context.timed
        if (result.ms or 0) > 0 and _foreseen(result.case, kind) and roofs.flops_per_s.get(result.case.dtype)
    ]


def _foreseen(case: Case, kind: str) -> bool:
    """Return whether its operations are those that the closed forms count, on the one device that has ceilings."""
    other = case.compile or plugins.is_plugin(case.layer) or case.backend in ADAPTERS
    return not other and own_ranks(case) == 1 and unsupported(case, kind) is None


def _pair(context: Context, result: Result, roofs: Roofs, kind: str) -> Pair:
    found, price = predict(result.case, roofs, device=kind), cost(result.case, kind)
    return Pair(
        subject=context.subject(result),
        where=context.words(setting_of(result.case)),
        predicted=found.seconds * 1e3,
        measured=result.ms or 0.0,
        plain=1e3 * roofs.plain_seconds(price.flops_executed, price.bytes, result.case.dtype),
        bound=found.bound,
        too_fast=_too_fast(result),
    )


def _too_fast(result: Result) -> bool:
    """Return whether its FLOP/s are beyond the measured ceiling; the interval tells, where there is one."""
    interval = result.interval("hfu")
    return ((result.number("hfu") or 0.0) if interval is None else interval.low) > 1


def by_variant(context: Context, pairs: Sequence[Pair]) -> list[Group]:
    """Return the pairs of each variant, of many variants those of each family."""
    groups: dict[Identity, list[Pair]] = {}
    for pair in pairs:
        groups.setdefault(context.told_as(pair.subject.variant), []).append(pair)
    return [
        Group(one.name, replace(members[0].subject, step=one.step), tuple(members)) for one, members in groups.items()
    ]


def by_bound(pairs: Sequence[Pair]) -> list[Group]:
    """Return the pairs by what they wait for."""
    found = {bound: tuple(pair for pair in pairs if pair.bound == bound) for bound in WAITS}
    return [Group(f"waiting for {WAITS[bound]}", None, members) for bound, members in found.items() if members]
