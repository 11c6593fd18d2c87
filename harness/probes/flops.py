"""FLOPs: torch's counter against the closed form, and the share of them that serves.

The counter has formulas for what it would count as 0 (`flop_formulas.py`), and an audit (`flop_audit.py`) names every
operator that may be a contraction and has none: with one of those a count means nothing. What capacity drops is seen
at the taps of a forward pass; the rows of the rest are routed, and routed over executed is the padding efficiency.

A compiled case is counted on its eager layer: the counter sees nothing of what a fused kernel multiplies.
"""

from __future__ import annotations

import torch

from harness.declare.costs import cost
from harness.declare.costs_routed import flops_routed
from harness.declare.plugins import is_plugin
from harness.devices.interface import Device
from harness.probes.flop_audit import uncounted
from harness.probes.flop_formulas import count_flops
from harness.probes.outcome import Measured, Outcome, Settings
from harness.probes.rows import tapping
from harness.probes.subject import Subject

METRICS = ("flops_counted", "flops_routed", "padding_efficiency")


def measure(subject: Subject, device: Device, settings: Settings) -> Outcome:
    """Return the counter's FLOPs of one pass; incorrect where they are not exactly the closed form's.

    A black box has no closed form, and an adapter may have kernels that no counter sees: nothing is said of those.
    """
    if not subject.layer.counted:
        return Outcome(notes=["flops_counted is not measured: torch's counter does not see this backend's kernels"])
    notes = [] if subject.compiled is None else ["FLOPs are counted on the eager layer"]
    subject, black_box = subject.eager, is_plugin(subject.case.layer)
    if unknown := uncounted(subject.run):
        subject.drop_gradients()
        if black_box:
            names = ", ".join(unknown)
            return Outcome(notes=[f"flops_counted is not measured: torch's counter has no formula for {names}"])
        return Outcome(incorrect=f"FLOPs cannot be counted: no formula for {', '.join(unknown)}")
    counted = count_flops(subject.run)
    subject.drop_gradients()
    if black_box:
        return Outcome({"flops_counted": counted}, notes=notes)
    expected = cost(subject.case).flops_executed
    if counted != expected:
        return Outcome(incorrect=f"the counter saw {counted:,} FLOPs, the closed form says {expected:,}")
    return Outcome({"flops_counted": counted, **_served(subject)}, notes=notes)


def _served(subject: Subject) -> dict[str, Measured]:
    """Return the FLOPs of assignments that were kept, and their share of all that are run."""
    routed = flops_routed(subject.case, _dropped(subject))
    return {"flops_routed": routed, "padding_efficiency": routed / cost(subject.case).flops_executed}


def _dropped(subject: Subject) -> int:
    """Return how many assignments all layers together drop on the timed input; none where nothing limits them."""
    with torch.no_grad(), tapping(subject.layer) as taps:
        subject.forward(subject.x)
    subject.drop_gradients()
    return sum(int((~seen["kept"]).sum()) for seen in taps if "kept" in seen)
