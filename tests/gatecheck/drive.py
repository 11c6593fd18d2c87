"""Runs the commands of a checkout, as somebody who stands in it does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from tests.gatecheck.planted import Planted

BLIND = 4
"""Exit code of a gate that could believe no time: a run's own A/A cells differ from themselves."""
JUDGED = (0, 1, BLIND)
TIMES = ("latency_*", "host_ms", "energy_*")


class Failed(Exception):
    """A command did not do what it was asked for; the message holds what it said."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a gate said."""

    code: int
    failures: Sequence[dict[str, Any]]
    cleared: Sequence[dict[str, Any]]
    document: dict[str, Any]

    @property
    def times(self) -> list[dict[str, Any]]:
        """The failures that are of time."""
        return [row for row in self.failures if any(fnmatchcase(row["metric"] or "", name) for name in TIMES)]

    def sees(self, planted: Planted) -> bool:
        """Whether it names the planted change's metrics of its layer, and neither another metric nor another layer."""
        return bool(self.failures) and all(
            row["id"].startswith(f"{planted.variant}-") and (row["metric"] or "").startswith(planted.metrics)
            for row in self.failures
        )


def measure(checkout: Path, suite: str | Path, folder: Path, *options: str) -> Path:
    """Run a suite in a checkout, unless that was done; return the run's folder.

    Raises:
        Failed: It did not end with 0.
    """
    if (folder / "report.html").exists():
        return folder
    done = _harness(checkout, "run", str(suite), "-o", str(folder), *options)
    if done.returncode != 0:
        raise Failed(f"harness run {suite} in {checkout} ended with {done.returncode}: {done.stderr[-2000:]}")
    return folder


def gate(checkout: Path, base: Path, candidate: Path, *options: str) -> Verdict:
    """Compare under the usual policy, from a checkout.

    Raises:
        Failed: It ended otherwise than open, shut or not comparable.
    """
    done = _harness(checkout, "compare", str(base), str(candidate), "--gate", "--json", *options)
    if done.returncode not in JUDGED:
        raise Failed(f"harness compare in {checkout} ended with {done.returncode}: {done.stderr[-2000:]}")
    document = json.loads(done.stdout)
    return Verdict(done.returncode, document["gate"]["failures"], document["gate"]["cleared"], document)


def kept_gate(file: Path, checkout: Path, base: Path, candidate: Path) -> Verdict:
    """Compare, unless the verdict is in `file`, and keep it there: a long row of gates can be gone on with."""
    if not file.exists():
        found = gate(checkout, base, candidate)
        file.write_text(json.dumps({"code": found.code, "document": found.document}), "utf-8")
    kept = json.loads(file.read_text("utf-8"))
    told = kept["document"]["gate"]
    return Verdict(kept["code"], told["failures"], told["cleared"], kept["document"])


def _harness(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(checkout), "CI": "1"}
    return subprocess.run(
        [sys.executable, "-m", "harness.cli", *arguments],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
