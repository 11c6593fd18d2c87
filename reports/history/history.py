"""History: everything that is said of many runs of one suite, as data, before any printing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from harness.judge.compare import Word
from reports.history import sections
from reports.history.cases import of_cases
from reports.history.enough import Enough, enough
from reports.history.groups import Group, groups
from reports.history.lines import lines
from reports.history.sections import Changes, Runs, Trends
from reports.history.stops import Era, Stop, eras, reach, stops
from reports.history.tracks import tracks
from reports.history.words import told
from reports.results import Run
from reports.sections.base import Section
from reports.sections.provenance import Fact
from reports.words import Sentence, Span, count, join, sentence

SCHEMA = 1
"""Version of the JSON document."""
SAID: dict[Word, str] = {
    "changed": "otherwise",
    "not comparable": "redefined",
    "failed": "failing",
    "missing": "no longer there",
}
"""Verdicts as a count of cases names them; the others by themselves."""


@dataclass(frozen=True, kw_only=True)
class History:
    """Many runs of one suite."""

    schema: int
    title: str
    suite: str
    answer: Sentence
    facts: tuple[Fact, ...]
    cases: int
    judged: int
    """Series of noisy numbers with runs enough to look through for changes; all of them are counted together."""
    changes: Changes
    trends: Trends
    runs: Runs
    harness: str

    @property
    def sections(self) -> tuple[Section, ...]:
        """The sections in the page's order."""
        return self.changes, self.trends, self.runs


def history(runs: Sequence[Run], title: str | None = None) -> History:
    """Return the History of runs of one suite that are in order."""
    parts = eras(runs)
    cases = tracks(runs)
    points = stops(runs, parts, [sum(at in case.unselected for case in cases) for at in range(len(runs))])
    found = lines(cases, parts)
    grouped = groups([*of_cases(cases), *(shift for line in found for shift in line.shifts)], cases)
    known, last = enough(found, cases, parts), runs[-1]
    return History(
        schema=SCHEMA,
        title=title or f"{last.file.suite.title}: history",
        suite=last.file.suite.name,
        answer=_answer(grouped, points, len(cases), known),
        facts=_facts(last, points, parts),
        cases=len(cases),
        judged=known.judged,
        changes=sections.changes(grouped, found, points, known),
        trends=sections.trends(grouped, found, known),
        runs=sections.runs(grouped, found, points, parts, known),
        harness=last.file.harness.version,
    )


def _answer(grouped: Sequence[Group], points: Sequence[Stop], cases: int, known: Enough) -> Sentence:
    """Return the finding: how many cases changed, in which way, and the change that stands out most."""
    span = f"over {count(len(points), 'run')} since {points[0].day}"
    if not grouped:
        return sentence(Span(_none(cases, known), "strong"), f" {span}: {known.nothing}.")
    kinds = {(shift.subject.id, shift.word) for group in grouped for shift in group.shifts}
    tally = Counter(word for _, word in sorted(kinds))
    parts = join(f"{number} {SAID.get(word, word)}" for word, number in tally.most_common())
    head = Span(f"{len({case for case, _ in kinds})} of {count(cases, 'case')} changed", "strong")
    return sentence(
        head,
        f" {span}: {parts}. Most of all, ",
        told(grouped[0], points),
        f"; {known.lacking}." if known.short else ".",
    )


def _none(cases: int, known: Enough) -> str:
    if known.judged:
        return f"None of {count(cases, 'case')} changed"
    return "Too few runs to tell a change" if known.shared else "No change can be told"


def _facts(last: Run, points: Sequence[Stop], parts: Sequence[Era]) -> tuple[Fact, ...]:
    device = last.file.device
    commits = list(dict.fromkeys(stop.commit for stop in points))
    return (
        Fact("Suite", (last.file.suite.name,)),
        Fact("Runs", (count(len(points), "run"), reach(points))),
        Fact("Harness", (count(len(commits), "commit"), f"{commits[0]} to {commits[-1]}")),
        Fact("Device", (str(device.get("name") or device.get("kind") or "unknown"),
                        f"{count(len(parts) - 1, 'change')} of environment")),
    )  # fmt: skip
