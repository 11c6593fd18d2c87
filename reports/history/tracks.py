"""Tracks: one case, or one of its numbers, through all runs; cases are the same by their content key."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from scipy import stats

from harness.declare.faults import Place, SuiteError
from harness.declare.selection import COMMAND_LINE, Rule
from harness.judge.stats import CONFIDENCE
from reports.context import Context
from reports.results import Result, Run
from reports.settings import setting_of
from reports.subjects import Subject
from reports.versus.versus import EXACT, TIMED

HALF = float(stats.norm.ppf((1 + CONFIDENCE) / 2))
"""Standard errors from an estimate to an end of its interval."""


@dataclass(frozen=True, slots=True)
class Track:
    """One case through all runs."""

    subject: Subject
    where: str
    """Its setting in words, as far as cases differ in it."""
    results: tuple[Result | None, ...]
    """One a run; None where the run's plan has no such case."""
    unselected: frozenset[int] = frozenset()
    """Runs whose --select left the case out: it was not gone."""

    def has(self, metric: str) -> bool:
        """Whether any run has measured `metric`."""
        return any(result is not None and metric in result.metrics for result in self.results)

    def values(self, metric: str) -> list[float | str | None]:
        """Return the metric's value in each run."""
        known = [None if result is None else result.metrics.get(metric) for result in self.results]
        return [None if value is None else value.value for value in known]

    def error(self, metric: str, at: int) -> float:
        """Return the standard error of the logarithm of a run's value, from its own interval; 0 where it has none."""
        result = self.results[at]
        ends = None if result is None else result.interval(metric)
        return math.log(ends.high / ends.low) / 2 / HALF if ends is not None and ends.low > 0 else 0.0


def tracks(runs: Sequence[Run]) -> list[Track]:
    """Return every case of any run, those of the last run first and in its order."""
    by_key = [{result.key: result for result in run.results} for run in runs]
    contexts = [Context(run) for run in runs]
    keys = dict.fromkeys(key for results in reversed(by_key) for key in results)
    narrowed = [(at, rule) for at, run in enumerate(runs) if (rule := _selection(run)) is not None]
    return [_track(key, by_key, contexts, narrowed) for key in keys]


def noisy_metrics(track: Track) -> Iterator[str]:
    """Yield the case's metrics that have noise."""
    return (metric for metric in TIMED if track.has(metric))


def exact_metrics(track: Track) -> Iterator[str]:
    """Yield the case's metrics that have none."""
    return (metric for metric in EXACT if track.has(metric))


def _track(
    key: str, by_key: Sequence[dict[str, Result]], contexts: Sequence[Context], narrowed: Sequence[tuple[int, Rule]]
) -> Track:
    last = max(at for at, results in enumerate(by_key) if key in results)
    context, result = contexts[last], by_key[last][key]
    where = context.words(setting_of(result.case))
    unselected = frozenset(at for at, rule in narrowed if key not in by_key[at] and _leaves_out(rule, result))
    return Track(context.subject(result), where, tuple(results.get(key) for results in by_key), unselected)


def _selection(run: Run) -> Rule | None:
    """Return what the run's --select kept; None where it kept all, or cannot be read."""
    with suppress(SuiteError):
        text = run.file.suite.select
        return None if text is None else Rule.read(text, Place(COMMAND_LINE, None, ""))
    return None


def _leaves_out(rule: Rule, result: Result) -> bool:
    with suppress(SuiteError):  # of an expression that has no value for this case
        return not rule.holds(result.case)
    return False
