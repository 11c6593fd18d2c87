"""What each probe measures over ranks; all ranks run the same probe at once, and rank 0 says what came of it.

`latency` and `phases` are the probes of one device, in step: the time is that of the slowest rank, a phase's share the
mean over ranks. `check`, `routing` and `flops` put together what the ranks saw of their own tokens, and hold it to
what holds the layer on one device. `memory` is that of the fullest rank. `determinism` has the axes `run` and `ranks`.
`exchange` is theirs alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from statistics import fmean

import torch
from torch import Tensor

from harness.declare.costs import cost
from harness.declare.costs_routed import flops_routed
from harness.layers.interface import evaluating
from harness.parallel.exchanged import exchange
from harness.parallel.together import Together
from harness.probes import latency, memory, phases, routing
from harness.probes.check import against_reference
from harness.probes.determinism import bound
from harness.probes.flop_audit import uncounted
from harness.probes.flop_formulas import count_flops
from harness.probes.outcome import Measured, Outcome
from harness.probes.rows import equal_rows, scaled_change, tapping

ROUNDING_EPS = 32.0
"""Change of a row beyond which it is no rounding, in eps times the row's largest value: what `check` allows a row."""


def check(together: Together) -> Outcome:
    """Return an outcome without numbers, or an incorrect one: all ranks' output against float64 on one device."""
    y, seen = together.pass_()
    if not bool(torch.isfinite(y).all()):
        return Outcome(incorrect="the output holds NaN or infinity")
    return against_reference(together.whole, y, [seen]) if together.control.rank == 0 else Outcome()


def flops(together: Together) -> Outcome:
    """Return the counter's FLOPs of one pass over all ranks; incorrect where they are not the closed form's."""
    subject, case = together.subject, together.case
    unknown, counted = uncounted(subject.run), count_flops(subject.run)
    _, seen = together.forward()
    if unknown:
        return Outcome(incorrect=f"FLOPs cannot be counted: no formula for {', '.join(unknown)}")
    of_ranks: list[int] = together.collect(counted)  # type: ignore[assignment]
    counted, expected = sum(of_ranks), cost(case).flops_executed
    if counted != expected:
        return Outcome(incorrect=f"the counter saw {counted:,} FLOPs on all ranks, the closed form says {expected:,}")
    routed = flops_routed(case, int((~seen["kept"]).sum()) if "kept" in seen else 0)
    return Outcome({"flops_counted": counted, "flops_routed": routed, "padding_efficiency": routed / expected})


def fullest(together: Together) -> Outcome:
    """Return the memory of the rank whose peak is highest."""
    subject = together.subject
    subject.run()
    subject.drop_gradients()
    values = memory.standing(subject)
    if subject.case.trains:
        values["memory_saved_bytes"] = memory.saved_bytes(subject)
        subject.drop_gradients()
    peak = together.device.peak(subject.run)
    values["memory_peak_bytes"] = peak.peak_bytes
    if peak.reserved_bytes is not None:
        values["memory_reserved_bytes"] = peak.reserved_bytes
    of_ranks: list[dict[str, Measured]] = together.collect(values)  # type: ignore[assignment]
    peaks = [float(own["memory_peak_bytes"]) for own in of_ranks]  # type: ignore[arg-type]
    rank = peaks.index(max(peaks))
    note = f"memory is that of rank {rank}, the fullest of {len(peaks)}"
    return Outcome(of_ranks[rank], [note], series={"memory_peak_by_rank": peaks})


def of_routing(together: Together) -> Outcome:
    """Return the routing of all ranks' tokens together."""
    _, seen = together.forward()
    return routing.of_taps(together.case, [seen])


def mean_phases(together: Together) -> Outcome:
    """Return each phase's share, the mean over ranks, and the ranks' shares of the exchange."""
    own = phases.measure(together.subject, together.device, together.settings)
    of_ranks: list[dict[str, float]] = together.collect(own.values)  # type: ignore[assignment]
    names = [name for name in own.values if all(name in values for values in of_ranks)]
    values: dict[str, Measured] = {name: fmean(values[name] for values in of_ranks) for name in names}
    share = "phase_exchange_share"
    series = {"phase_exchange_share_by_rank": [values[share] for values in of_ranks]} if share in values else {}
    return Outcome(values, own.notes, own.n, series)


def determinism(together: Together) -> Outcome:
    """Return how many rows stay bit-equal from pass to pass, and from the layer on one device to the one on ranks."""
    with evaluating(together.subject.layer):
        y, seen = together.forward()
        again, _ = together.forward()
    if together.control.rank:
        return Outcome()
    whole = together.whole
    with torch.no_grad(), evaluating(whole.layer), tapping(whole.layer) as (alone,):
        one = whole.forward(whole.x)
    values = _changed("run", y, again, "rounding") | _changed("ranks", one, y, _cause(alone, seen))
    rows = y[..., 0].numel()
    other = [] if together.device.kind == "cpu" else ["det_ranks: the layer on one device ran on the host, not on CUDA"]
    return Outcome(values, other, {"det_run": rows, "det_ranks": rows})


def _changed(axis: str, before: Tensor, after: Tensor, cause: str) -> dict[str, Measured]:
    equal = equal_rows(before, after)
    size = scaled_change(before, after, torch.finfo(before.dtype).eps)
    values: dict[str, Measured] = {
        f"det_{axis}": float(equal.double().mean()),
        f"det_{axis}_max_rel": float(size.max()),
        f"det_{axis}_changed": float((size > ROUNDING_EPS).double().mean()),
        f"det_{axis}_cause": "none" if bool(equal.all()) else cause,
    }
    return values | ({f"det_{axis}_bound": bound(equal.numel())} if bool(equal.all()) else {})


def _cause(alone: dict[str, Tensor], seen: dict[str, Tensor]) -> str:
    """Return why rows differ between one device and ranks: nothing is coupled there, so a flip or rounding."""
    flipped = "choice" in seen and not torch.equal(alone["choice"].sort(-1).values, seen["choice"].sort(-1).values)
    return "routing_flip" if flipped else "rounding"


def in_step(together: Together) -> Outcome:
    """Return the raw samples of one round: the slowest rank's."""
    return latency.measure(together.subject, together.device, together.settings)


def not_over_ranks(together: Together) -> Outcome:
    """Return why there is no energy: each device's counter runs on while its rank waits for the others."""
    return Outcome(notes=["energy is not measured: the counters of several devices are not read together"])


PROBES: dict[str, Callable[[Together], Outcome]] = {
    "check": check,
    "flops": flops,
    "memory": fullest,
    "determinism": determinism,
    "routing": of_routing,
    "phases": mean_phases,
    "exchange": exchange,
    "energy": not_over_ranks,
    "latency": in_step,
}
"""Every probe by the name that suites use."""


def measure(probe: str, together: Together) -> dict[str, object]:
    """Return the fields of the outcome."""
    return asdict(PROBES[probe](together))
