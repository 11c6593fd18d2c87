"""Reads of a run's journal what a report needs: how long its visits took, and the samples of those that timed a case.

Whatever a line holds besides is not looked at, and a line that breaks off does not count.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Annotated, Literal

from pydantic import BaseModel, Field, ValidationError

TIMES = (b'"latency"', b'"a_a"')
"""What a line of a timed visit holds; the others are not read in full, for there are many."""

Time = Annotated[float, Field(gt=0, allow_inf_nan=False)]


@dataclass(frozen=True, slots=True)
class Timed:
    """One round of a case."""

    round: int
    second: bool
    """Whether under the second label of an A/A cell."""
    samples: array[float]
    """Milliseconds, in order."""
    clock_mhz: float | None = None
    temperature_c: float | None = None
    worker: int | None = None
    """The process that took it."""
    warm_up: int = 0
    """Blocks that were timed before the samples."""

    @property
    def ms(self) -> float:
        """The round's estimate, the median of its samples."""
        return median(self.samples)


@dataclass(frozen=True, slots=True)
class Journal:
    """What a report knows of a journal."""

    seconds: float | None = None
    """Of all visits; None without any."""
    timed: Mapping[str, tuple[Timed, ...]] = field(default_factory=dict)
    """The rounds by content key; of one taken twice, the last."""
    damage: str | None = None
    """Where it breaks off, in one sentence."""


class _Visit(BaseModel):
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)]


class _Values(BaseModel):
    latency_ms: Annotated[list[Time], Field(min_length=1)]


class _State(BaseModel):
    clock_mhz: float | None = None
    sm_clock_mhz: float | None = None
    temperature_c: float | None = None


class _Series(BaseModel):
    warm_up_ms: list[float] = []


class _Round(BaseModel):
    key: str
    probe: Literal["latency", "a_a"]
    round: Annotated[int, Field(ge=0)]
    status: Literal["ok"]
    values: _Values
    state: _State = _State()
    series: _Series = _Series()
    worker: int | None = None


def read_journal(path: Path) -> Journal:
    """Read a run's journal up to where it breaks off.

    Args:
        path: `journal.jsonl`; it need not exist.
    """
    seconds: list[float] = []
    found: dict[str, dict[tuple[bool, int], Timed]] = {}
    number, last = 0, b"\n"
    try:
        with path.open("rb") as lines:
            for last in lines:
                number += 1
                if (took := _seconds_of(last)) is not None:
                    seconds.append(took)
                    _add(found, last)
    except OSError:
        return Journal()
    cut = f"{path.name} breaks off in line {number}: later visits are lost, but for what records.jsonl has of them."
    timed = {key: tuple(some.values()) for key, some in found.items()}
    return Journal(math.fsum(seconds) if seconds else None, timed, None if last.endswith(b"\n") else cut)


def _seconds_of(line: bytes) -> float | None:
    try:
        return _Visit.model_validate_json(line).seconds
    except ValidationError:
        return None


def _add(found: dict[str, dict[tuple[bool, int], Timed]], line: bytes) -> None:
    if not any(probe in line for probe in TIMES):
        return
    try:
        visit = _Round.model_validate_json(line)
    except ValidationError:
        return
    state, second = visit.state, visit.probe == "a_a"
    clock = state.clock_mhz if state.sm_clock_mhz is None else state.sm_clock_mhz
    samples = array("d", visit.values.latency_ms)
    warm_up = len(visit.series.warm_up_ms)
    one = Timed(visit.round, second, samples, clock, state.temperature_c, visit.worker, warm_up)
    found.setdefault(visit.key, {})[second, visit.round] = one
