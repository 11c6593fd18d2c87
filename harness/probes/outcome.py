"""What every probe takes and returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from harness.devices.interface import Device
from harness.probes.subject import Subject

Measured = float | int | str | list[float]


@dataclass(frozen=True, slots=True)
class Settings:
    """The part of a suite's `[measure]` that a probe sees."""

    seconds_per_visit: float = 0.05
    """Time that one latency visit may spend in timed blocks."""
    min_samples: int = 3
    """Timed blocks of one latency visit, also where they take longer."""
    seed: int = 0
    energy_seconds: float = 10.0
    """Length of one window of the energy probe."""
    timeout: float = 120.0
    """Seconds after which ranks that measure together are given up."""
    graphs: bool = True
    """Whether a capture in a CUDA graph is tried: one that fails costs the process."""
    traces: str | None = None
    """Folder that Chrome traces of what is profiled are kept in; None: they are not kept."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one visit."""

    values: dict[str, Measured] = field(default_factory=dict)
    """By metric name: a number or word, or raw samples in order."""
    notes: list[str] = field(default_factory=list)
    """Sentences for the report."""
    n: dict[str, int] = field(default_factory=dict)
    """By metric name: rows or repetitions that the value stands on, where it is no list of samples."""
    series: dict[str, list[float]] = field(default_factory=dict)
    """Numbers kept beside the metrics, by name, such as the load of each expert; the record holds them as they are."""
    incorrect: str | None = None
    """Why the case is wrong, where the probe found that; it then has no numbers."""
    spent: str | None = None
    """Why this process must make no further visit, in words, where the probe has left it unfit for one."""


def join(parts: Sequence[Outcome]) -> Outcome:
    """Return what the parts of one visit found, as one; where one found the case incorrect, only that."""
    wrong = next((part for part in parts if part.incorrect is not None), None)
    return wrong or Outcome(
        values={name: value for part in parts for name, value in part.values.items()},
        notes=[note for part in parts for note in part.notes],
        n={name: n for part in parts for name, n in part.n.items()},
        series={name: numbers for part in parts for name, numbers in part.series.items()},
        spent=next((part.spent for part in parts if part.spent is not None), None),
    )


class Probe(Protocol):
    """A module of this room."""

    METRICS: tuple[str, ...]
    """Names of the metrics that it may give."""

    def measure(self, subject: Subject, device: Device, settings: Settings) -> Outcome:
        """Measure the subject once."""
        ...
