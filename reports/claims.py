"""Claims decided: what a suite says is expected, held against the run's own cases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from harness.judge import claims as judge
from harness.judge.claims import Region, Verdict
from harness.judge.stats import Interval
from harness.metrics import show, show_interval, show_number, show_ratio
from reports.context import Context
from reports.estimates import Found, chosen, estimated, kind, region
from reports.results import Result
from reports.run_file import ClaimInfo
from reports.words import count, join

MANY = 10
"""Times the rounds that were taken, from which on more rounds are the worse half of the advice."""
VERDICTS: tuple[Verdict, ...] = ("confirmed", "refuted", "undecided")


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


def decided(context: Context) -> list[Decided]:
    """Return what the run says of all of its suite's claims, in the suite's order."""
    return [decide(context, claim) for claim in context.run.file.suite.claims]


def tally(claims: Sequence[Decided]) -> str:
    """Return how many came out which way: `28 claims: 20 confirmed, 5 refuted and 3 undecided`."""
    numbers = Counter(one.verdict for one in claims)
    parts = [f"{numbers[verdict]} {verdict}" for verdict in VERDICTS if numbers[verdict]]
    return f"{count(len(claims), 'claim')}: {join(parts)}"


def shown(one: Decided) -> str:
    """Return the estimate as it is printed: `1.02× [0.98, 1.06]`, `0 MiB`, `–`."""
    if one.estimate is None:
        return "–"
    value, low, high = one.estimate.value, one.estimate.low, one.estimate.high
    if one.kind == "value":
        return show(one.metric or "", value, low, high)
    text = show_ratio(value, low, high) if one.kind == "ratio" else show_number(value, low, high)
    return text if low == high else f"{text} {show_interval(value, low, high)}"


def decide(context: Context, claim: ClaimInfo) -> Decided:
    """Return what the run says of `claim`."""
    if claim.metric is None or claim.expect is None:
        return _decided(claim, None, Found(None, (), why="a metric and an expectation: the claim names none"))
    about = chosen(context, claim.where)
    having = [result for result in about if result.number(claim.metric) is not None]
    found = estimated(context, claim, having) if having else Found(None, (), why=_absent(claim.metric, about))
    return _decided(claim, region(claim), found)


def _absent(metric: str, about: Sequence[Result]) -> str:
    """Return why there is no case to stand on, of those that the claim is about."""
    if not about:
        return "a case that the claim is about: this run has none"
    if failed := next((result for result in about if not result.ok), None):
        return f"a case with {metric}: {failed.id} is {failed.status} ({failed.reason})"
    return f"a case with {metric}: none of {count(len(about), 'case')} has it; is its probe in [measure]?"


def _decided(claim: ClaimInfo, wanted: Region | None, found: Found) -> Decided:
    verdict: Verdict = "undecided" if wanted is None else wanted.verdict(found.estimate)
    return Decided(
        id=claim.id,
        text=claim.text,
        source=claim.source,
        group=claim.group,
        verdict=verdict,
        kind=kind(claim),
        metric=claim.metric,
        estimate=found.estimate,
        wanted=wanted,
        cases=len(found.cases),
        rows=tuple(result.id for result in found.cases),
        needs=_needs(wanted, found) if verdict == "undecided" else None,
    )


def _needs(wanted: Region | None, found: Found) -> str:
    """Return what would decide an undecided claim."""
    if found.why is not None or found.estimate is None or wanted is None:
        return found.why or "a second round: one has no interval"
    number = judge.rounds_needed(found.estimate, wanted, found.number)
    if number is None:
        return "another tolerance, or a quieter machine: the estimate lies at the very end of what the claim allows"
    quieter = ", or a quieter machine" if found.unit == "round" and number > MANY * found.number else ""
    return f"about {count(number, found.unit)} instead of {found.number}{quieter}, if the estimate stands"
