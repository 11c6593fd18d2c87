"""Claims decided: what a suite says is expected, held against the run's own cases."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

from harness.case import Case
from harness.declare.faults import Place
from harness.declare.selection import Rule
from harness.judge import claims as judge
from harness.judge.claims import Region, Verdict
from harness.judge.stats import Interval
from harness.metrics import METRICS
from reports.compare import nearest
from reports.context import Context, setting_of
from reports.results import Result
from reports.run_file import ClaimInfo
from reports.words import count


@dataclass(frozen=True, slots=True)
class Decided:
    """A claim and what became of it."""

    id: str
    text: str
    source: str | None
    group: str | None
    verdict: Verdict
    kind: str
    """What the estimate is: `ratio`, `exponent`, `correlation` or `value`."""
    metric: str | None
    estimate: Interval | None
    """Of the case that stands farthest from the expectation, where there are several without noise."""
    wanted: Region | None
    cases: int
    """How many cases it stands on."""
    rows: tuple[str, ...]
    """Their ids."""
    needs: str | None
    """What would decide it; None where it is decided."""


@dataclass(frozen=True, slots=True)
class _Found:
    """An estimate, and the cases behind it."""

    estimate: Interval | None
    cases: Sequence[Result]
    rounds: int = 1
    why: str | None = None
    """Why there is no estimate."""


def decide(context: Context, claim: ClaimInfo) -> Decided:
    """Return what the run says of `claim`."""
    if claim.metric is None or claim.expect is None:
        return _decided(claim, None, _Found(None, (), why="the claim names no metric and no expectation"))
    chosen = _chosen(context, claim.where, claim.metric)
    wanted = judge.region(claim.expect, _value(claim), claim.within)
    if not chosen:
        found = _Found(None, (), why=f"no case of this run that the claim is about has {claim.metric}")
    else:
        found = _ESTIMATES[claim.expect](context, claim, chosen)
    return _decided(claim, wanted, found)


def _value(claim: ClaimInfo) -> float | None:
    """Return the number of an expectation; a correlation is expected to be at least one half."""
    return 0.5 if claim.expect == "correlates" and claim.value is None else claim.value


def _decided(claim: ClaimInfo, wanted: Region | None, found: _Found) -> Decided:
    verdict: Verdict = "undecided" if wanted is None else wanted.verdict(found.estimate)
    return Decided(
        id=claim.id,
        text=claim.text,
        source=claim.source,
        group=claim.group,
        verdict=verdict,
        kind=_KINDS.get(claim.expect or "", "value"),
        metric=claim.metric,
        estimate=found.estimate,
        wanted=wanted,
        cases=len(found.cases),
        rows=tuple(result.id for result in found.cases),
        needs=_needs(wanted, found) if verdict == "undecided" else None,
    )


def _needs(wanted: Region | None, found: _Found) -> str:
    """Return what would decide an undecided claim."""
    if found.why is not None or found.estimate is None or wanted is None:
        return found.why or "more than one round"
    rounds = judge.rounds_needed(found.estimate, wanted, found.rounds)
    if rounds is None:
        return "the estimate lies at the end of what the claim allows: another tolerance, or a quieter machine"
    return f"about {count(rounds, 'round')} instead of {found.rounds}, if the estimate stands"


def _chosen(context: Context, where: str | None, metric: str) -> list[Result]:
    """Return the cases that an expression picks and that have a number for `metric`, in the plan's order."""
    rule = None if where is None else Rule.read(where, Place("run.json", None, "suite.claims"))
    return [
        result
        for result in context.results
        if result.number(metric) is not None and (rule is None or rule.holds(result.case))
    ]


def _along(context: Context, claim: ClaimInfo, chosen: Sequence[Result]) -> _Found:
    """Estimate what happens along an axis, every other axis held."""
    assert claim.along is not None
    assert claim.metric is not None
    groups = _groups(claim, chosen)
    if not groups:
        return _Found(None, (), why=f"no two cases differ in {claim.along} alone")
    most = max(len(group) for group in groups)
    groups = [group for group in groups if len(group) == most]
    xs = [float(getattr(result.case, claim.along)) for result in groups[0]]
    groups = [group for group in groups if [float(getattr(result.case, claim.along)) for result in group] == xs]
    cases = [result for group in groups for result in group]
    if not _has_noise(claim.metric):
        return _Found(_farthest(claim, [_exact_along(claim, xs, group) for group in groups]), cases)
    rounds = [[result.rounds(claim.metric) for result in group] for group in groups]
    estimate = judge.exponent_along if claim.expect == "exponent" else judge.ratio_along
    return _Found(estimate(xs, rounds), cases, rounds=min(len(one) for group in rounds for one in group))


def _groups(claim: ClaimInfo, chosen: Sequence[Result]) -> list[list[Result]]:
    """Return the cases that differ in nothing but the claim's axis and what moves with it, rising along the axis."""
    free = {claim.along, *claim.moving, "size" if claim.along == "d_model" else None}
    held: dict[tuple[object, ...], list[Result]] = defaultdict(list)
    for result in chosen:
        if isinstance(getattr(result.case, str(claim.along)), int | float):
            held[tuple(getattr(result.case, f.name) for f in fields(Case) if f.name not in free)].append(result)
    ordered = [sorted(group, key=lambda result: getattr(result.case, str(claim.along))) for group in held.values()]
    return [group for group in ordered if len({getattr(one.case, str(claim.along)) for one in group}) == len(group) > 1]


def _exact_along(claim: ClaimInfo, xs: Sequence[float], group: Sequence[Result]) -> float:
    """Return the change of a number without noise along the axis; of a flat one the largest, wherever it is."""
    assert claim.metric is not None
    values = [result.number(claim.metric) or 0.0 for result in group]
    if claim.expect == "exponent":
        rounds = [[value, value] for value in values]
        slope = judge.exponent_along(xs, [rounds])
        return slope.value if slope else 0.0
    ratios = [_over(value, values[0]) for value in values[1:]]
    return max(ratios, key=lambda ratio: abs(ratio - 1)) if claim.expect == "flat" else ratios[-1]


def _between(context: Context, claim: ClaimInfo, chosen: Sequence[Result]) -> _Found:
    """Estimate cases over those that they are compared with, or over the claim's number."""
    assert claim.metric is not None
    if claim.to is not None:
        both = [result for result in chosen if result.number(claim.to) is not None]
        values = [_over(result.number(claim.metric) or 0.0, result.number(claim.to) or 0.0) for result in both]
        why = None if both else f"no case has {claim.to} too"
        return _Found(_farthest(claim, values) if both else None, both, why=why)
    if claim.against is None:
        values = [_over(result.number(claim.metric) or 0.0, claim.value or 0.0) for result in chosen]
        return _Found(_farthest(claim, values), chosen)
    others = _chosen(context, claim.against, claim.metric)
    pairs = [(result, other) for result in chosen if (other := _partner(result, others)) is not None]
    if not pairs:
        return _Found(None, (), why="no case has a partner at the same setting to be compared with")
    cases = [result for pair in pairs for result in pair]
    if not _has_noise(claim.metric):
        ratios = [_over(a.number(claim.metric) or 0.0, b.number(claim.metric) or 0.0) for a, b in pairs]
        return _Found(_farthest(claim, ratios), cases)
    rounds = [(a.rounds(claim.metric), b.rounds(claim.metric)) for a, b in pairs]
    return _Found(judge.ratio_between(rounds), cases, rounds=min(len(side) for pair in rounds for side in pair))


def _partner(result: Result, others: Sequence[Result]) -> Result | None:
    """Return the case that `result` is compared with: at its setting, of its experts, nearest in FLOPs."""
    near = [other for other in others if other is not result and setting_of(other.case) == setting_of(result.case)]
    same = [
        other for other in near if (other.case.experts, other.case.slots) == (result.case.experts, result.case.slots)
    ]
    return nearest(result, same or near)


def _bounded(context: Context, claim: ClaimInfo, chosen: Sequence[Result]) -> _Found:
    """Estimate the case that stands farthest from the claim's number."""
    assert claim.metric is not None
    found = [result.interval(claim.metric) or judge.exact(result.number(claim.metric) or 0.0) for result in chosen]
    highest = claim.expect == "at_most"
    worst = max(found, key=lambda one: one.high) if highest else min(found, key=lambda one: one.low)
    return _Found(worst, chosen, rounds=max(len(result.rounds(claim.metric)) for result in chosen))


def _correlated(context: Context, claim: ClaimInfo, chosen: Sequence[Result]) -> _Found:
    """Estimate the rank correlation of two metrics over the cases."""
    assert claim.metric is not None
    assert claim.to is not None
    both = [result for result in chosen if result.number(claim.to) is not None]
    xs, ys = ([result.number(name) or 0.0 for result in both] for name in (claim.to, claim.metric))
    estimate = judge.correlation(xs, ys)
    why = None if estimate else f"a rank correlation needs {judge.MIN_CORRELATED} cases with both metrics"
    return _Found(estimate, both, rounds=len(both), why=why)


def _farthest(claim: ClaimInfo, values: Sequence[float]) -> Interval:
    """Return the value that stands farthest outside of what is wanted, or nearest to its end."""
    wanted = judge.region(claim.expect or "", _value(claim), claim.within)
    ends = [end for end in (wanted.low, wanted.high) if abs(end) != judge.INFINITE]
    middle = sum(ends) / len(ends)

    def outside(value: float) -> tuple[bool, float]:
        if len(ends) == 2:
            return not wanted.holds(value), abs(value - middle)
        return not wanted.holds(value), middle - value if wanted.high == judge.INFINITE else value - middle

    return judge.exact(max(values, key=outside))


def _has_noise(metric: str) -> bool:
    return not METRICS[metric].exact


def _over(a: float, b: float) -> float:
    """Return a / b; 1 where both are 0, which are equal, and infinite where b alone is."""
    if b == 0:
        return 1.0 if a == 0 else judge.INFINITE
    return a / b


_KINDS = {
    "flat": "ratio", "rises": "ratio", "falls": "ratio", "equal": "ratio", "faster_than": "ratio",
    "exponent": "exponent", "correlates": "correlation",
}  # fmt: skip
_ESTIMATES: dict[str, Callable[[Context, ClaimInfo, Sequence[Result]], _Found]] = {
    "flat": _along,
    "rises": _along,
    "falls": _along,
    "exponent": _along,
    "equal": _between,
    "faster_than": _between,
    "at_most": _bounded,
    "at_least": _bounded,
    "correlates": _correlated,
}
