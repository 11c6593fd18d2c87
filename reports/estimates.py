"""Estimates: what a run's cases say of the number that a claim is about."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

from harness.case import Case
from harness.declare.faults import Place
from harness.declare.selection import Rule
from harness.judge import claims as judge
from harness.judge.claims import Region
from harness.judge.stats import Interval
from harness.metrics import METRICS
from reports.compare import nearest
from reports.context import Context
from reports.results import Result
from reports.run_file import ClaimInfo
from reports.settings import Setting, setting_of
from reports.words import join


@dataclass(frozen=True, slots=True)
class Found:
    """An estimate, and the cases behind it."""

    estimate: Interval | None
    cases: Sequence[Result]
    number: int = 1
    """On how many independent numbers it stands."""
    unit: str = "round"
    """What these are."""
    why: str | None = None
    """What would give an estimate, where there is none."""


def estimated(context: Context, claim: ClaimInfo, cases: Sequence[Result]) -> Found:
    """Return the estimate that `claim` is about; each of `cases` has a number for its metric."""
    assert claim.expect is not None
    if claim.expect in ("flat", "rises", "falls", "exponent"):
        return _along(claim, cases)
    if claim.expect == "correlates":
        return _correlated(claim, cases)
    return _between(context, claim, cases) if _is_ratio(claim) else _bounded(claim, cases)


def kind(claim: ClaimInfo) -> str:
    """Return what a claim's estimate is: `ratio`, `exponent`, `correlation` or `value`."""
    named = {"exponent": "exponent", "correlates": "correlation", None: "value"}
    return named.get(claim.expect) or ("ratio" if _is_ratio(claim) else "value")


def region(claim: ClaimInfo) -> Region:
    """Return where the estimate must lie; a correlation is expected to be at least one half."""
    assert claim.expect is not None
    value = claim.value
    if claim.expect == "correlates" and value is None:
        value = 0.5
    elif claim.expect == "equal" and not _compared(claim):
        value = None  # the estimate is the number over it
    return judge.region(claim.expect, value, claim.within)


def _compared(claim: ClaimInfo) -> bool:
    """Return whether a claim compares cases with others, or metrics with each other."""
    return claim.against is not None or claim.to is not None


def _is_ratio(claim: ClaimInfo) -> bool:
    return claim.expect not in ("at_most", "at_least") or _compared(claim)


def chosen(context: Context, where: str | None) -> list[Result]:
    """Return the cases that an expression picks, in the plan's order; None picks all."""
    rule = None if where is None else Rule.read(where, Place("run.json", None, "suite.claims"))
    return [result for result in context.results if rule is None or rule.holds(result.case)]


def _along(claim: ClaimInfo, cases: Sequence[Result]) -> Found:
    """Estimate what happens along an axis, every other axis held."""
    assert claim.along is not None
    assert claim.metric is not None
    groups = _groups(claim, cases)
    if not groups:
        return Found(None, (), why=f"cases that differ in {join((claim.along, *claim.moving))} alone: there are no two")
    most = max(len(group) for group in groups)
    groups = [group for group in groups if len(group) == most]
    xs = [float(getattr(result.case, claim.along)) for result in groups[0]]
    groups = [group for group in groups if [float(getattr(result.case, claim.along)) for result in group] == xs]
    cases = [result for group in groups for result in group]
    if not _has_noise(claim.metric):
        return Found(_farthest(claim, [_exact_along(claim, xs, group) for group in groups]), cases)
    rounds = [[result.rounds(claim.metric) for result in group] for group in groups]
    estimate = judge.exponent_along if claim.expect == "exponent" else judge.ratio_along
    return Found(estimate(xs, rounds), cases, min(len(one) for group in rounds for one in group))


def _groups(claim: ClaimInfo, cases: Sequence[Result]) -> list[list[Result]]:
    """Return the cases that differ in nothing but the claim's axis and what moves with it, rising along the axis."""
    free = {claim.along, *claim.moving, "size" if claim.along == "d_model" else None}
    held: dict[tuple[object, ...], list[Result]] = defaultdict(list)
    for result in cases:
        if isinstance(getattr(result.case, str(claim.along)), int | float):
            held[tuple(getattr(result.case, f.name) for f in fields(Case) if f.name not in free)].append(result)
    ordered = [sorted(group, key=lambda result: getattr(result.case, str(claim.along))) for group in held.values()]
    return [group for group in ordered if len({getattr(one.case, str(claim.along)) for one in group}) == len(group) > 1]


def _exact_along(claim: ClaimInfo, xs: Sequence[float], group: Sequence[Result]) -> float:
    """Return the change of a number without noise along the axis; of a flat one the largest, wherever it is."""
    assert claim.metric is not None
    values = [_number(result, claim.metric) for result in group]
    if claim.expect == "exponent":
        rounds = [[value, value] for value in values]
        slope = judge.exponent_along(xs, [rounds])
        return slope.value if slope else 0.0
    ratios = [_over(value, values[0]) for value in values[1:]]
    return max(ratios, key=lambda ratio: abs(ratio - 1)) if claim.expect == "flat" else ratios[-1]


def _between(context: Context, claim: ClaimInfo, cases: Sequence[Result]) -> Found:
    """Estimate cases over those that they are compared with, over another metric of theirs, or over the number."""
    assert claim.metric is not None
    if claim.against is not None:
        others = [other for other in chosen(context, claim.against) if other.number(claim.metric) is not None]
        return _of_pairs(claim, [(one, other) for one in cases if (other := _partner(claim, one, others)) is not None])
    if claim.to is None:
        return Found(_farthest(claim, [_over(_number(one, claim.metric), claim.value or 0.0) for one in cases]), cases)
    both = [one for one in cases if one.number(claim.to) is not None]
    if not both:
        return Found(None, (), why=f"a case that has {claim.to} beside {claim.metric}")
    return Found(_farthest(claim, [_over(_number(one, claim.metric), _number(one, claim.to)) for one in both]), both)


def _of_pairs(claim: ClaimInfo, pairs: Sequence[tuple[Result, Result]]) -> Found:
    """Estimate the first of each pair over the second."""
    assert claim.metric is not None
    if not pairs:
        return Found(None, (), why="a case at the same setting to be compared with")
    cases = [one for pair in pairs for one in pair]
    if not _has_noise(claim.metric):
        ratios = [_over(_number(one, claim.metric), _number(other, claim.metric)) for one, other in pairs]
        return Found(_farthest(claim, ratios), cases)
    rounds = [(one.rounds(claim.metric), other.rounds(claim.metric)) for one, other in pairs]
    return Found(judge.ratio_between(rounds), cases, min(len(side) for pair in rounds for side in pair))


def _partner(claim: ClaimInfo, one: Result, others: Sequence[Result]) -> Result | None:
    """Return the case that `one` is compared with: at its setting (less `moving`), of its experts, nearest in FLOPs."""

    def setting(result: Result) -> Setting:
        return setting_of(replace(result.case, **{axis: getattr(one.case, axis) for axis in claim.moving}))

    near = [other for other in others if other is not one and setting(other) == setting_of(one.case)]
    same = [other for other in near if (other.case.experts, other.case.slots) == (one.case.experts, one.case.slots)]
    return nearest(one, same or near)


def _bounded(claim: ClaimInfo, cases: Sequence[Result]) -> Found:
    """Estimate the case that stands farthest from the claim's number."""
    assert claim.metric is not None
    found = [one.interval(claim.metric) or judge.exact(_number(one, claim.metric)) for one in cases]
    highest = claim.expect == "at_most"
    worst = max(found, key=lambda one: one.high) if highest else min(found, key=lambda one: one.low)
    return Found(worst, cases, max(len(one.rounds(claim.metric)) for one in cases))


def _correlated(claim: ClaimInfo, cases: Sequence[Result]) -> Found:
    """Estimate the rank correlation of two metrics over the cases."""
    assert claim.metric is not None
    assert claim.to is not None
    both = [one for one in cases if one.number(claim.to) is not None]
    xs, ys = ([_number(one, name) for one in both] for name in (claim.to, claim.metric))
    estimate = judge.correlation(xs, ys)
    why = None if estimate else f"{judge.MIN_CORRELATED} cases or more that differ in {claim.metric} and in {claim.to}"
    return Found(estimate, both, len(both), "case", why)


def _farthest(claim: ClaimInfo, values: Sequence[float]) -> Interval:
    """Return the value that stands farthest outside of what is wanted, or nearest to its end."""
    wanted = region(claim)
    ends = [end for end in (wanted.low, wanted.high) if abs(end) != judge.INFINITE]
    middle = sum(ends) / len(ends)

    def outside(value: float) -> tuple[bool, float]:
        if len(ends) == 2:
            return not wanted.holds(value), abs(value - middle)
        return not wanted.holds(value), middle - value if wanted.high == judge.INFINITE else value - middle

    return judge.exact(max(values, key=outside))


def _number(result: Result, metric: str) -> float:
    """Return a number that is known to be there."""
    value = result.number(metric)
    assert value is not None
    return value


def _has_noise(metric: str) -> bool:
    return not METRICS[metric].exact


def _over(a: float, b: float) -> float:
    """Return a / b; 1 where both are 0, which are equal, and infinite where b alone is."""
    if b == 0:
        return 1.0 if a == 0 else judge.INFINITE
    return a / b
