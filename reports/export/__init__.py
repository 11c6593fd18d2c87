"""A run for other programs: a tidy table of its cases, a file for pytest-benchmark, or its charts for slides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

from reports.read import ReportError
from reports.results import Run

Format = Literal["csv", "parquet", "json", "pytest-benchmark"]
FORMATS: tuple[Format, ...] = get_args(Format)
PICTURES = "svg"
"""The format that is a folder of files, one a chart: `pictures` gives them."""
BINARY: tuple[Format, ...] = ("parquet",)
"""What no terminal can show."""


def export(run: Run, form: Format) -> bytes:
    """Return the run in a format; text is UTF-8.

    Raises:
        ReportError: The format needs a package that is not installed, or the run has nothing for it.
    """
    return _writer(form)(run)


def _writer(form: Format) -> Callable[[Run], bytes]:
    if form == "pytest-benchmark":
        from reports.export.benchmarks import benchmarks

        return benchmarks
    from reports.export import table

    return {"csv": table.csv, "json": table.json, "parquet": table.parquet}[form]


__all__ = ["BINARY", "FORMATS", "PICTURES", "Format", "ReportError", "export"]
