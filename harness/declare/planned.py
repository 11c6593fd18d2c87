"""What a plan holds: cases with their price, and the suite that they come from."""

from __future__ import annotations

from dataclasses import dataclass

from harness.case import Case
from harness.declare.costs import Cost
from harness.declare.format import Suite
from harness.declare.match import Match


@dataclass(frozen=True, slots=True)
class PlannedCase:
    """One case, and what it will take."""

    case: Case
    cost: Cost | None
    """None for a plug-in: it has no closed form."""
    seconds: float | None
    """Roofline time of one pass on this device; None without ceilings for the dtype."""
    fits: bool | None
    """Whether it fits into the device's memory; None where that is not known."""
    unsupported: str | None
    """Why it cannot run, in words."""
    match: Match | None
    """How it was made as costly as another variant."""

    @property
    def weight_bytes(self) -> int:
        """What its layer takes on the worker's shelf; 0 where that is not known before it is built."""
        return 0 if self.cost is None else self.cost.weight_bytes

    @property
    def runs(self) -> bool:
        """Whether there is a point in visiting it."""
        return self.unsupported is None and self.fits is not False


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run of a suite will do."""

    suite: Suite
    cases: list[PlannedCase]
    overrides: tuple[str, ...] = ()
    """What `--set` said."""
    select: str | None = None
    """What `--select` said."""
