"""Test data: notes, marks and probes on a fake run as a real run of `quick` on a busy CPU of two cores has them."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from harness.case import Case
from tests import fake_run
from tests.fake_journal import write_journal

CROWDED = "{} of 6 rounds were taken while other processes had the cores"
SETTLING = "had not settled: over 6 rounds a visit's first sample took {:.2f}× [{:.2f}, {:.2f}] of its last"
ROOF = (
    "experts is {:.2f} times as fast as its roof allows, whatever the cache holds: a measurement error, of the ceilings"
    " (measure them again with harness doctor) or of the phase's share"
)
CEILINGS = "hfu is above 1: this device's measured ceilings are too low; measure them again (doctor)"
SHORT = "steady state not tested: that takes 13 blocks or more, and a visit has time for fewer"
GROUPED = "grouped products are a loop over the experts here: no CPU has a kernel for them"
FAKE = (
    "memory_fake_bytes is not predicted: fake tensors do not go through the layer (RuntimeError: Expected inputs of"
    " BF16 type but got mat_a.dtype=torch.float32 and mat_b.dtype=torch.float32.)"
)
AXES = ("padding", "drops", "environment", "causal")
"""Determinism axes that a fake run leaves out."""


def write_noisy_run(folder: Path) -> Path:
    """Write a run of `quick` with six rounds, their samples and three notes a case, most of them of other cases too."""
    draw = random.Random(1)

    def edit(case: Case, record: dict[str, Any]) -> dict[str, Any]:
        return _disturbed(_more_axes(record), draw) | {"notes": _notes(case, draw)}

    run = fake_run.write_run(folder, fake_run.quick_cases(), edit=edit)
    write_journal(run, [case.id for case in fake_run.quick_cases()][:2], (1.0, 0.97, 1.3))
    return run


def _notes(case: Case, draw: random.Random) -> list[str]:
    notes = [SETTLING.format(1.2 * draw.random(), draw.random(), 2 * draw.random())] if draw.random() < 0.2 else []
    if case.layer == "token_choice" and case.capacity_factor is None:
        notes += [GROUPED, FAKE] if case.trains else [GROUPED]
    notes += [text for text, share in ((CEILINGS, 0.6), (SHORT, 0.2)) if draw.random() < share]
    notes += [ROOF.format(10 * draw.random())] if draw.random() < 0.4 else []
    return [*notes, CROWDED.format(draw.randint(1, 3))]


def _disturbed(record: dict[str, Any], draw: random.Random) -> dict[str, Any]:
    latency = record["metrics"]["latency_ms"]
    rounds = [latency["value"] * draw.choice((0.9, 1, 1.05, 1.9)) for _ in range(6)]
    return record | {"metrics": record["metrics"] | {"latency_ms": latency | {"rounds": rounds, "high": max(rounds)}}}


def _more_axes(record: dict[str, Any]) -> dict[str, Any]:
    more = {f"det_{axis}{name}": value for axis in AXES
            for name, value in (("", 0.4), ("_max_rel", 9.1e6), ("_cause", "drop"))}  # fmt: skip
    return record | {"metrics": record["metrics"] | {name: {"value": value} for name, value in more.items()}}
