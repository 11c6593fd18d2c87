"""Reads of a run's journal what a report needs: how long its visits took, and the samples of those that timed a case.

Whatever a line holds besides is not looked at, and a line that breaks off does not count.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
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

    @property
    def ms(self) -> float:
        """The round's estimate, the median of its samples."""
        return median(self.samples)


class _Visit(BaseModel):
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)]


class _Values(BaseModel):
    latency_ms: Annotated[list[Time], Field(min_length=1)]


class _State(BaseModel):
    clock_mhz: float | None = None
    sm_clock_mhz: float | None = None
    temperature_c: float | None = None


class _Round(BaseModel):
    key: str
    probe: Literal["latency", "a_a"]
    round: Annotated[int, Field(ge=0)]
    status: Literal["ok"]
    values: _Values
    state: _State = _State()


def read_journal(path: Path) -> tuple[float | None, Mapping[str, tuple[Timed, ...]]]:
    """Return the seconds of all visits, None without any, and by content key the rounds, of one taken twice the last.

    Args:
        path: `journal.jsonl`; it need not exist.
    """
    seconds: list[float] = []
    found: dict[str, dict[tuple[bool, int], Timed]] = {}
    try:
        with path.open("rb") as lines:
            for line in lines:
                if (took := _seconds_of(line)) is not None:
                    seconds.append(took)
                    _add(found, line)
    except OSError:
        return None, {}
    return (math.fsum(seconds) if seconds else None), {key: tuple(some.values()) for key, some in found.items()}


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
    one = Timed(visit.round, second, samples, clock, state.temperature_c)
    found.setdefault(visit.key, {})[second, visit.round] = one
