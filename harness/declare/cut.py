"""The cut: a plan in shares that can be measured on different devices, since nothing is compared across them.

Cases at equal work are compared, so they stay together; so do those that a claim about a time sets side by side. A
share is a plan of its own, with rounds and A/A cells of its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace

from harness.case import Case
from harness.declare.faults import Place
from harness.declare.format import Claim, Measure, Suite
from harness.declare.planned import Plan, PlannedCase
from harness.declare.selection import Rule
from harness.declare.visits import CACHE_BYTES, Visit, Visits, a_a_cells, equal_work, further_rounds
from harness.metrics import METRICS

AXES_OF = {"size": "d_model", "pass": "pass_"}
"""Axes of a suite that go by another name in `equal_work`."""
PASSES = {"check": 2, "flops": 2, "memory": 4, "routing": 2, "phases": 20, "determinism": 60, "compile": 20}
"""About how many forward passes a visit makes beside a timed one's; only the order of shares hangs on it."""
VISIT_S = 0.02
"""About what any visit takes for itself."""
UNPRICED_FLOPS_PER_S = 1e11
"""For a price where the device's ceilings are not known: shares need only be told apart."""


@dataclass(frozen=True, slots=True)
class Share:
    """Cases that stay on one device."""

    plan: Plan
    """Of these cases alone."""
    keys: list[str]
    """Content keys of its cases."""
    visits: Visits
    cells: frozenset[str]
    """Keys of the cases that are visited twice in every round."""
    seconds: float
    """What its visits will take, roughly."""
    cache_bytes: int
    hurried: bool

    def further(self, is_wanting: Callable[[str, int], bool]) -> Iterator[list[Visit]]:
        """Yield the rounds beyond `visits`, as `further_rounds` does."""
        start = self.visits.start + len(self.visits)
        return further_rounds(self.plan, start, is_wanting, self.cache_bytes, self.hurried)


def cut(plan: Plan, cache_bytes: int = CACHE_BYTES, *, in_budget: bool = False) -> list[Share]:
    """Return the shares of `plan`, the one that will take longest first; cases without visits are in none."""
    running = [planned for planned in plan.cases if planned.runs]
    parts = [replace(plan, cases=group) for group in _together(plan.suite, running)]
    parts.sort(key=_seconds, reverse=True)
    shares: list[Share] = []
    start = 0
    for part in parts:
        made = Visits(part, cache_bytes, in_budget, start)
        start += len(made)
        keys, twice = [planned.case.key for planned in part.cases], a_a_cells(part, cache_bytes)
        shares.append(Share(part, keys, made, twice, _seconds(part), cache_bytes, in_budget))
    return shares


def _together(suite: Suite, cases: list[PlannedCase]) -> list[list[PlannedCase]]:
    """Return the cases in groups, each of those that are compared with each other, directly or by way of others."""
    group_of = {planned.case.key: tuple(equal_work(planned.case).values()) for planned in cases}
    leader = {group: group for group in group_of.values()}

    def find(group: tuple[object, ...]) -> tuple[object, ...]:
        while leader[group] != group:
            group = leader[group]
        return group

    for side_by_side in _claimed(suite, [planned.case for planned in cases]):
        first, *rest = [find(group_of[case.key]) for case in side_by_side]
        for other in rest:
            leader[find(other)] = find(first)
    found: dict[tuple[object, ...], list[PlannedCase]] = defaultdict(list)
    for planned in cases:
        found[find(group_of[planned.case.key])].append(planned)
    return list(found.values())


def _claimed(suite: Suite, cases: list[Case]) -> Iterator[list[Case]]:
    """Yield the cases that each claim about a time compares."""
    for claim in suite.claims:
        if claim.metric is None or METRICS[claim.metric].exact:
            continue
        moving = {AXES_OF.get(axis, axis) for axis in (claim.along, *claim.moving) if axis}
        held: dict[tuple[object, ...], list[Case]] = defaultdict(list)
        for case in _about(suite, claim, cases):
            work = equal_work(case)
            every = claim.expect == "correlates"
            held[tuple(value for axis, value in work.items() if not every and axis not in moving)].append(case)
        yield from held.values()


def _about(suite: Suite, claim: Claim, cases: Iterable[Case]) -> Iterator[Case]:
    """Yield the cases of either side of a claim."""
    place = Place(suite.path.name, None, claim.id)
    sides = [Rule.read(text, place) for text in (claim.where, claim.against) if text]
    for case in cases:
        if claim.where is None or any(rule.holds(case) for rule in sides):
            yield case


def _seconds(plan: Plan) -> float:
    """Return what a plan's visits will take, roughly, in seconds."""
    return sum(_seconds_of(planned, plan.suite.measure) for planned in plan.cases)


def _seconds_of(planned: PlannedCase, measure: Measure) -> float:
    one = _pass_seconds(planned)
    singles = sum(VISIT_S + PASSES.get(probe, 0) * one for probe in _singles(measure.probes))
    timed = VISIT_S + max(measure.seconds_per_visit, measure.min_samples * one)
    return singles + ("latency" in measure.probes) * measure.rounds * timed


def _singles(probes: Collection[str]) -> list[str]:
    return ["check", *(probe for probe in probes if probe != "latency")]


def _pass_seconds(planned: PlannedCase) -> float:
    if planned.seconds is not None:
        return planned.seconds
    return 0.0 if planned.cost is None else planned.cost.flops_executed / UNPRICED_FLOPS_PER_S
