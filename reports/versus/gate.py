"""The gate: what of a comparison a policy does not let pass."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from harness.declare.policy import Alert, Policy
from harness.judge.compare import WORSE
from reports.read import Result, Run
from reports.versus.text import line
from reports.versus.versus import TIMED, Row, Versus, compare
from reports.words import count


@dataclass(frozen=True, slots=True)
class Gate:
    """A comparison under a policy."""

    versus: Versus
    failures: tuple[Row, ...]
    """What ends the gate with exit 1."""
    warnings: tuple[Row, ...]
    """What is told and lets it pass."""
    cleared: tuple[Row, ...] = ()
    """Times that alerted once, were measured again, and did not alert twice."""

    @property
    def passes(self) -> bool:
        """Whether nothing failed."""
        return not self.failures

    @property
    def suspects(self) -> tuple[str, ...]:
        """The cases whose times are to be measured again before anything fails: what has no noise needs no proof."""
        return tuple(dict.fromkeys(row.id for row in (*self.failures, *self.warnings) if row.metric in TIMED))


def judge(base: Run, candidate: Run, policy: Policy) -> Gate:
    """Return what of `candidate` against `base` the policy does not let pass."""
    cases = {result.id: result for run in (base, candidate) for result in run.results}
    versus = compare(base, candidate, lambda metric, result: _threshold(policy, metric, result))
    rows = [(row, _alert(row, policy, cases)) for row in versus.rows]
    return Gate(
        versus,
        failures=tuple(row for row, alert in rows if alert == "fail"),
        warnings=tuple(row for row, alert in rows if alert == "warn"),
    )


def confirmed(first: Gate, second: Gate) -> Gate:
    """Return the gate of which only those times fail that `second`, in which they were measured again, fails too.

    A time that `second` could not compare has not been cleared by it.
    """
    again = {(row.id, row.metric) for row in (*second.failures, *second.warnings)}
    compared = {(row.id, row.metric) for row in second.versus.rows if row.change is not None}

    def stands(row: Row) -> bool:
        name = row.id, row.metric
        return row.metric not in TIMED or name in again or name not in compared

    return Gate(
        first.versus,
        failures=tuple(filter(stands, first.failures)),
        warnings=tuple(filter(stands, first.warnings)),
        cleared=tuple(row for row in (*first.failures, *first.warnings) if not stands(row)),
    )


def _threshold(policy: Policy, metric: str, result: Result) -> float:
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


def lines(found: Gate) -> Iterable[str]:
    """Yield the gate's answer as plain lines."""
    for row in found.cleared:
        yield f"cleared: {line(row)}; measured again it did not alert"
    for row in found.warnings:
        yield f"warning: {line(row)}"
    for row in found.failures:
        yield f"FAILED: {line(row)}"
    if found.passes:
        yield "The gate is open: nothing that the policy counts is worse."
    else:
        number = f"{len(found.failures)} of {count(len(found.versus.rows), 'number')}"
        yield f"The gate is shut: {number} are worse than the policy lets pass."


def document(found: Gate) -> dict[str, object]:
    """Return the gate's answer for the JSON document: which rows failed, warned and were cleared."""

    def named(rows: Iterable[Row]) -> list[dict[str, object]]:
        return [{"id": row.id, "metric": row.metric, "verdict": row.verdict} for row in rows]

    return {
        "passes": found.passes,
        "failures": named(found.failures),
        "warnings": named(found.warnings),
        "cleared": named(found.cleared),
    }
