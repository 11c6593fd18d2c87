"""Policies: which changes a gate lets pass, as TOML, and what a change that it does not let pass means.

    failed = "fail"                     # a case that had numbers and has none: fail, warn or ignore
    missing = "fail"                    # a case, or one of its metrics, that is no longer there
    refuted = "fail"                    # a claim that is refuted and was not

    [[rule]]                            # the first rule that holds for a metric and a case decides
    metrics = ["latency_ms"]
    where = "variant == 'soft'"         # left out: every case
    threshold = 0.05                    # a change up to this share is none

    [[rule]]
    metrics = ["det_*"]
    alert = "warn"

Faults of a policy are told as a suite's are: all at once, each with its line and the nearest valid name.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from pydantic import Field, PrivateAttr

from harness.case import Case
from harness.declare.checked import checked
from harness.declare.faults import SuiteError, nearest
from harness.declare.findings import Findings
from harness.declare.point import Strict
from harness.declare.selection import Rule as Condition
from harness.declare.suite import read_text
from harness.metrics import METRICS

Alert = Literal["fail", "warn", "ignore"]
"""What a change for the worse does: ends the gate with exit 1, is told, or is nothing."""
USUAL_THRESHOLD = 0.03


class Rule(Strict):
    """What counts for some metrics of some cases."""

    metrics: list[str] = Field(min_length=1)
    """Names of metrics, or patterns of them such as `det_*`."""
    where: str | None = None
    """Expression over axes, `variant`, `layer` and `id` that picks the cases; left out: all."""
    threshold: float = Field(default=0.0, ge=0, le=10)
    """A change up to this share is none. 0 is for what has no noise: there, any change is one."""
    alert: Alert = "fail"
    """What a change for the worse does: fail, warn or ignore."""

    _condition: Condition | None = PrivateAttr(None)

    def holds(self, metric: str, case: Case) -> bool:
        """Return whether this rule is about `metric` of `case`."""
        named = any(fnmatchcase(metric, pattern) for pattern in self.metrics)
        return named and (self._condition is None or self._condition.holds(case))


class Policy(Strict):
    """What a gate lets pass."""

    failed: Alert = "fail"
    """A case that had numbers in the baseline and has none."""
    missing: Alert = "fail"
    """A case, or one of its metrics, that the candidate does not have."""
    refuted: Alert = "fail"
    """A claim of the candidate that is refuted, and in the baseline was not. One that is no longer decided is told."""
    rules: list[Rule] = Field(alias="rule", min_length=1, description="at least one [[rule]] with metrics")
    """The first that holds for a metric of a case decides; what none holds for is not gated."""

    def rule(self, metric: str, case: Case) -> Rule | None:
        """Return the rule that decides on `metric` of `case`; None where none does."""
        return next((rule for rule in self.rules if rule.holds(metric, case)), None)


USUAL = Policy(
    rule=[
        Rule(metrics=["latency_ms", "latency_hot_ms"], threshold=USUAL_THRESHOLD),
        Rule(metrics=["params*", "flops_*", "memory_*", "det_*", "drop_rate"]),
    ]
)
"""The policy of a gate without a file: times by 3 %, and what has no noise by anything."""


def load_policy(path: str | Path) -> Policy:
    """Return the policy in that file; raise SuiteError with every fault in it."""
    file = Path(path)
    return parse_policy(read_text(file, str(path), "a policy's TOML file"), str(path))


def parse_policy(source: str, file: str = "policy.toml") -> Policy:
    """Return the policy that the TOML text says; raise SuiteError with every fault in it."""
    policy, findings = checked(Policy, source, file, {"rule": Rule})
    for number, rule in enumerate(policy.rules):
        _check(rule, number, findings)
    if findings.faults:
        raise SuiteError(findings.faults)
    return policy


def _check(rule: Rule, number: int, findings: Findings) -> None:
    for index, pattern in enumerate(rule.metrics):
        if not any(fnmatchcase(name, pattern) for name in METRICS):
            findings.add(("rule", number, "metrics", index), f"{pattern!r} is no metric", "a metric's name or pattern",
                         nearest(pattern, METRICS))  # fmt: skip
    if rule.where is not None:
        try:
            rule._condition = Condition.read(rule.where, findings.text.place(("rule", number, "where")))
        except SuiteError as error:
            findings.faults += error.faults
