"""What the engine takes for itself; the bound is 10 ms a visit, median, in a warm worker."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from harness.engine.journal import Journal, Line, utc_now
from harness.engine.process import WorkerProcess
from harness.engine.protocol import Request, Result
from tests import cases

OPTIONS = {"rounds": 300, "iterations": 1, "warmup_rounds": 10}
SETTINGS: dict[str, float | int] = {"seconds_per_visit": 0.001, "min_samples": 1, "seed": 0}
CASE = cases.dense(d_model=384, d_ff=1536, tokens=196, batch=8)
"""The dense layer of the suite `quick`, at its larger input."""
PROGRAM = """
import sys, types
from harness.engine.worker import main
from harness.probes import PROBES, Outcome
samples = [1.234567891] * 200
PROBES["latency"] = types.SimpleNamespace(measure=lambda *_: Outcome({"latency_ms": samples}))
sys.exit(main())
"""
"""The worker with a probe that takes no time and gives as many samples as a visit can: all the rest is overhead."""


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[WorkerProcess]:
    process = WorkerProcess([sys.executable, "-c", PROGRAM, "--device", "cpu"], tmp_path / "log", lambda: False)
    process.hello()
    yield process
    process.end(politely=True)


def test_overhead_of_a_visit(benchmark: Any, worker: WorkerProcess) -> None:
    """From the visit sent to the answer received, the layer and its input standing ready."""
    request = Request(0, CASE.variant, CASE.as_dict(), "latency", SETTINGS)
    result = benchmark.pedantic(lambda: worker.ask(request, 60), **OPTIONS)
    assert result.status == "ok", result.detail
    assert len(result.values["latency_ms"]) == 200


def test_overhead_of_a_journal_line(benchmark: Any, tmp_path: Path) -> None:
    """What comes between two visits: one line written and flushed to disk."""
    journal = Journal(tmp_path / "journal.jsonl")
    result = asdict(Result(0, "ok", values={"latency_ms": [1.234567891] * 200}, state={"load_1min": 0.5}))
    del result["spent"]  # it is for the keeper alone
    own = {"key": CASE.key, "id": CASE.id, "probe": "latency", "round": 0, "started": utc_now(), "seconds": 0.1}
    benchmark.pedantic(lambda: journal.append(Line.model_validate(result | own)), **OPTIONS)
    journal.close()
