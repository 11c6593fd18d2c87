"""Visits: in which order a plan is measured, one case and one probe (or one latency round) at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from harness.case import PASSES, Case
from harness.declare.energy import seconds_of_visit
from harness.declare.format import Measure
from harness.declare.planned import Plan, PlannedCase
from harness.declare.plugins import is_plugin
from harness.declare.rounds import LATENCY, cells, looks, order
from harness.declare.scopes import has_positions

CHECK = "check"
"""The visit that comes first for every case: its output against the float64 reference."""
PROBES = ("flops", "memory", "determinism", "routing", "phases", "compile", "exchange", "energy")
"""Probes that a case is visited for once, in this order; `latency` comes in rounds after them. `compile` is for
compiled cases alone, `exchange` for those that are spread over ranks."""
COMPILE_SECONDS = 240.0
"""What a visit of a compiled case may take beside its own time: two or three compilations (both modes of gradients, the
sequence alone and in its batch), each of up to a minute or so."""

RANKS_SECONDS = 240.0
"""What a visit to ranks may take beside its own time: to start them, and to hear which of them has hung."""

EXACT = ("flops", "memory")
"""Probes that say all they have to say in one visit, and on which no other process has any influence."""
FIRST_ROUNDS = 2
"""Latency rounds that come before the probes that are neither exact nor timed: an interval needs two."""

CACHE_BYTES = 4 << 30
"""Weights that a worker keeps between visits, by default."""


@dataclass(frozen=True, slots=True)
class Visit:
    """The unit of work."""

    index: int
    key: str
    """Content key of the case."""
    probe: str
    """check, a probe of the suite, or a_a: latency under the second label of an A/A cell."""
    round: int | None
    """Latency round, counted from 0; None for all other probes."""
    seconds: float = 0.0
    """What it takes by design, beside the passes that it cannot do without: only energy takes its time."""


def build_key(case: Case) -> Case:
    """Return what the cases that share one built layer have in common: all but the input and the pass.

    Positions belong to the layer: with learned or rotary ones, so do the tokens. A plug-in is built for its case alone:
    it may look at all of it.
    """
    if is_plugin(case.layer):
        return case
    return replace(case, batch=1, tokens=case.tokens if has_positions(case) else 1, pass_=PASSES[0])


def equal_work(case: Case) -> dict[str, Any]:
    """Return what cases have in common that can be compared at equal work: one width, one input, one pass."""
    return {name: getattr(case, name) for name in ("d_model", "batch", "tokens", "dtype", "pass_")}


@dataclass(frozen=True, slots=True)
class Visits:
    """Every visit of a plan in order; drawn anew each time that they are gone through, so that none is kept in memory.

    Each case's check and single probes come first, in plan order; then latency, in rounds that visit all cases in a
    new random order each, so that a slow drift of the machine hits all of them alike, and the A/A cells twice. The
    engine gives each round a fresh process.

    `in_budget` puts what tells most first, over all cases, since the run may end anywhere: every case's check and exact
    probes, the first two latency rounds, all other probes, and the rest of the rounds. No case has a round more than
    another then, but for the one that the end fell into.
    """

    plan: Plan
    """Its cases that cannot run or do not fit have no visits."""
    cache_bytes: int = CACHE_BYTES
    in_budget: bool = False
    start: int = 0
    """Index of the first."""

    def __iter__(self) -> Iterator[Visit]:
        """Yield them."""
        index, measure = self.start, self.plan.suite.measure
        twice = a_a_cells(self.plan, self.cache_bytes)
        for group in _measured_together(self.plan, self.cache_bytes, in_budget=self.in_budget):
            members = [planned.case for planned in group]
            for key, probe, round_ in _group_visits(self.plan, members, twice, index, in_budget=self.in_budget):
                yield Visit(index, key, probe, round_, _by_design(probe, measure))
                index += 1

    def __len__(self) -> int:
        """Return how many there are, by going through them."""
        return sum(1 for _ in self)


def visits(plan: Plan, cache_bytes: int = CACHE_BYTES, *, in_budget: bool = False, start: int = 0) -> list[Visit]:
    """Return every visit of `plan` in the order of `Visits`."""
    return list(Visits(plan, cache_bytes, in_budget, start))


def further_rounds(
    plan: Plan,
    start: int,
    is_wanting: Callable[[str, int], bool],
    cache_bytes: int = CACHE_BYTES,
    in_budget: bool = False,
) -> Iterator[list[Visit]]:
    """Yield the latency rounds beyond those that all cases have, one by one, over the cases that are not yet precise.

    Args:
        plan: Of a suite with a precision; any other has no such rounds.
        start: Index of the first of these visits.
        is_wanting: Whether the case of this key is not yet precise after so many rounds. It is asked at each look, when
            all earlier rounds have been made, and for a resumed run again: only those rounds may decide.
        cache_bytes: As for `Visits`.
        in_budget: As for `Visits`.
    """
    measure, twice = plan.suite.measure, a_a_cells(plan, cache_bytes)
    if LATENCY not in measure.probes:
        return
    for group in _measured_together(plan, cache_bytes, in_budget=in_budget):
        keys = [planned.case.key for planned in group]
        for look, next_look in pairwise(looks(measure)):
            keys = [key for key in keys if is_wanting(key, look)]
            for round_ in range(look, next_look) if keys else ():
                entries = list(order(keys, twice, f"{measure.seed}/further/{keys[0]}/{round_}"))
                yield [Visit(start + n, key, probe, round_) for n, (key, probe) in enumerate(entries)]
                start += len(entries)


def a_a_cells(plan: Plan, cache_bytes: int = CACHE_BYTES) -> frozenset[str]:
    """Return the keys of the cases that are visited twice in every round; none where one round is all there is."""
    count = _cells_wanted(plan)
    groups = _groups([planned for planned in plan.cases if planned.runs], cache_bytes, count)
    return frozenset(cell.case.key for group in groups for cell in cells(group, count))


def seconds_allowed(case: Case, timeout: float, by_design: float = 0.0) -> float:
    """Return after how many seconds a visit to `case` is given up, where the suite says `timeout`.

    `by_design` is what the visit takes in any case; its windows may be drawn out.
    """
    beside = (COMPILE_SECONDS if case.compile else 0.0) + (RANKS_SECONDS if case.expert_parallel > 1 else 0.0)
    return timeout + 2 * by_design + beside


def _by_design(probe: str, measure: Measure) -> float:
    return seconds_of_visit(measure.energy_seconds) if probe == "energy" else 0.0


def _group_visits(
    plan: Plan, cases: list[Case], twice: frozenset[str], start: int, *, in_budget: bool
) -> Iterator[tuple[str, str, int | None]]:
    measure, keys = plan.suite.measure, [case.key for case in cases]
    single = [CHECK, *(probe for probe in PROBES if probe in measure.probes)]
    first = [probe for probe in single if not in_budget or probe in (CHECK, *EXACT)]
    rounds = range(measure.rounds if LATENCY in measure.probes else 0)

    def visits_of(round_: int) -> Iterator[tuple[str, str, int]]:
        seed = f"{measure.seed}/{start}/{round_}"
        yield from ((key, probe, round_) for key, probe in order(keys, twice, seed))

    yield from _once(cases, first)
    for round_ in rounds[: FIRST_ROUNDS if in_budget else None]:
        yield from visits_of(round_)
    if in_budget:
        yield from _once(cases, [probe for probe in single if probe not in first])
        for round_ in rounds[FIRST_ROUNDS:]:
            yield from visits_of(round_)


def _once(cases: list[Case], probes: list[str]) -> Iterator[tuple[str, str, None]]:
    """Yield one visit of every case by each of `probes` that it has."""
    for case in cases:
        key = case.key
        yield from ((key, probe, None) for probe in probes if _has(case, probe))


def _has(case: Case, probe: str) -> bool:
    return case.compile if probe == "compile" else probe != "exchange" or case.expert_parallel > 1


def _measured_together(plan: Plan, cache_bytes: int, *, in_budget: bool) -> list[list[PlannedCase]]:
    cases = [planned for planned in plan.cases if planned.runs]
    return [cases] if in_budget else _groups(cases, cache_bytes, _cells_wanted(plan))


def _cells_wanted(plan: Plan) -> int:
    """Return how many A/A cells a comparison is to have."""
    measure = plan.suite.measure
    return measure.a_a if LATENCY in measure.probes and measure.most_rounds > 1 else 0


def _groups(cases: list[PlannedCase], cache_bytes: int, a_a: int) -> list[list[PlannedCase]]:
    """Return the cases in the groups that are measured one after the other.

    Interleaving is for cases that will be compared. While all layers, with those of second labels, fit into the
    worker's cache, all cases are one group. Where they do not, a random order over everything would build a layer anew
    for almost every visit; so the rounds then go over what can be compared at equal work: one width, one input, one
    pass.
    """
    weights = {build_key(planned.case): planned.weight_bytes for planned in cases}
    second_labels = sum(planned.weight_bytes for planned in cells(cases, a_a))
    if sum(weights.values()) + second_labels <= cache_bytes:
        return [cases]
    groups: dict[tuple[Any, ...], list[PlannedCase]] = defaultdict(list)
    for planned in cases:
        groups[tuple(equal_work(planned.case).values())].append(planned)
    return list(groups.values())
