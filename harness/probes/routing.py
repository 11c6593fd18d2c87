"""Routing: how evenly the router loads its experts, from the taps of one forward pass.

For token choice the load of an expert is the assignments that it was given before any drop; a balanced random router
has a coefficient of variation of about sqrt(E / (K T)), which is what any measured imbalance must be held against.
Expert choice and Soft MoE load their experts equally by design; it is measured all the same. The load-balance losses
of token choice are those of `harness/layers/losses.py` on the timed input, without coefficients. Of a model, each is
the mean over the layers that route (as Wang et al. 2024, arXiv 2408.15664, average the maximal violation, which is
`load_max_over_mean` less 1); a note says which layer is the most uneven.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from harness.declare.plugins import is_plugin
from harness.devices.interface import Device
from harness.probes.outcome import Measured, Outcome, Settings
from harness.probes.rows import tapping
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
    with torch.no_grad(), tapping(subject.layer) as taps:
        subject.forward(subject.x)
    if is_plugin(subject.case.layer):
        return Outcome(notes=["routing is not measured: nobody can look into this layer's router from outside"])
    routed = {index: _of_layer(seen) for index, seen in enumerate(taps) if "load" in seen}
    if not routed:
        return Outcome(notes=["routing is not measured: this layer has no router"])
    if len(routed) == 1:
        return Outcome(dict(next(iter(routed.values()))))
    values: dict[str, Measured] = {
        name: float(np.mean([of_layer[name] for of_layer in routed.values()])) for name in next(iter(routed.values()))
    }
    if not any(of_layer["load_cv"] for of_layer in routed.values()):
        return Outcome(values, notes=[f"routing is the mean over {len(routed)} layers, each of them even"])
    worst = max(routed, key=lambda index: routed[index]["load_max_over_mean"])
    busiest = routed[worst]["load_max_over_mean"]
    note = f"routing is the mean over {len(routed)} layers; the most uneven, in block {worst + 1}, has {busiest:.2f}"
    return Outcome(values, notes=[f"{note} times the mean load on one expert"])


def _of_layer(seen: dict[str, Tensor]) -> dict[str, float]:
    load = seen["load"].double().flatten()
    values = {
        "load_cv": float(load.std(correction=0) / load.mean()),
        "load_max_over_mean": float(load.max() / load.mean()),
        "distinct_experts": int((load > 0).sum()),
    }
    if "logits" in seen:
        values["router_entropy"] = _entropy(seen["logits"])
    if "kept" in seen:
        values["drop_rate"] = float((~seen["kept"]).double().mean())
    return values | {metric: float(seen[tap]) for metric, tap in BALANCE.items() if tap in seen}


def _entropy(logits: Tensor) -> float:
    """Return the mean entropy, in nats, of each token's distribution over the experts; `logits` [T, E]."""
    logp = logits.double().log_softmax(dim=-1)
    return float(-(logp.exp() * logp).sum(dim=-1).mean())
