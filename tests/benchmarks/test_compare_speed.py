"""How long a comparison, and the gate on it, think about 100,000 times on either side, once the runs are read."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from harness.declare.policy import USUAL
from harness.record import FailedRecord, OkRecord, Value
from reports.read import Planned, Run, RunFile
from reports.versus import compare
from reports.versus.gate import judge
from tests import fake_run

CASES = 100_000
SLOWER = 50
"""Cases that take 10 % longer in the candidate."""


@cache
def _runs() -> tuple[Run, Run]:
    file = RunFile.model_validate(fake_run.run_file([]))
    first = fake_run.make_case("dense", "dense")
    cases = [replace(first, d_ff=number + 1) for number in range(CASES)]
    planned = [Planned(id=case.id, key=case.key, variant=case.variant, case=case.as_dict()) for case in cases]
    return _run("base", file.model_copy(update={"cases": planned}), 0), _run(
        "candidate", file.model_copy(update={"cases": planned}), SLOWER
    )


def _run(name: str, file: RunFile, slower: int) -> Run:
    times = np.exp(np.random.default_rng(slower).normal(0, 0.02, (CASES, 6)))
    times[:slower] *= 1.1
    pairs = zip(file.cases, times.tolist(), strict=True)
    records: dict[str, OkRecord | FailedRecord] = {case.key: _record(case, rounds) for case, rounds in pairs}
    run = Run(name, file, records)
    assert len(run.results) == CASES  # made of the records here, since reading is not what is timed
    return run


def _record(case: Planned, rounds: list[float]) -> OkRecord:
    metrics = {"latency_ms": Value(value=sorted(rounds)[3], rounds=list(rounds)), "params": Value(value=1.0)}
    names = {"key": case.key, "id": case.id, "variant": case.variant, "case": case.case}
    return OkRecord.model_validate({"schema": 1, "status": "ok", "metrics": metrics, "backend": "dense", **names})


@pytest.mark.benchmark(group="compare")
def test_a_hundred_thousand_times_compared(benchmark: BenchmarkFixture) -> None:
    found = benchmark.pedantic(compare, _runs(), rounds=3)  # type: ignore[no-untyped-call]
    assert found.comparisons == CASES
    assert SLOWER <= found.count("slower") <= 1.2 * SLOWER


@pytest.mark.benchmark(group="compare")
def test_a_hundred_thousand_times_gated(benchmark: BenchmarkFixture) -> None:
    found = benchmark.pedantic(judge, (*_runs(), USUAL), rounds=3)  # type: ignore[no-untyped-call]
    assert SLOWER <= len(found.failures) <= 1.2 * SLOWER
