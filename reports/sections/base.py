"""What every section says."""

from __future__ import annotations

from dataclasses import dataclass

from reports.words import Sentence

METHODS = {
    "ratios": "latency",
    "fronts": "fronts",
    "winners": "winner-map",
    "scaling": "latency",
    "crossovers": "crossovers",
    "phases": "phases",
    "exchange": "expert-parallelism",
    "roofline": "roofline-of-a-phase",
    "prediction": "prediction",
    "memory": "memory",
    "frontier": "memory",
    "determinism": "batch-determinism",
    "routing": "routing",
    "energy": "energy",
    "noise": "noise-floor",
    "comparability": "two-runs-compared",
    "regressions": "two-runs-compared",
    "standings": "side-by-side",
    "table": "side-by-side",
    "changes": "history",
    "trends": "history",
    "runs": "history",
}
"""Section: the heading of the method page that says how its numbers were taken."""


@dataclass(frozen=True, kw_only=True)
class Section:
    """One question and its answer."""

    id: str
    name: str
    question: str
    finding: Sentence
    """The answer, as the section's heading."""
    caption: Sentence = ()
    """The finding with its numbers, then how to read what is shown, then the method."""
    missing: str | None = None
    """Why there is nothing to show, in one sentence; None where there is."""
    attention: str | None = None
    """What the rail marks beside the section's name: `! 2`."""

    @property
    def method(self) -> str | None:
        """The anchor on the method page; None for a section that measures nothing."""
        return METHODS.get(self.id)
