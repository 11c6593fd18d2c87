"""The noise floor of a comparison: below what change neither run could have told its own layers apart."""

from __future__ import annotations

import math
from dataclasses import dataclass

from reports.read import Run


@dataclass(frozen=True, slots=True)
class Noise:
    """What the A/A cells of both runs say; nothing that they cannot tell is called faster or slower."""

    smallest_change: float | None
    """The larger of what the two runs state, a share; None where neither has A/A cells."""
    distrusted: tuple[str, ...] = ()
    """The runs whose A/A cells differ from themselves: of their times nothing is believed."""

    @property
    def floor(self) -> float:
        """The share that a change of a time must exceed; without end where a run is not trusted."""
        return math.inf if self.distrusted else self.smallest_change or 0.0


def noise_of(base: Run, candidate: Run) -> Noise:
    """Return the noise of two runs that are compared."""
    stated = [run.file.noise.smallest_change for run in (base, candidate) if run.file.noise is not None]
    known = [change for change in stated if change is not None]
    distrusted = tuple(run.name for run in (base, candidate) if run.distrusted)
    return Noise(max(known, default=None), distrusted)
