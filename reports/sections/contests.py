"""Contests: layers with as many experts at one setting, and of equal FLOPs, the fastest held against the next."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice

from harness.judge.multiple import benjamini_hochberg
from reports.compare import EQUAL, Comparison, compare, counted_together
from reports.context import Context
from reports.results import Result
from reports.settings import Setting
from reports.subjects import Subject

RIVALS = 12
"""Layers of one contest that are held against its fastest, the next fastest first."""


@dataclass(frozen=True, slots=True)
class Contest:
    """Cases that are held against each other, the fastest first."""

    setting: Setting
    experts: int
    who: tuple[str, ...]
    results: tuple[Result, ...]
    rivals: tuple[Comparison, ...] = ()
    """The fastest over each of the next."""

    @property
    def row(self) -> tuple[int, tuple[str, ...]]:
        """The row of the map that it stands in."""
        return self.experts, self.who


def contests(context: Context, *, equal: bool) -> list[Contest]:
    """Return the groups of two or more cases that share setting and experts, and FLOPs if so wanted."""
    out: list[Contest] = []
    for setting in context.settings:
        by_experts: dict[int, list[Result]] = {}
        for result in context.at(setting):
            if result.case.experts is not None:
                by_experts.setdefault(result.case.experts, []).append(result)
        for experts, results in sorted(by_experts.items()):
            groups = _budgets(results) if equal else [results]
            out += [_contest(context, setting, experts, group) for group in groups if len(group) > 1]
    return out


def _contest(context: Context, setting: Setting, experts: int, results: list[Result]) -> Contest:
    order = list(context.identity)
    known = sorted(results, key=lambda result: order.index(result.case.variant))
    fastest = sorted(results, key=lambda result: result.ms or 0.0)
    return Contest(setting, experts, tuple(dict.fromkeys(_name(context.subject(one)) for one in known)), tuple(fastest))


def _budgets(results: list[Result]) -> list[list[Result]]:
    """Return the cases in groups whose FLOPs are equal to those of the group's smallest."""
    groups: list[list[Result]] = []
    for result in sorted((one for one in results if one.flops), key=lambda one: one.flops or 0):
        if groups and (result.flops or 0) <= (groups[-1][0].flops or 0) * (1 + EQUAL):
            groups[-1].append(result)
        else:
            groups.append([result])
    return groups


def held(context: Context, contest: Contest) -> Contest:
    """Return the contest with its fastest held against the next ones."""
    best, *others = contest.results
    rows = (compare(context, best, other) for other in others[:RIVALS])
    return replace(contest, rivals=tuple(row for row in rows if row))


def counted(contests: list[Contest]) -> list[Contest]:
    """Return the contests with the verdicts that are left when the comparisons of all maps are counted together."""
    words = iter(counted_together([row for one in contests for row in one.rivals], benjamini_hochberg))
    return [replace(one, rivals=tuple(islice(words, len(one.rivals)))) for one in contests]


def own(subject: Subject) -> str:
    """Return what tells a case from its variant's other ones at the same number of experts: `2 slots`."""
    return ", ".join(part for part in subject.detail.split(", ") if not part.endswith(("expert", "experts")))


def _name(subject: Subject) -> str:
    return f"{subject.variant} ({detail})" if (detail := own(subject)) else subject.variant
