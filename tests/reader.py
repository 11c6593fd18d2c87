"""What a design review asks of the reference run, computed from its journal by pandas and SciPy alone.

"Which layer is fastest at equal active FLOPs, at batch 8, by how much, and is it batch-invariant?"
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

BATCH = 8
EQUAL = 0.1
"""Active FLOPs within a tenth are equal: a router's share of a layer."""
MARGIN = 0.02
"""What a design decision does not turn on."""
ALPHA = 0.05


@dataclass(frozen=True)
class Told:
    """What the reader is to be told."""

    layer: str
    """The layer that is fastest, or may be."""
    dense: str
    """The dense FFN of equal active FLOPs."""
    surely: str | None
    """The one of the two that is surely fastest; None where nobody is."""
    ratio: float
    """Time of `layer` over that of `dense`."""
    invariant: Mapping[str, float]
    """Layer: the smallest share of rows that kept every bit when the batch size changed, over its cases."""


@dataclass(frozen=True)
class Asked:
    """A case that the question is about."""

    id: str
    variant: str
    layer: str
    capacity: float | None
    flops: int
    """Active FLOPs of a forward pass."""


Pair = tuple[Asked, Asked]
"""A layer, and the dense FFN whose active FLOPs are nearest."""


def told(run: Path) -> Told:
    """Return the answer for batch 8, the widest model and the forward pass of the run folder `run`."""
    visits = _lines(run / "journal.jsonl")
    floor = json.loads((run / "run.json").read_text("utf-8"))["noise"]["smallest_change"]
    times = _round_times(visits)
    logs = {(a, b): np.log(times[a.id]) - np.log(times[b.id]) for a, b in _pairs(_cases(run))}
    word = {pair: _word(each, floor) for pair, each in logs.items()}
    ratio = {pair: _middle(each) for pair, each in logs.items()}
    best = min(logs, key=lambda pair: (("faster", "undecided", "slower").index(word[pair]), ratio[pair]))
    layer, dense = best
    surely = {"faster": layer.variant, "slower": dense.variant, "undecided": None}[word[best]]
    return Told(layer.variant, dense.variant, surely, ratio[best], {one.variant: _kept(one, visits) for one in best})


def _cases(run: Path) -> list[Asked]:
    """Return the cases at batch 8, of the widest model, forward."""
    records = [
        record
        for record in _lines(run / "records.jsonl")
        if record["case"]["batch"] == BATCH and record["case"]["pass"] == "forward"
    ]
    widest = max(record["case"]["d_model"] for record in records)
    return [
        Asked(
            record["id"],
            record["variant"],
            record["case"]["layer"],
            record["case"]["capacity_factor"],
            record["metrics"]["flops_model"]["value"],
        )
        for record in records
        if record["case"]["d_model"] == widest
    ]


def _pairs(cases: Sequence[Asked]) -> list[Pair]:
    """Return each layer with the dense FFN of equal active FLOPs; of several FFNs that which most kinds share."""
    dense = [case for case in cases if case.layer == "dense"]
    found: dict[str, list[Pair]] = {}
    for case in cases:
        nearest = min(dense, key=lambda other: _apart(case, other))
        if case.layer != "dense" and _apart(case, nearest) <= math.log(1 + EQUAL):
            found.setdefault(nearest.variant, []).append((case, nearest))
    return max(found.values(), key=lambda pairs: len({layer.layer for layer, _ in pairs}))


def _apart(case: Asked, other: Asked) -> float:
    return abs(math.log(case.flops / other.flops))


def _round_times(visits: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return each case's milliseconds: in every round the median of its samples."""
    rows = [
        (visit["id"], visit["round"], sample)
        for visit in visits
        if visit["probe"] == "latency" and visit["status"] == "ok"
        for sample in visit["values"]["latency_ms"]
    ]
    frame = pd.DataFrame(rows, columns=["id", "round", "ms"])
    table = frame.groupby(["id", "round"])["ms"].median().unstack("round")
    return {str(case): row.to_numpy(float) for case, row in table.iterrows()}


def _middle(logs: Any) -> float:
    """Return the ratio that paired log-ratios stand around, a fifth of them cut from each end."""
    return float(np.exp(stats.trim_mean(logs, 0.2)))


def _word(logs: Any, floor: float) -> str:
    """Return what Wilcoxon's signed ranks and the A/A floor let one say of paired log-ratios."""
    value, beyond = _middle(logs), 1 + max(MARGIN, floor)
    if stats.wilcoxon(logs).pvalue > ALPHA or 1 / beyond <= value <= beyond:
        return "undecided"
    return "faster" if value < 1 else "slower"


def _kept(case: Asked, visits: Sequence[dict[str, Any]]) -> float:
    """Return the share of rows that kept their bits, the worst over the layer's cases of the same capacity."""
    own = f"-c{case.capacity:g}-" if case.layer == "token_choice" and case.capacity is not None else ""
    return min(
        float(visit["values"]["det_batch_size"])
        for visit in visits
        if visit["probe"] == "determinism" and visit["id"].startswith(f"{case.variant}-") and own in visit["id"]
    )


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
