"""Test data: many runs of one suite, a day apart, with known changes planted. Nothing here is a measurement."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from harness.case import Case
from tests import fake_run

FIRST = datetime(2026, 9, 1, 2, 14, 2, tzinfo=UTC)
NOISE = 0.01
"""Spread of one run of one case around its level."""
Plant = Callable[[int, Case, dict[str, Any]], float]
"""Takes the run's number, a case and its record; returns what its latency is multiplied by, and may edit the record."""
Top = Callable[[int], dict[str, Any]]
"""Takes the run's number; returns keys of run.json."""


def cases() -> list[Case]:
    """Return a few cases: token choice and Soft MoE at 8 and 32 experts, and a dense FFN."""
    routed = [("top-2", "token_choice"), ("soft", "soft")]
    some = [fake_run.make_case(name, layer, experts=experts) for name, layer in routed for experts in (8, 32)]
    return [*some, fake_run.make_case("dense", "dense")]


def write(
    root: Path, number: int, *, plant: Plant | None = None, top: Top | None = None, of: Sequence[Case] | None = None
) -> list[Path]:
    """Write `number` runs of the cases into folders of `root` and return these in order."""
    return [_write(root, run, list(of or cases()), plant, top) for run in range(number)]


def _write(root: Path, run: int, some: list[Case], plant: Plant | None, top: Top | None) -> Path:
    draw = random.Random(run)
    luck = {case.key: 1 + draw.gauss(0, NOISE) for case in some}

    def edit(case: Case, record: dict[str, Any]) -> dict[str, Any]:
        factor = luck[case.key] * (plant(run, case, record) if plant else 1.0)
        if record["status"] == "ok":
            latency = record["metrics"]["latency_ms"]
            latency |= {end: latency[end] * factor for end in ("value", "low", "high")}
            latency["rounds"] = [each * factor for each in latency["rounds"]]
        return record

    start = FIRST + timedelta(days=run)
    keys = {
        "started": start.isoformat(),
        "finished": (start + timedelta(minutes=3)).isoformat(),
        "harness": {"version": "0.1.0", "commit": f"{run:02d}f3c1ab41d0", "dirty": False, "source": "a81c77b19d0e"},
    }
    folder = root / f"quick-{start:%Y%m%d}"
    return fake_run.write_run(folder, some, edit=edit, **(keys | (top(run) if top else {})))
