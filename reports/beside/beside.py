"""Beside: everything that is said of several runs of one suite, as data, before any printing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from reports.beside import sections
from reports.beside.columns import Column, columns
from reports.beside.judged import judged
from reports.beside.panels import multiples
from reports.beside.sections import Multiples, Standings, Table, races_words, whole_words
from reports.beside.table import table
from reports.read import ReportError
from reports.results import Run
from reports.sections import comparability
from reports.sections.base import Section
from reports.sections.comparability import Comparability
from reports.versus.pairs import refuse_strangers
from reports.words import Sentence, Span, count, join, join_sentences, sentence

SCHEMA = 1
"""Version of the JSON document."""
MOST = 6
"""Runs that a page has room for."""


@dataclass(frozen=True, kw_only=True)
class Beside:
    """Several runs of one suite."""

    schema: int
    title: str
    suite: str
    answer: Sentence
    banners: tuple[str, ...]
    columns: tuple[Column, ...]
    standings: Standings
    comparability: Comparability
    table: Table
    multiples: Multiples
    harness: str

    @property
    def sections(self) -> tuple[Section, ...]:
        """The sections in the page's order."""
        return self.standings, self.comparability, self.table, self.multiples


def beside(runs: Sequence[Run], title: str | None = None) -> Beside:
    """Return what is said of `runs`, of which the first is the reference."""
    shown, found = columns(runs), judged(runs)
    names = [column.name for column in shown]
    standing = sections.standings(shown, found)
    rows, scale = table(runs, found)
    return Beside(
        schema=SCHEMA,
        title=title or f"{runs[0].file.suite.title}: {count(len(runs), 'run')} side by side",
        suite=runs[0].file.suite.name,
        answer=_answer(standing, names[0], races_words(standing.rows, found)),
        banners=tuple(f"{column.name}: {told}." for column in shown for told in column.told),
        columns=shown,
        standings=standing,
        comparability=comparability.build(runs, names),
        table=sections.table(shown, rows, scale),
        multiples=sections.multiples(multiples(runs, names), shown, rows),
        harness=runs[0].file.harness.version,
    )


def refuse(runs: Sequence[tuple[Path, Run]]) -> None:
    """Raise ReportError where these runs cannot stand side by side; NothingInCommon where it is their cases."""
    (folder, first), suite = runs[0], runs[0][1].file.suite.name
    if len(runs) > MOST:
        raise ReportError(f"{len(runs)} runs side by side are more than a page has room for, which is {MOST}; leave "
                          "--beside out for their history.")  # fmt: skip
    for other, run in runs[1:]:
        if run.file.suite.name != suite:
            raise ReportError(f"{other} is of suite {run.file.suite.name}, {folder} of {suite}: runs of one suite "
                              "stand side by side; name the runs of one.")  # fmt: skip
    for (a, one), (b, two) in combinations(runs, 2):
        if a.resolve() == b.resolve():
            raise ReportError(f"{a} is named twice: name each run once.")
        if one.file.started == two.file.started and one.records == two.records:
            raise ReportError(f"{a} and {b} are the same run: same start, same records; name each run once.")
    for _, run in runs[1:]:
        refuse_strangers(first, run, "side by side stand runs that measured some of the same")


def _answer(standing: Standings, first: str, races: str) -> Sentence:
    """Return who is fastest, how each run stands over all cases, and which cannot be compared."""
    parts = [sentence(Span(races, "strong"))]
    parts += [whole_words(row, first) for row in standing.rows if row.whole is not None]
    apart: dict[str, list[str]] = {}
    for row in standing.rows:
        if row.column.forbids:
            apart.setdefault(row.column.forbids, []).append(row.column.name)
    parts += [sentence(f"the times of {join(names)} are not comparable with those of {first}: {why}")
              for why, names in apart.items()]  # fmt: skip
    return (*join_sentences(parts), Span("."))
