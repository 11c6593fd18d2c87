"""Test data: nights of which the run is invented, and the report and the comparison are real commands."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.case import Case
from harness.declare.shipped import shipped_policies
from harness.nightly import drive
from harness.nightly.baselines import Baseline
from harness.nightly.night import RUN, Ended, Night, Side
from harness.nightly.steps import Tell, run_step
from tests import fake_run
from tests.fake_run import Edit
from tests.test_versus import CASES, again

HERE = Side("Test CPU (invented)", "9f3c1ab41d07", "2026-11-21T02:14:02+00:00", "harness run quick --device cpu")


def night(**changes: Any) -> Night:
    """Return a night that ended well."""
    usual = {
        "suite": "quick",
        "baseline": "quick",
        "base": HERE,
        "candidate": HERE,
        "steps": (Ended("run", 0, 61.0, "done"), Ended("compare", 0, 2.0)),
        "code": 0,
        "why": "Of 4 numbers, none that the policy counts is worse.",
    }
    return Night(**{**usual, **changes})


def row(case: str, metric: str | None, verdict: str, **more: Any) -> dict[str, Any]:
    """Return a row as `harness compare --json` has it."""
    usual = {"why": None, "base": None, "candidate": None, "change": None}
    return {"id": case, "metric": metric, "verdict": verdict, **usual, **more}


def slower(case: str, ratio: float = 1.1) -> dict[str, Any]:
    """Return a row of a case that takes `ratio` times as long."""
    interval = {"value": ratio, "low": ratio - 0.01, "high": ratio + 0.01}
    change = {"ratio": interval, "p": 1e-6, "noise": 0.01, "factor": 10.0}
    return row(case, "latency_ms", "slower", base=1.0, candidate=ratio, change=change)


def gate(failures: Sequence[dict[str, Any]] = (), rest: Sequence[dict[str, Any]] = (), **more: Any) -> dict[str, Any]:
    """Return what `harness compare --gate --json` prints of these rows."""
    rows = [*failures, *rest]
    named = [{name: one[name] for name in ("id", "metric", "verdict")} for one in failures]
    tally: dict[str, int] = {}
    for one in rows:
        tally[one["verdict"]] = tally.get(one["verdict"], 0) + 1
    found = {"passes": not failures, "failures": named, "warnings": [], "cleared": []}
    usual = {"rows": rows, "differences": [], "comparisons": len(rows), "drift": 1.001, "tally": tally, "gate": found}
    return {**usual, **more}


def invent(
    patch: pytest.MonkeyPatch,
    *,
    edit: Edit | None = None,
    code: int = 0,
    real: Sequence[str] = ("compare",),
    **top: Any,
) -> None:
    """Let each night's run be a fake one that ends with `code`; of the other commands those in `real` are called."""

    def step(name: str, words: Sequence[str], where: Path, tell: Tell, output: Path | None = None) -> Ended:
        if name == "run":
            fake_run.write_run(where / RUN, CASES, edit=again(2, edit), **top)
            return Ended(name, code, 60.0, f"harness: it ended with {code}")
        return run_step(name, words, where, tell, output) if name in real else Ended(name, 0, 1.0)

    patch.setattr(drive, "run_step", step)


def spend(
    folder: Path,
    patch: pytest.MonkeyPatch,
    tonight: Edit | None = None,
    *,
    base: Edit | None = None,
    cases: Sequence[Case] | None = CASES,
    **more: Any,
) -> Night:
    """Drive an invented night in `folder`, against a baseline of these cases; None: there is no baseline."""
    invent(patch, edit=tonight, **more)
    folder.mkdir(parents=True, exist_ok=True)
    there = folder.with_name(f"{folder.name}-base")
    if cases is not None:
        fake_run.write_run(there, list(cases), edit=again(1, base))
    baseline = Baseline("quick", there if cases is not None else None)
    asked = drive.Asked("quick", folder, baseline, shipped_policies()["nightly"], device="cpu")
    return drive.spend(asked, lambda words: None)
