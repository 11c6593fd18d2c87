"""Small plans and runs for tests of the engine: one dense variant for each name, measured by the scripted worker."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.declare.plan import plan
from harness.declare.planned import Plan
from harness.declare.suite import parse_suite
from harness.engine.keeper import WorkerOptions
from harness.engine.runner import RunResult, run

ROOT = Path(__file__).parent.parent


def make_plan(
    *variants: str, probes: str = '"latency"', rounds: int = 2, timeout: float = 20.0, **measure: Any
) -> Plan:
    """Return a plan of one tiny dense case for each name, without A/A cells where `measure` asks for none."""
    lines = [
        'title = "A test"',
        "[base]",
        "d_model = 16",
        "d_ff = 32",
        "tokens = 4",
        "batch = 2",
        "[measure]",
        f"probes = [{probes}]",
        f"rounds = {rounds}",
        f"timeout = {timeout}",
        "seconds_per_visit = 0.002",
        *(f"{name} = {value}" for name, value in ({"a_a": 0} | measure).items()),
    ]
    for name in variants:
        lines += ["[[variant]]", f'name = "{name}"', 'layer = "dense"']
    return plan(parse_suite("\n".join(lines), "test.toml"))


def scripted(log: Path) -> WorkerOptions:
    """Return options that start the scripted worker, which notes its visits in `log`."""
    return WorkerOptions(program=(sys.executable, "-P", "-c", _PROGRAM, str(log)))


def measure(folder: Path, chosen: Plan, **options: Any) -> RunResult:
    """Run a plan with the scripted worker, whose log stands beside the run folder."""
    folder.mkdir(parents=True, exist_ok=True)
    return run(chosen, folder, device_kind="cpu", worker=scripted(folder.parent / "log"), **options)


def answered(folder: Path) -> Counter[str]:
    """Return how often the scripted worker answered, by `variant probe`."""
    log = folder.parent / "log"
    lines = log.read_text().splitlines() if log.exists() else []
    return Counter(line.rpartition(" ")[0] for line in lines)


def with_cases(chosen: Plan, **changes: Any) -> Plan:
    """Return the plan with these fields of its first case changed."""
    first, *rest = chosen.cases
    return replace(chosen, cases=[replace(first, **changes), *rest])


_PROGRAM = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from tests.scripted_worker import main; main()"
