"""Bars of memory: one case's bytes, by whose they are."""

from __future__ import annotations

from dataclasses import dataclass

from reports.context import Context
from reports.results import Result
from reports.subjects import Subject

ROLES = {
    "weights": "memory_weights_bytes",
    "inputs": "memory_inputs_bytes",
    "optimizer": "memory_optimizer_bytes",
    "saved": "memory_saved_at_peak_bytes",
    "gradients": "memory_gradients_bytes",
    "in flight": "memory_temporaries_bytes",
    "workspace": "memory_workspace_bytes",
    "rest of the peak": "",
}
"""What a bar is made of, from the left, and the metric of each; the rest is a peak that was not told apart."""
BEFORE = ("weights", "inputs", "optimizer")
"""Roles that stand before the pass, and not in its peak."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One case's bytes."""

    subject: Subject
    roles: dict[str, float]
    """Bytes by role, in the order of ROLES; those of the peak, which stands above the first three, add up to it."""
    peak: float
    predicted: float | None
    gap: float | None
    """Measured peak over predicted, less 1."""

    @property
    def weights(self) -> float:
        """Bytes of the layer's weights."""
        return self.roles.get("weights", 0.0)

    @property
    def total(self) -> float:
        """All bytes."""
        return sum(self.roles.values())


def bar_of(context: Context, result: Result) -> Bar:
    """Return the bar of a case whose memory was measured."""
    peak = result.number("memory_peak_bytes") or 0.0
    predicted = predicted_of(result)
    known = {role: number for role, metric in ROLES.items() if (number := result.number(metric)) is not None}
    rest = peak - sum(number for role, number in known.items() if role not in BEFORE)
    if "workspace" not in known:  # a peak that was not told apart, as that of fused kernels
        known["saved"] = min(result.number("memory_saved_bytes") or 0.0, peak)
        known["rest of the peak"] = rest - known["saved"]
    return Bar(
        subject=context.subject(result),
        roles={role: known[role] for role in ROLES if role in known},
        peak=peak,
        predicted=predicted,
        gap=peak / predicted - 1 if predicted else None,
    )


def predicted_of(result: Result) -> float | None:
    """Return the closed form of the peak; None for a compiled case, whose buffers the compiler chooses."""
    return None if result.case.compile else result.number("memory_predicted_bytes")
