"""The tidy table of a run: a row a case, with where it stood, its axes, its outcome and its metrics as columns.

A metric has its own column, and where any case has them one for each of its interval's ends and its number of samples:
`latency_ms`, `latency_ms_low`, `latency_ms_high`, `latency_ms_n`. A case without numbers is a row too, with its status
and its reason. Columns are in an order of their own: the run, the case, its outcome, then metrics as the report has
them.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from json import dumps
from typing import Any

import pandas as pd

from harness.metrics import METRICS
from harness.record import SCHEMA, columns
from reports.read import ReportError
from reports.results import Result, Run

KINDS: dict[frozenset[type], str] = {
    frozenset({bool}): "boolean",
    frozenset({int}): "Int64",
    frozenset({float}): "Float64",
    frozenset({int, float}): "Float64",
}
"""pandas' types that know what is missing, by what a column holds; all else is text. An integer stays one."""
SUFFIXES = ("", "_low", "_high", "_n")
NOTES = " | "
"""Between the notes of one case."""


def csv(run: Run) -> bytes:
    """Return the table as CSV, a missing value as nothing."""
    return frame(run).to_csv(index=False, lineterminator="\n").encode()


def json(run: Run) -> bytes:
    """Return one document: the run, the unit of every metric, and the rows with null for what is missing."""
    table = frame(run)
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    units = {name: METRICS[name].unit for name in table.columns if name in METRICS}
    return (dumps({"schema": SCHEMA, **_of_run(run), "units": units, "rows": rows}, allow_nan=False) + "\n").encode()


def parquet(run: Run) -> bytes:
    """Return the table as Parquet; raise ReportError without pyarrow."""
    file = io.BytesIO()
    try:
        frame(run).to_parquet(file, engine="pyarrow", index=False)
    except ImportError:
        raise ReportError('Parquet needs pyarrow: pip install "moe-harness[parquet]".') from None
    return file.getvalue()


def frame(run: Run) -> pd.DataFrame:
    """Return the table."""
    rows = [_row(run, result) for result in run.results]
    return pd.DataFrame({name: _column([row.get(name) for row in rows]) for name in _in_order(rows)})


def _of_run(run: Run) -> dict[str, Any]:
    file = run.file
    versions = {"torch": file.environment.get("torch"), "harness": file.harness.version, "commit": file.harness.commit}
    where = {"device": file.device.get("name"), "started": file.started}
    return {"run": run.name, "suite": file.suite.name, **where, **versions}


def _row(run: Run, result: Result) -> dict[str, Any]:
    axes = {name: value for name, value in result.case.as_dict().items() if name != "backend"}
    own = {"id": result.id, "key": result.key, "variant": result.case.variant, **axes}
    backend = result.backend or result.case.backend
    outcome = {"backend": backend, "status": result.status, "end": result.end, "reason": result.reason}
    notes = {"notes": NOTES.join(result.notes) or None}
    return _of_run(run) | own | outcome | notes | columns(result.metrics)


def _in_order(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return every column: what all rows have as they have it, then the metrics in the order of `METRICS`."""
    found = dict.fromkeys(name for row in rows for name in row)
    metrics = [f"{name}{suffix}" for name in METRICS for suffix in SUFFIXES]
    return [*(name for name in found if name not in set(metrics)), *(name for name in metrics if name in found)]


def _column(values: Sequence[Any]) -> pd.Series[Any]:
    kind = KINDS.get(frozenset(_types(values)), "string")
    return pd.Series(values, dtype=kind)


def _types(values: Iterable[object]) -> Iterable[type]:
    return (type(value) for value in values if value is not None)
