"""One file a measurement; each says its METRICS and has `measure(subject, device, settings) -> Outcome`.

Separate passes all: nothing instruments the timed loop.
"""

from __future__ import annotations

from typing import cast

from harness.probes import check, compilation, determinism, energy, flops, latency, memory, phases, routing
from harness.probes.outcome import Outcome, Probe, Settings
from harness.probes.subject import Subject, make_subject

PROBES: dict[str, Probe] = {
    name: cast("Probe", module)
    for name, module in {
        "check": check,
        "flops": flops,
        "memory": memory,
        "determinism": determinism,
        "routing": routing,
        "phases": phases,
        "compile": compilation,
        "energy": energy,
        "latency": latency,
    }.items()
}
"""Every probe by the name that suites use; `check` runs first in every case, asked for or not."""

__all__ = ["PROBES", "Outcome", "Probe", "Settings", "Subject", "make_subject"]
