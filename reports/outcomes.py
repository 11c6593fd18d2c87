"""Outcomes: what became of each case, with the numbers by which a CI server tells one from another."""

from __future__ import annotations

from dataclasses import dataclass

from harness.metrics import METRICS
from harness.record import columns
from reports.context import Context
from reports.results import Result, ResultStatus

LIMIT = 10_000
"""Cases that are named; of more, all that have no numbers, and the first of the others."""
NUMBERS = ("latency_ms", "latency_ms_low", "latency_ms_high", "memory_peak_bytes")
"""Columns of a case that are kept, beside what its determinism came to."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One case."""

    id: str
    variant: str
    status: ResultStatus
    reason: str | None
    """Why it has no numbers; None where it has."""
    numbers: dict[str, float | int | str]
    """Its numbers by the names that `harness export` gives them, unrounded."""


@dataclass(frozen=True, slots=True)
class Outcomes:
    """All cases, in the plan's order."""

    rows: tuple[Outcome, ...] = ()
    left_out: int = 0
    """Cases with numbers beyond LIMIT."""


def build(context: Context) -> Outcomes:
    """Return what became of the run's cases."""
    room = LIMIT - sum(not result.ok for result in context.results)
    kept = []
    for result in context.results:
        room -= result.ok
        if not result.ok or room >= 0:
            kept.append(_outcome(result))
    return Outcomes(tuple(kept), len(context.results) - len(kept))


def _outcome(result: Result) -> Outcome:
    numbers = {name: value for name, value in columns(result.metrics).items() if _is_told(name)}
    return Outcome(result.id, result.case.variant, result.status, None if result.ok else result.reason, numbers)


def _is_told(column: str) -> bool:
    """Return whether a column is kept: of determinism the shares of equal rows and the causes."""
    metric = METRICS.get(column)
    shares = metric is not None and column.startswith("det_") and metric.better == "higher"
    return shares or column in NUMBERS or (column.startswith("det_") and column.endswith("_cause"))
