"""The gate: what of a comparison a policy does not let pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from harness.declare.policy import Alert, Policy
from harness.judge.compare import WORSE
from harness.judge.multiple import ALPHA
from reports.results import Result, Run
from reports.versus.many import METRIC
from reports.versus.text import line, line_of_layer
from reports.versus.turned import Turned, turned
from reports.versus.versus import TIMED, Row, Versus, compare
from reports.words import count, join

AGAIN_ALPHA = 0.01
"""Share of false alarms that a second look accepts. It has more rounds, and a gate that is open by chance comes to be
judged anew tomorrow, while one that is shut by chance wakes somebody."""


@dataclass(frozen=True, slots=True)
class Gate:
    """A comparison under a policy."""

    versus: Versus
    failures: tuple[Row, ...]
    """What ends the gate with exit 1."""
    warnings: tuple[Row, ...]
    """What is told and lets it pass."""
    suspected: tuple[Row, ...] = ()
    """Times of layers that look slower as a whole, of cases that do not alert themselves."""
    cleared: tuple[Row, ...] = ()
    """Times that alerted once, were measured again, and did not alert twice."""
    claims: tuple[Turned, ...] = ()
    """Claims that fail the gate or are warned of."""
    restored: tuple[Turned, ...] = ()
    """Claims about times that alerted once, and not when their cases were measured again."""

    @property
    def passes(self) -> bool:
        """Whether nothing failed."""
        return not self.failures and not self.refuted

    @property
    def refuted(self) -> tuple[Turned, ...]:
        """The claims that end the gate with exit 1."""
        return tuple(one for one in self.claims if one.alert == "fail")

    @property
    def suspects(self) -> tuple[str, ...]:
        """The cases whose times are to be measured again before anything fails: what has no noise needs no proof."""
        slower = [row.id for row in (*self.failures, *self.warnings, *self.suspected) if row.metric in TIMED]
        return tuple(dict.fromkeys([*slower, *(row for one in self.refuted if one.timed for row in one.claim.rows)]))


def judge(base: Run, candidate: Run, policy: Policy, alpha: float = ALPHA) -> Gate:
    """Return what of `candidate` against `base` the policy does not let pass; `alpha` as `versus.compare`."""
    cases = {result.id: result for run in (base, candidate) for result in run.results}
    versus = compare(base, candidate, lambda metric, result: threshold(policy, metric, result), alpha)
    rows = [(row, _alert(row, policy, cases)) for row in versus.rows]
    return Gate(
        versus,
        failures=tuple(row for row, alert in rows if alert == "fail"),
        warnings=tuple(row for row, alert in rows if alert == "warn"),
        suspected=tuple(_suspected(versus, policy, cases)),
        claims=turned(base, candidate, policy),
    )


def confirmed(first: Gate, second: Gate) -> Gate:
    """Return the gate of which only those times fail that `second`, in which they were measured again, fails too.

    A time that `second` could not compare has not been cleared by it. One whose layer alone was suspected fails as
    `second` has it.
    """
    again = {(row.id, row.metric) for row in (*second.failures, *second.warnings)}
    refuted = {one.claim.id for one in second.refuted}
    restored = tuple(one for one in first.refuted if one.timed and one.claim.id not in refuted)
    compared = {(row.id, row.metric) for row in second.versus.rows if row.change is not None}

    def stands(row: Row) -> bool:
        name = row.id, row.metric
        return row.metric not in TIMED or name in again or name not in compared

    whole = {(row.id, row.metric) for row in first.suspected}
    return Gate(
        first.versus,
        failures=(*filter(stands, first.failures), *_among(whole, second.failures)),
        warnings=(*filter(stands, first.warnings), *_among(whole, second.warnings)),
        cleared=tuple(row for row in (*first.failures, *first.warnings) if not stands(row)),
        claims=tuple(one for one in first.claims if one not in restored),
        restored=restored,
    )


def _suspected(versus: Versus, policy: Policy, cases: dict[str, Result]) -> Iterator[Row]:
    """Yield the times of layers that look slower as a whole, where the policy counts them and they do not alert."""
    layers = {one.name for one in versus.layers}
    for row in versus.rows:
        result = cases[row.id]
        if row.metric == METRIC and row.verdict != "slower" and result.case.variant in layers:
            rule = policy.rule(METRIC, result.case)
            if rule is not None and rule.alert != "ignore":
                yield row


def _among(names: set[tuple[str, str | None]], rows: Iterable[Row]) -> Iterator[Row]:
    return (row for row in rows if (row.id, row.metric) in names)


def threshold(policy: Policy, metric: str, result: Result) -> float:
    """Return the share of a metric of a case up to which `policy` takes a change for none."""
    rule = policy.rule(metric, result.case)
    return rule.threshold if rule is not None else 0.0


def _alert(row: Row, policy: Policy, cases: dict[str, Result]) -> Alert:
    """Return what `row` does to the gate."""
    if row.metric is None or row.verdict == "missing":
        return {"failed": policy.failed, "missing": policy.missing}.get(row.verdict, "ignore")
    rule = policy.rule(row.metric, cases[row.id].case)
    if rule is None or row.verdict not in (*WORSE, "changed"):
        return "ignore"
    small = row.verdict == "worse" and _share(row) <= rule.threshold
    return "ignore" if small else rule.alert


def _share(row: Row) -> float:
    """Return by which share of the baseline an exact number changed."""
    assert isinstance(row.base, int | float)
    assert isinstance(row.candidate, int | float)
    return abs(row.candidate - row.base) / abs(row.base) if row.base else float("inf")


def lines(found: Gate, unseen: str | None = None) -> Iterable[str]:
    """Yield the gate's answer as plain lines; `unseen` is why it saw no times, where it saw none."""
    then = "its cases are to be measured again" if found.suspected else "what its cases say for themselves counts"
    yield from (f"suspect: {line_of_layer(layer)}; {then}" for layer in found.versus.layers)
    for row in found.cleared:
        yield f"cleared: {line(row)}; measured again it did not alert"
    for one in found.restored:
        yield f"cleared: {one.words}; measured again it is not refuted"
    yield from (f"warning: {line(row)}" for row in found.warnings)
    yield from (f"warning: {one.words}" for one in found.claims if one.alert == "warn")
    yield from (f"FAILED: {line(row)}" for row in found.failures)
    yield from (f"FAILED: {one.words}" for one in found.refuted)
    if not found.versus.comparable:
        yield "The gate is neither open nor shut: nothing can be compared."
    elif found.passes and unseen:
        yield "The gate is neither open nor shut: it saw no times, and of what has no noise nothing is worse."
    elif found.passes:
        yield "The gate is open: nothing that the policy counts is worse."
    else:
        yield f"The gate is shut: {join(_why_shut(found))}."


def _why_shut(found: Gate) -> Iterable[str]:
    if found.failures:
        number = f"{len(found.failures)} of {count(len(found.versus.rows), 'number')}"
        yield f"{number} are worse than the policy lets pass"
    if found.refuted:
        yield f"{count(len(found.refuted), 'claim')} newly refuted"


def document(found: Gate) -> dict[str, object]:
    """Return the gate's answer for the JSON document: which rows failed, warned and were cleared."""

    def named(rows: Iterable[Row]) -> list[dict[str, object]]:
        return [{"id": row.id, "metric": row.metric, "verdict": row.verdict} for row in rows]

    return {
        "passes": found.passes,
        "failures": named(found.failures),
        "warnings": named(found.warnings),
        "cleared": named(found.cleared),
        "suspected": named(found.suspected),
        "claims": [
            {"id": one.claim.id, "before": one.before, "after": one.claim.verdict, "alert": one.alert}
            for one in found.claims
        ],
    }
