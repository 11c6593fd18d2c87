"""How long a report of 10,000 cases takes, read and rendered, and how much memory the process comes to hold.

With the journal that such a run leaves: six rounds of a case, of fifty samples each, a quarter of a gigabyte.
"""

from __future__ import annotations

import resource
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from reports import render
from tests.fake_journal import write_journal
from tests.large_run import write_large_run

CASES, SAMPLES = 10_000, 50


@pytest.mark.benchmark(group="report")
def test_report_of_ten_thousand_cases(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    run = write_large_run(tmp_path / "run", CASES)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as elsewhere:  # what it holds is not the report's
        wobble = [1 + 0.001 * (index % 7) for index in range(SAMPLES)]
        elsewhere.submit(write_journal, run, wobble=wobble).result()
    benchmark.pedantic(render, (run,), {"html": run / "report.html"}, rounds=2)  # type: ignore[no-untyped-call]
    benchmark.extra_info["cases"] = CASES
    benchmark.extra_info["journal_mb"] = (run / "journal.jsonl").stat().st_size // 2**20
    benchmark.extra_info["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
