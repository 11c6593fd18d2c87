"""Routing: how evenly the router loads its experts, from the taps of one forward pass.

For token choice the load of an expert is the assignments that it was given before any drop; a balanced random router
has a coefficient of variation of about sqrt(E / (K T)), which is what any measured imbalance must be held against.
Expert choice and Soft MoE load their experts equally by design; it is measured all the same. The load-balance losses
of token choice are those of `harness/layers/losses.py` on the timed input, without coefficients.
"""

from __future__ import annotations

import torch
from torch import Tensor

from harness.devices.interface import Device
from harness.layers.interface import observing
from harness.probes.outcome import Measured, Outcome, Settings
from harness.probes.rows import Taps
from harness.probes.subject import Subject

BALANCE = {
    "balance_switch": "balance_switch",
    "balance_importance": "balance_importance",
    "balance_load": "balance_load",
    "router_z": "balance_z",
}
"""Metric: the tap of the load-balance loss that it is, where the layer has one."""
METRICS = ("load_cv", "load_max_over_mean", "drop_rate", "distinct_experts", "router_entropy", *BALANCE)


def measure(subject: Subject, device: Device, settings: Settings) -> Outcome:
    """Return the load's shape, the share dropped, and the router's entropy; nothing for a layer without a router."""
    with torch.no_grad(), observing(subject.layer, taps := Taps()):
        subject.forward(subject.x)
    if "load" not in taps.seen:
        return Outcome(notes=["routing is not measured: this layer has no router"])
    load = taps.seen["load"].double().flatten()
    values: dict[str, Measured] = {
        "load_cv": float(load.std(correction=0) / load.mean()),
        "load_max_over_mean": float(load.max() / load.mean()),
        "distinct_experts": int((load > 0).sum()),
    }
    if "logits" in taps.seen:
        values["router_entropy"] = _entropy(taps.seen["logits"])
    if "kept" in taps.seen:
        values["drop_rate"] = float((~taps.seen["kept"]).double().mean())
    values |= {metric: float(taps.seen[tap]) for metric, tap in BALANCE.items() if tap in taps.seen}
    return Outcome(values)


def _entropy(logits: Tensor) -> float:
    """Return the mean entropy, in nats, of each token's distribution over the experts; `logits` [T, E]."""
    logp = logits.double().log_softmax(dim=-1)
    return float(-(logp.exp() * logp).sum(dim=-1).mean())
