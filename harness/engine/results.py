"""From a probe's outcome to the result of a visit: what a record can hold, and a note on what it cannot."""

from __future__ import annotations

import math
from collections.abc import Sequence

from harness.engine.protocol import Request, Result
from harness.metrics import METRICS
from harness.probes.outcome import Measured, Outcome


def result_of(
    request: Request, outcome: Outcome, remarks: Sequence[str], backend: str, *, build: float, inside: float
) -> Result:
    """Return the result of a visit that a layer, with these `remarks`, ran through by `backend`; times in seconds."""
    values, notes = _sound(outcome.values)
    return Result(
        visit=request.visit,
        status="ok" if outcome.incorrect is None else "incorrect",
        end="ok" if outcome.incorrect is None else "incorrect",
        reason=outcome.incorrect,
        values=values if outcome.incorrect is None else {},
        n=outcome.n,
        series=outcome.series if outcome.incorrect is None else {},
        notes=[*remarks, *outcome.notes, *notes],
        backend=backend,
        build=build,
        inside=inside,
        spent=outcome.spent,
    )


def _sound(values: dict[str, Measured]) -> tuple[dict[str, Measured], list[str]]:
    """Return the values that a record can hold, and a note on each that was left out.

    Raises:
        ValueError: A probe gave a metric that `harness/metrics.py` does not know.
    """
    if unknown := sorted(set(values) - set(METRICS)):
        raise ValueError(f"the probe gave unknown metrics {unknown}; they are said in harness/metrics.py")
    sound = {name: value for name, value in values.items() if _is_finite(value)}
    return sound, [f"{name} was left out: it is not a finite number" for name in values if name not in sound]


def _is_finite(value: Measured) -> bool:
    if isinstance(value, str):
        return True
    return all(map(math.isfinite, value)) if isinstance(value, list) else math.isfinite(value)
