"""Machines: in what the circumstances of two runs differ, and what of that forbids a ratio of their times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reports.results import Run
from reports.sections.provenance import flatten

FORBIDDING = {
    "device.kind": "another kind of device",
    "device.name": "another device",
    "device.threads": "another number of threads",
    "device.affinity": "other cores",
    "device.isa": "other instruction sets",
    "device.capability": "another generation of GPU",
    "device.power_limit_w": "another power limit",
    "environment.variables.OMP_NUM_THREADS": "another number of threads",
    "environment.variables.GOMP_SPINCOUNT": "another way for threads to wait",
    "environment.variables.MALLOC_MMAP_MAX_": "another way to allocate",
}
"""Facts under which times may not be compared: a ratio would be the machines', not the code's."""
IDLE = ("environment.load_1min", "environment.hostname", "harness.source", "harness.commit", "harness.dirty")
"""Facts that differ between any two runs, or that the comparison is made to see."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One fact that is not the same."""

    name: str
    base: str
    candidate: str
    forbids: str | None
    """Why times may not be compared; None where they may."""

    @property
    def words(self) -> str:
        """`torch: 2.12.0, then 2.13.0`."""
        name = self.name.partition(".")[2].replace("variables.", "").replace("packages.", "")
        return f"{name}: {self.base}, then {self.candidate}" + (f" ({self.forbids})" if self.forbids else "")


def differences(base: Run, candidate: Run) -> tuple[Difference, ...]:
    """Return the facts that differ, those that forbid a ratio first."""
    before, after = facts(base), facts(candidate)
    found = [
        Difference(name, before.get(name, "not told"), after.get(name, "not told"), FORBIDDING.get(name))
        for name in dict.fromkeys((*before, *after))
        if before.get(name) != after.get(name) and name not in IDLE
    ]
    return tuple(sorted(found, key=lambda one: one.forbids is None))


def commits(base: Run, candidate: Run) -> str:
    """Return what code stands on either side: `harness abc1234, then def5678 with changes`."""
    return f"harness {commit_of(base)}, then {commit_of(candidate)}"


def commit_of(run: Run) -> str:
    """Return seven digits of the harness's commit, or of what is known in its place, and whether it had changes."""
    harness = run.file.harness
    return (harness.commit or harness.source or harness.version)[:7] + (" with changes" if harness.dirty else "")


def facts(run: Run) -> Mapping[str, str]:
    """Return what a run tells of its device and environment, `device.name`, as one level."""
    groups: dict[str, Any] = {"device": run.file.device, "environment": run.file.environment}
    return {name: value for name, value in flatten(groups).items() if not name.startswith("environment.commit")}
