"""Predict: the time of a pass by roofline, phase by phase, and by the alpha-beta model of its exchange.

A phase takes the longer of its FLOPs over the rate of products and its bytes over the bandwidth (Williams et al. 2009),
since a device does both at once; phases follow each other. Activations between products move bytes of their own, the
host takes its time for every operation, and an exchange waits for what comes before it:

    t = sum over phases of max(F / peak, B / bandwidth) + A / bandwidth + launches * launch + exchange

Where the host launches while the device works, launches take what is left of them beyond the device's time. Nothing
here is fitted to a run: what a device can do is measured by itself, or read in its datasheet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from harness.case import Case
from harness.declare.exchange import Exchange, Network, exchange
from harness.declare.roofs import Roofs
from harness.declare.work import Work, work

Bound = Literal["compute", "memory", "launch", "exchange"]
NONE = Exchange(0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Prediction:
    """What one pass takes, in seconds."""

    compute_s: float
    """All products at the rates of their rows, were they alone."""
    memory_s: float
    """All bytes at the bandwidth, were they alone."""
    launch_s: float
    """All operations of the host, were they alone."""
    exchange: Exchange
    phases: dict[str, float]
    """What each phase takes, launches left out; `exchange` among them."""
    seconds: float
    bound: Bound
    """What most of the time goes to; a phase is bound by products where the best of them would take longer than its
    bytes."""
    memory_bytes: float
    """What must fit into a rank's memory."""


def predict(
    case: Case, roofs: Roofs, *, ranks: int = 1, over: Network | None = None, device: str = "cpu"
) -> Prediction:
    """Return the prediction of one pass of `case` on `ranks` devices of the same kind (cpu, cuda), joined by `over`.

    Raises:
        KeyError: The ceiling of the case's dtype is not known.
    """
    sent = exchange(case, ranks, over) if over is not None and ranks > 1 else NONE
    return timed(work(case, ranks, device), roofs, case.dtype, sent)


def timed(done: Work, roofs: Roofs, dtype: str, sent: Exchange = NONE) -> Prediction:
    """Return what `done` takes under `roofs`, with what is `sent` in between."""
    rate = roofs.bytes_rate(done.footprint)
    compute = {name: flops / _rate(done, roofs, dtype, name) for name, flops in done.flops.items()}
    memory = {name: num_bytes / rate for name, num_bytes in done.moved.items()}
    between = done.elementwise / roofs.bytes_rate(done.elementwise)
    phases = {name: max(compute.get(name, 0.0), memory.get(name, 0.0)) for name in {**compute, **memory}}
    phases["experts"] = phases.get("experts", 0.0) + between
    launch, device_s = done.launches * roofs.launch_s, sum(phases.values())
    busy = max(device_s, launch) if roofs.overlaps else device_s + launch
    peak = roofs.flops_per_s[dtype]
    products = sum(phases[name] for name, flops in done.flops.items() if flops / peak >= memory.get(name, 0.0))
    shares: dict[Bound, float] = {
        "compute": products,
        "memory": device_s - products,
        "launch": busy - device_s,
        "exchange": sent.seconds,
    }
    return Prediction(
        compute_s=sum(compute.values()),
        memory_s=sum(memory.values()) + between,
        launch_s=launch,
        exchange=sent,
        phases=phases | ({"exchange": sent.seconds} if sent.seconds else {}),
        seconds=busy + sent.seconds,
        bound=max(shares, key=lambda name: shares[name]),
        memory_bytes=done.memory,
    )


def _rate(done: Work, roofs: Roofs, dtype: str, phase: str) -> float:
    """Return the FLOP/s of one phase's products; only the experts' meet weights that a cache may not hold."""
    return roofs.flops_rate(dtype, done.rows[phase], done.weights if phase in ("experts", "other") else 0.0)
