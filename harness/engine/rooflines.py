"""Rooflines: each phase's time against what the measured ceilings allow for its FLOPs and its compulsory bytes.

Pure, a part of the fold. The time of a phase is its share, from the profile, of the unprofiled latency; its interval is
that of the latency, widened by what a share may be wrong.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.declare.adapters import ADAPTERS
from harness.declare.costs import Cost
from harness.declare.costs_phases import floor_bytes
from harness.declare.planned import PlannedCase
from harness.declare.scopes import layers_of
from harness.devices.ceilings import Ceilings
from harness.record import Value

PHASES = ("router", "dispatch", "experts", "combine")
SHARE_ERROR = 0.02
"""What a phase's share may be wrong: within that, planted times come back (tests/test_phases.py)."""


@dataclass(slots=True)
class Rooflines:
    """What the rooflines of one case add to its record."""

    metrics: dict[str, Value] = field(default_factory=dict)
    series: dict[str, list[float]] = field(default_factory=dict)
    """`phase_flops` and `phase_bytes` of one forward pass, and `phase_roofline_beyond_cache`, by PHASES; the last is
    the fraction where all that the cache could hold costs nothing: above 1 it is no matter of caches."""
    notes: list[str] = field(default_factory=list)


def rooflines(
    planned: PlannedCase, metrics: dict[str, Value], ceilings: Ceilings | None, cache_bytes: int | None
) -> Rooflines:
    """Return the rooflines of a case with these `metrics`; nothing where its closed form or the ceilings are missing.

    A compiled case has none: its phases are those of another program, the eager layer. Nor has one on several ranks:
    the ceilings are those of one device.
    """
    found, cost, case = Rooflines(), planned.cost, planned.case
    elsewhere = case.compile or case.expert_parallel > 1
    if cost is None or ceilings is None or elsewhere or not ceilings.flops_per_s.get(case.dtype):
        return found
    forward = _forward_ms(metrics)
    if forward is not None and "phase_experts_share" in metrics:
        _by_phase(found, cost, case.dtype, forward, metrics, ceilings, cache_bytes or 0)
    if case.backend not in ADAPTERS and (floor := _floor(planned, metrics, ceilings)):
        found.metrics["experts_floor_ms"] = Value(value=floor * 1e3)
    return found


def _by_phase(
    found: Rooflines,
    cost: Cost,
    dtype: str,
    forward: Value,
    metrics: dict[str, Value],
    ceilings: Ceilings,
    cache_bytes: int,
) -> None:
    beyond: list[float] = []
    for phase in PHASES:
        flops, moved = cost.phases[phase], cost.phase_bytes[phase]
        roof = ceilings.seconds(flops, moved, dtype) or 0.0
        share = float(metrics[f"phase_{phase}_share"].value)
        if not roof or share <= 0:
            beyond.append(0.0)
            continue
        fraction = found.metrics[f"phase_{phase}_roofline"] = _fraction(1e3 * roof, share, forward)
        strict = ceilings.seconds(flops, max(0, moved - cache_bytes), dtype) or 0.0
        beyond.append(float(fraction.value) * strict / roof)
        if fraction.low is not None and fraction.low * strict / roof > 1:
            found.notes.append(_too_good(phase, beyond[-1]))
    found.series["phase_flops"] = [cost.phases[phase] for phase in PHASES]
    found.series["phase_bytes"] = [cost.phase_bytes[phase] for phase in PHASES]
    found.series["phase_roofline_beyond_cache"] = beyond


def _fraction(roof_ms: float, share: float, forward: Value) -> Value:
    """Return roofline time over measured time; without an interval where the share is all error."""
    value = roof_ms / (share * float(forward.value))
    if forward.low is None or forward.high is None or share <= SHARE_ERROR:
        return Value(value=value, n=forward.n)
    low, high = roof_ms / ((share + SHARE_ERROR) * forward.high), roof_ms / ((share - SHARE_ERROR) * forward.low)
    return Value(value=value, low=low, high=high, n=forward.n)


def _forward_ms(metrics: dict[str, Value]) -> Value | None:
    """Return the time of the forward pass: the latency, or its part of a training pass."""
    latency, part = metrics.get("latency_ms"), metrics.get("pass_forward_share")
    if latency is None:
        return None
    share = 1.0 if part is None else float(part.value)
    low, high = (None if end is None else share * end for end in (latency.low, latency.high))
    return Value(value=share * float(latency.value), low=low, high=high, n=latency.n)


def _floor(planned: PlannedCase, metrics: dict[str, Value], ceilings: Ceilings) -> float:
    """Return the seconds to read the weights of the experts that tokens reach; those counted, where they were."""
    distinct = metrics.get("distinct_experts")
    known = None if distinct is None else float(distinct.value)
    return sum(floor_bytes(own, known) for own in layers_of(planned.case)) / ceilings.bytes_per_s


def _too_good(phase: str, fraction: float) -> str:
    return (
        f"{phase} is {fraction:.3g} times as fast as its roof allows, whatever the cache holds: a measurement error, "
        "of the ceilings (measure them again with harness doctor) or of the phase's share"
    )
