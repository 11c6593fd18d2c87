"""The sweep that every fault befalls: thirty small cases of all four families, and the faulty ones among them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from harness.declare.plan import plan
from harness.declare.planned import Plan
from harness.declare.suite import parse_suite
from harness.engine.folder import Run
from harness.engine.keeper import WorkerOptions
from harness.engine.runner import RunResult
from harness.engine.runner import run as run_plan
from harness.record import FailedRecord, OkRecord

ROOT = Path(__file__).parent.parent.parent
TIMEOUT_S = 60.0
"""A sound visit takes some milliseconds, the first count of FLOPs in a process a second."""
SOUND = {
    "dense": 'layer = "dense"',
    "top-2": 'layer = "token_choice"\nexperts = 4\ntop_k = 2',
    "capacity": 'layer = "token_choice"\nexperts = 4\ntop_k = 2\ncapacity_factor = 1.0',
    "expert-choice": 'layer = "expert_choice"\nexperts = 4\ncapacity_factor = 1.0',
    "soft": 'layer = "soft"\nexperts = 4',
}
HEAD = """
title = "A sweep that faults befall"
[base]
d_model = 16
d_ff = 32
tokens = 8
dtype = "float32"
"""
SWEPT = """
sweep.batch = [1, 2, 4]
sweep.pass = ["forward", "forward_backward"]
"""
MEASURE = """
[measure]
seconds_per_visit = 0.002
min_samples = 2
"""
_PROGRAM = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from tests.faults.serve import main; sys.exit(main())"


def suite_text(faulty: Iterable[str] = (), *, probes: Sequence[str], timeout: float = TIMEOUT_S) -> str:
    """Return the suite with one dense case for each name in `faulty`, in the midst of the sound ones."""
    sound = [f'[[variant]]\nname = "{name}"\n{axes}{SWEPT}' for name, axes in SOUND.items()]
    marked = [f'[[variant]]\nname = "{name}"\nlayer = "dense"\nbatch = 2' for name in faulty]
    half = len(sound) // 2
    tables = [*sound[:half], *marked, *sound[half:]]
    return "\n".join([HEAD, *tables, MEASURE, f"probes = {json.dumps(probes)}", "rounds = 1", f"timeout = {timeout}"])


def make_plan(faulty: Iterable[str] = (), **measure: Any) -> Plan:
    """Return the plan of `suite_text`."""
    return plan(parse_suite(suite_text(faulty, **measure), "faults.toml"))


def program(witness: Path) -> tuple[str, ...]:
    """Return the command of the worker that has faulty layers and notes its visits in `witness`."""
    return (sys.executable, "-P", "-c", _PROGRAM, str(witness))


def sweep(folder: Path, chosen: Plan, **options: Any) -> RunResult:
    """Run `chosen` in this process into `folder`, beside which the witness stands."""
    folder.mkdir(parents=True, exist_ok=True)
    options.setdefault("worker", WorkerOptions(threads=1, program=program(witness_of(folder))))
    options.setdefault("device_kind", "cpu")
    return run_plan(chosen, folder, stopped=lambda: False, **options)


def ok(run: Run, variant: str) -> OkRecord:
    """Return the one record of `variant`, which has numbers."""
    (record,) = (record for record in run.records if record.variant == variant)
    assert isinstance(record, OkRecord), record.reason
    return record


def failed(run: Run, variant: str) -> FailedRecord:
    """Return the one record of `variant`, which has none."""
    (record,) = (record for record in run.records if record.variant == variant)
    assert isinstance(record, FailedRecord)
    return record


def witness_of(folder: Path) -> Path:
    """Return where the witness of the run in `folder` stands."""
    return folder.with_name(f"{folder.name}.witness")


def command(folder: Path, *arguments: str | Path) -> list[str]:
    """Return the command line `harness ARGUMENTS...` whose workers have faulty layers and a witness."""
    return [sys.executable, "-P", "-m", "tests.faults.drive", str(witness_of(folder)), *map(str, arguments)]


def variables(**more: str) -> dict[str, str]:
    """Return the environment of such a command."""
    return {**os.environ, "PYTHONPATH": str(ROOT), **more}


def suite_file(folder: Path, faulty: Sequence[str] = (), **measure: Any) -> Path:
    """Write the suite beside `folder` and return its path."""
    path = folder.with_name("faults.toml")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(suite_text(faulty, **measure), "utf-8")
    return path
