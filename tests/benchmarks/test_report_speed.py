"""How long a report of 10,000 cases takes, read and rendered, and how much memory the process comes to hold."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from reports import render
from tests.large_run import write_large_run

CASES = 10_000


@pytest.mark.benchmark(group="report")
def test_report_of_ten_thousand_cases(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    run = write_large_run(tmp_path / "run", CASES)
    benchmark.pedantic(render, (run,), {"html": run / "report.html"}, rounds=2)  # type: ignore[no-untyped-call]
    benchmark.extra_info["cases"] = CASES
    benchmark.extra_info["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
