"""Routing: how evenly the experts are loaded, what finds no room, and how sure the router is, by the taps of one pass.

For token choice the load of an expert is the assignments that it was given before any drop. Beside it stands what a
balanced random router would give (`null_router.py`): only what goes beyond that says something of the router. Expert
choice and Soft MoE load their experts equally by design; it is measured all the same, and tokens that no expert takes
are counted. The load-balance losses of token choice are those of `harness/layers/losses.py` on the timed input, without
coefficients. Of a model, each number is the mean over the layers that route (as Wang et al. 2024, arXiv 2408.15664,
average the maximal violation, which is `load_max_over_mean` less 1); a note says which layer is the most uneven, and
the series are that layer's.

Series: `expert_load` [E]; `expert_load_null` [E], a random router's over the mean, busiest first; of each metric of
that router that is drawn, its draws; and `router_margin_quantiles`, at QUANTILES.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from harness.case import Case
from harness.declare.assignments import is_assigned
from harness.declare.plugins import is_plugin
from harness.devices.interface import Device
from harness.probes.null_router import null_of
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
NULL = ("load_cv_null", "load_max_over_mean_null", "drop_rate_null", "distinct_experts_null")
METRICS = (
    *("load_cv", "load_max_over_mean", "drop_rate", "fully_dropped", "distinct_experts", "router_entropy"),
    *("router_margin", *NULL, *BALANCE),
)
QUANTILES = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0)
"""Where the margins' distribution is kept: its small end is where a choice flips."""


def measure(subject: Subject, device: Device, settings: Settings) -> Outcome:
    """Return the load's shape beside a random router's, what is dropped, and the router's entropy and margin."""
    with torch.no_grad(), tapping(subject.layer) as taps:
        subject.forward(subject.x)
    if is_plugin(subject.case.layer):
        return Outcome(notes=["routing is not measured: nobody can look into this layer's router from outside"])
    return of_taps(subject.case, taps)


def of_taps(case: Case, taps: Sequence[dict[str, Tensor]]) -> Outcome:
    """Return what the taps of a pass of `case` say, those of each part by name."""
    routed = {index: seen for index, seen in enumerate(taps) if "load" in seen}
    if not routed:
        return Outcome(notes=["routing is not measured: this layer has no router"])
    each = {index: _of_layer(seen) for index, seen in routed.items()}
    worst = max(each, key=lambda index: each[index]["load_max_over_mean"])
    values: dict[str, Measured] = {name: float(np.mean([one[name] for one in each.values()])) for name in each[worst]}
    series = {"expert_load": _numbers(routed[worst]["load"])}
    if not is_assigned(case) and (margins := [found for seen in routed.values() if (found := _margins(seen))]):
        values["router_margin"] = float(np.mean([found[QUANTILES.index(0.5)] for found in margins]))
        series["router_margin_quantiles"] = _margins(routed[worst]) or []
    if null := null_of(case):
        values |= null.values
        series |= null.draws | {"expert_load_null": null.load}
    notes = _notes(each, worst) if len(each) > 1 else []
    return Outcome(values, notes, _counts(routed[worst], values), series)


def _of_layer(seen: dict[str, Tensor]) -> dict[str, float]:
    load = seen["load"].double().flatten()
    values: dict[str, float] = {
        "load_cv": float(load.std(correction=0) / load.mean()),
        "load_max_over_mean": float(load.max() / load.mean()),
        "distinct_experts": int((load > 0).sum()),
    }
    if "logits" in seen:
        values["router_entropy"] = _entropy(seen["logits"])
    if "kept" in seen:
        values["drop_rate"] = float((~seen["kept"]).double().mean())
        values["fully_dropped"] = float((~seen["kept"].any(-1)).double().mean())
    elif seen.get("scores", load).ndim == 3:  # experts choose: [G, E, n]
        values["fully_dropped"] = _untaken(seen["scores"], seen["choice"])
    return values | {metric: float(seen[tap]) for metric, tap in BALANCE.items() if tap in seen}


def _entropy(logits: Tensor) -> float:
    """Return the mean entropy, in nats, of each token's distribution over the experts; `logits` [T, E]."""
    logp = logits.double().log_softmax(dim=-1)
    return float(-(logp.exp() * logp).sum(dim=-1).mean())


def _untaken(scores: Tensor, choice: Tensor) -> float:
    """Return the share of tokens that no expert takes; `scores` [G, E, n], `choice` [G, E, C] tokens of the group."""
    groups, _, tokens = scores.shape
    taken = torch.zeros(groups, tokens, dtype=torch.bool, device=choice.device)
    return float((~taken.scatter(1, choice.flatten(1), True)).double().mean())


def _margins(seen: dict[str, Tensor]) -> list[float] | None:
    """Return quantiles of each token's margin: its smallest chosen logit less its largest that was not chosen."""
    logits, choice = seen.get("logits"), seen.get("choice")
    if logits is None or choice is None or choice.ndim != 2 or choice.shape[-1] >= logits.shape[-1]:
        return None
    logits = logits.double()
    last = logits.gather(-1, choice).amin(-1)
    first_out = logits.scatter(-1, choice, -torch.inf).amax(-1)
    found: list[float] = np.quantile((last - first_out).cpu().numpy(), QUANTILES).tolist()
    return found


def _counts(seen: dict[str, Tensor], values: dict[str, Measured]) -> dict[str, int]:
    """Return how many assignments, or tokens, each share stands on."""
    tokens = seen["logits"][..., 0].numel() if "logits" in seen else 0
    counts = {"drop_rate": seen["kept"].numel() if "kept" in seen else 0}
    counts |= dict.fromkeys(("fully_dropped", "router_margin", "router_entropy"), tokens)
    return {name: count for name, count in counts.items() if count and name in values}


def _notes(each: dict[int, dict[str, float]], worst: int) -> list[str]:
    """Return what a mean over layers hides."""
    if not any(of_layer["load_cv"] for of_layer in each.values()):
        return [f"routing is the mean over {len(each)} layers, each of them even"]
    busiest = each[worst]["load_max_over_mean"]
    note = f"routing is the mean over {len(each)} layers; the most uneven, in block {worst + 1}, has {busiest:.2f}"
    return [f"{note} times the mean load on one expert"]


def _numbers(values: Tensor) -> list[float]:
    numbers: list[float] = values.double().flatten().tolist()
    return numbers
