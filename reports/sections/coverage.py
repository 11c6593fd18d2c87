"""Coverage: what was planned, what ran, and why the rest did not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from reports.context import Context
from reports.families import Identity
from reports.results import Result, ResultStatus
from reports.subjects import Subject
from reports.words import Sentence, Span, count, join, sentence

KINDS: dict[ResultStatus, str] = {
    "oom": "out of memory",
    "timeout": "over time",
    "crashed": "crashed",
    "incorrect": "incorrect",
    "unsupported": "unsupported",
    "skipped": "skipped",
    "missing": "missing",
}
"""Why a case has no numbers, in words; in the order in which they are listed."""

STRIP_CASES = 1200
"""Above this many cases a strip of single marks is finer than a pixel, and counts stand alone."""


@dataclass(frozen=True, slots=True)
class Mark:
    """One case of the strip."""

    id: str
    status: str


@dataclass(frozen=True, slots=True)
class Group:
    """The cases of one variant, in the plan's order; of a run of many variants those of a family."""

    variant: str
    """Its name, or its family's."""
    family: str
    step: int
    marks: tuple[Mark, ...]
    total: int


@dataclass(frozen=True, slots=True)
class Failure:
    """A case without numbers."""

    subject: Subject
    status: str
    reason: str


@dataclass(frozen=True, slots=True)
class Coverage:
    """What became of every planned case."""

    planned: int
    ok: int
    counts: dict[ResultStatus, int]
    """Cases by reason for having no numbers; zero is left out."""
    text: Sentence
    groups: tuple[Group, ...]
    failures: tuple[Failure, ...]


def build(context: Context) -> Coverage:
    """Return the coverage of the run."""
    results = context.results
    statuses = Counter(result.status for result in results)
    counts = {status: statuses[status] for status in KINDS if statuses[status]}
    return Coverage(
        planned=len(results),
        ok=statuses["ok"],
        counts=counts,
        text=_text(len(results), statuses["ok"], counts),
        groups=_groups(context),
        failures=tuple(
            Failure(context.subject(result), result.status, result.reason or "no reason given")
            for result in results
            if not result.ok
        ),
    )


def _text(planned: int, ok: int, counts: dict[ResultStatus, int]) -> Sentence:
    if not planned:
        return sentence(Span("No case was planned.", "strong"))
    failed = join(f"{number} {KINDS[status]}" for status, number in counts.items())
    if ok == planned:
        whole = "The one case is ok." if planned == 1 else f"All {planned} cases are ok."
        return sentence(Span(whole, "strong"))
    return sentence(Span(f"{ok} of {count(planned, 'case')} ok, {failed}.", "strong"))


def _groups(context: Context) -> tuple[Group, ...]:
    shown = len(context.results) <= STRIP_CASES
    found: dict[Identity, list[Result]] = {context.told_as(name): [] for name in context.identity}
    for result in context.results:
        found[context.told_as(result.case.variant)].append(result)
    return tuple(
        Group(one.name, one.family, one.step, _marks(results) if shown else (), len(results))
        for one, results in found.items()
        if results
    )


def _marks(results: Sequence[Result]) -> tuple[Mark, ...]:
    return tuple(Mark(result.id, result.status) for result in results)
