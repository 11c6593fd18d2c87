"""A run as a file of pytest-benchmark's: what `pytest-benchmark compare` reads, beside those that pytest writes.

A round of the run is a round there, so that each datum stands on a process of its own; the statistics over them are
pytest-benchmark's. A case without times is none of its benchmarks, and is told beside them.
"""

from __future__ import annotations

from json import dumps
from typing import Any

from harness.record import SCHEMA, columns
from reports.read import ReportError
from reports.results import Result, Run

NEEDED = 'the statistics are pytest-benchmark\'s own: pip install "moe-harness[pytest]".'


def benchmarks(run: Run) -> bytes:
    """Return the file.

    Raises:
        ReportError: pytest-benchmark is not installed, or no case has a time.
    """
    timed = [result for result in run.results if _seconds(result)]
    if not timed:
        raise ReportError(f"no case of {run.name} has a time: there is nothing for pytest-benchmark to compare.")
    untimed = [result for result in run.results if not _seconds(result)]
    file = run.file
    document = {
        "machine_info": {"node": file.environment.get("hostname"), "moe_harness": _machine(run)},
        "commit_info": {"id": file.environment.get("commit") or "unversioned", "dirty": file.environment.get("dirty")},
        "benchmarks": [_benchmark(run, result) for result in timed],
        "datetime": file.started,
        "version": _version(),
        "moe_harness": {
            "schema": SCHEMA,
            "run": run.name,
            "harness": file.harness.model_dump(),
            "not_measured": [_untimed(result) for result in untimed],
        },
    }
    return (dumps(document, allow_nan=False, indent=1) + "\n").encode()


def _benchmark(run: Run, result: Result) -> dict[str, Any]:
    suite, measure = run.file.suite.name, run.file.suite.measure
    return {
        "group": suite,
        "name": result.id,
        "fullname": f"{suite}.toml::{result.id}",
        "params": result.case.as_dict(),
        "param": result.id,
        "extra_info": {
            "key": result.key,
            "backend": result.backend,
            **columns(result.metrics),
            "notes": list(result.notes),
        },
        "options": {
            "timer": "device",
            "min_rounds": measure.get("rounds"),
            "min_time": measure.get("seconds_per_visit"),
        },
        "stats": _stats(_seconds(result)),
    }


def _stats(seconds: list[float]) -> dict[str, Any]:
    try:
        from pytest_benchmark.stats import Stats
    except ImportError:
        raise ReportError(NEEDED) from None
    stats = Stats()  # type: ignore[no-untyped-call]
    for each in seconds:
        stats.update(each)  # type: ignore[no-untyped-call]
    return {**stats.as_dict(), "data": seconds, "iterations": 1}  # type: ignore[no-untyped-call]


def _seconds(result: Result) -> list[float]:
    """Return the time of a pass by each round, in seconds."""
    return [ms * 1e-3 for ms in result.rounds("latency_ms") if ms is not None]


def _machine(run: Run) -> dict[str, Any]:
    device, environment = run.file.device, run.file.environment
    told = {name: environment.get(name) for name in ("python", "torch", "triton", "os", "kernel", "cpu", "variables")}
    return {"device": {name: device.get(name) for name in ("kind", "name")}, **told}


def _untimed(result: Result) -> dict[str, Any]:
    reason = result.reason or "its latency was not measured"
    return {"id": result.id, "key": result.key, "status": result.status, "reason": reason}


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("pytest-benchmark")
    except PackageNotFoundError:
        raise ReportError(NEEDED) from None
