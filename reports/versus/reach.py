"""What of two runs a policy is about, and whether the gate could see it."""

from __future__ import annotations

from fnmatch import fnmatchcase

from harness.declare.policy import Policy, Rule
from reports.read import Result, Run
from reports.versus.versus import EXACT, TIMED, Versus
from reports.words import join


def idle_rules(policy: Policy, base: Run, candidate: Run) -> list[Rule]:
    """Return the rules that decide on no metric of any case of the two runs; one behind another's back decides none."""
    results = (*base.results, *candidate.results)
    deciding = (policy.rule(metric, result.case) for result in results for metric in _compared(result))
    busy = {id(rule) for rule in deciding if rule is not None}
    return [rule for rule in policy.rules if id(rule) not in busy]


def blind(found: Versus, policy: Policy) -> str | None:
    """Return why none of the times that the policy counts could be compared; None where one was, or it counts none."""
    times = {row.metric for row in found.rows if row.metric in TIMED}
    counted = [metric for rule in policy.rules if rule.alert != "ignore" for metric in times if _names(rule, metric)]
    if not counted or (found.comparisons and not found.noise.distrusted):
        return None
    if found.forbidden:
        return found.forbidden[0].words
    if found.noise.distrusted:
        return f"the A/A cells of {join(found.noise.distrusted)} differ from themselves"
    return "no time has two rounds on both sides"


def _names(rule: Rule, metric: str | None) -> bool:
    return metric is not None and any(fnmatchcase(metric, pattern) for pattern in rule.metrics)


def _compared(result: Result) -> list[str]:
    return [name for name in (*TIMED, *EXACT) if name in result.metrics]
