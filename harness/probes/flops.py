"""FLOPs: torch's counter against the closed form, and an audit of what the counter cannot see.

`FlopCounterMode` counts 0 for an operator that it has no formula for, silently; the missing ones are in
`flop_formulas.py`. The audit lists every dispatched operator whose name says contraction and that has no formula: with
one of those a count means nothing.

A compiled case is counted on its eager layer: the counter sees nothing of what a fused kernel multiplies.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from harness.declare.costs import cost
from harness.devices.interface import Device
from harness.probes.flop_formulas import FORMULAS, count_flops
from harness.probes.outcome import Outcome, Settings
from harness.probes.subject import Subject

METRICS = ("flops_counted",)

_CONTRACTION = re.compile(r"(^|_)(\w*mm|b?mv|v?dot|conv\w*|attention|einsum|linear|matmul|bilinear|inner)(_|$)")


def measure(subject: Subject, device: Device, settings: Settings) -> Outcome:
    """Return the counter's FLOPs of one pass; incorrect where they are not exactly the closed form's."""
    notes = [] if subject.compiled is None else ["FLOPs are counted on the eager layer"]
    subject = subject.eager
    if unknown := uncounted(subject.run):
        return Outcome(incorrect=f"FLOPs cannot be counted: no formula for {', '.join(unknown)}")
    counted = count_flops(subject.run)
    subject.drop_gradients()
    expected = cost(subject.case).flops_executed
    if counted != expected:
        return Outcome(incorrect=f"the counter saw {counted:,} FLOPs, the closed form says {expected:,}")
    return Outcome({"flops_counted": counted}, notes=notes)


def uncounted(run: Callable[[], object]) -> list[str]:
    """Return the operators in `run` that look like contractions and that the counter has no formula for, by name."""
    with _Audit() as audit:
        run()
    return sorted(audit.unknown)


class _Audit(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.unknown: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        packet = getattr(func, "overloadpacket", func)
        if packet not in flop_registry and packet not in FORMULAS and looks_like_contraction(packet.__name__):
            self.unknown.add(str(packet))
        return func(*args, **(kwargs or {}))


def looks_like_contraction(name: str) -> bool:
    """Return whether an operator of this name multiplies and adds along a shared dimension, by the words in it."""
    return _CONTRACTION.search(name.strip("_")) is not None
