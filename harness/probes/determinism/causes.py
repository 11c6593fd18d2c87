"""Causes: why a row changed, and what confirms it.

Row by row, the first that matches: a decision that is the layer's own design (it stays in float64) is `drop` where
capacity took an assignment away, else `coupling` (`padding` where padding did it); one that is not is `routing_flip`,
and replaying the scene's own routing must take the change away. What is left is rounding, told by the first tap that
differs: `router_rounding`, `gemm_tiling`, `combine_order`, or no tap to tell by.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from harness.probes.determinism.axes import Change
from harness.probes.determinism.differences import Difference
from harness.probes.determinism.replay import replayed
from harness.probes.determinism.scene import DESIGN_EPS, Play, Scene

EQUAL = "equal"
UNTOLD, UNKNOWN = "untold", "unknown"
"""Rounding without a tap to tell by; and what is more than rounding without anything to tell by."""
LABELS = (
    EQUAL, UNTOLD, "combine_order", "gemm_tiling", "router_rounding", "routing_flip", "drop", "padding", "coupling",
    UNKNOWN,
)  # fmt: skip
"""What a row may be called, from the mildest to what changes a result most; a label's number is its place here."""
DETAILS = LABELS[2:-1]
"""What a record says in `det_<axis>_detail`."""
CAUSE_OF = {
    EQUAL: "none", UNTOLD: "rounding", "combine_order": "rounding", "gemm_tiling": "rounding",
    "router_rounding": "rounding", "routing_flip": "routing_flip", "drop": "drop", "padding": "coupling",
    "coupling": "coupling",
}  # fmt: skip
"""Label: the contract's word for it."""


@dataclass(frozen=True, slots=True)
class Told:
    """The rows of one change, each with its label."""

    labels: Tensor
    """[n] places in LABELS."""
    proof: dict[str, str]
    """What confirmed a label: replay, float64 or taps."""


def tell(scene: Scene, change: Change, play: Play, found: Difference, axis: str) -> Told:
    """Return why the rows of `change` differ."""
    if bool(found.equal.all()):
        return Told(torch.zeros_like(found.equal, dtype=torch.long), {})
    labels = _roundings(scene, found)
    proof = {} if not scene.has_taps else dict.fromkeys(("combine_order", "gemm_tiling", "router_rounding"), "taps")
    serious = ~found.equal & ((found.size > scene.limit) | found.anywhere("sets") | found.anywhere("kept"))
    if not scene.has_taps and scene.in_float64 is not None:
        serious, proof[UNTOLD] = ~found.equal, "float64"
    if not bool(serious.any()):
        return Told(labels, proof)
    if scene.in_float64 is None:
        return Told(torch.where(serious, LABELS.index(UNKNOWN), labels), proof)
    design = _sizes(scene.in_float64, change.in_float64()) > DESIGN_EPS
    flips = serious & ~design & (found.anywhere("sets") | found.anywhere("kept"))
    again = replayed(scene, change, play) if bool(flips.any()) else None
    healed = torch.zeros_like(serious) if again is None else serious & ~design & (again <= scene.limit)
    named = _name(found, serious & ~healed, design, scene, axis)
    for label, rows in (*named.items(), ("routing_flip", healed)):
        labels = torch.where(rows, LABELS.index(label), labels)
    return Told(labels, proof | _proofs(named, healed, design))


def _sizes(scene: Scene, change: Change) -> Tensor:
    """Return each row's change in eps of float64."""
    return Difference(scene, change, change.play(scene)).size


def _name(found: Difference, left: Tensor, design: Tensor, scene: Scene, axis: str) -> dict[str, Tensor]:
    """Return the rows of each label among those `left`, which no replay has healed."""
    sets, kept = found.anywhere("sets"), found.anywhere("kept")
    if scene.layer.case.scope != "layer":  # attention carries one row's change to others
        sets, kept = sets | sets.any(), kept | kept.any()
    if scene.experts_choose:  # among other tokens than before; float64 need not choose the same rows
        design = design | (sets & (design & left).any())
    drop, coupled = left & kept, left & ~kept & design
    flip = left & ~kept & ~design & sets
    if axis == "padding":  # no decision and no design: what pads hold has reached the row all the same
        coupled = coupled | (left & ~kept & ~sets & (found.size > scene.limit))
    return {"routing_flip": flip, "drop": drop, "padding" if axis == "padding" else "coupling": coupled}


def _proofs(named: dict[str, Tensor], healed: Tensor, design: Tensor) -> dict[str, str]:
    """Return what confirmed each label: the replay took it away, or it stays in float64; else the taps alone say so."""
    proof = {
        label: "float64" if bool((rows & design).any()) else "taps" for label, rows in named.items() if bool(rows.any())
    }
    if bool(healed.any()) and "routing_flip" not in proof:
        proof["routing_flip"] = "replay"
    return proof


def _roundings(scene: Scene, found: Difference) -> Tensor:
    """Return [n] labels as if every change were rounding: the first part, and in it the first tap, that differs."""
    labels = torch.zeros_like(found.equal, dtype=torch.long)
    named = torch.zeros_like(found.equal)
    for part, seen in zip(found.taps, scene.full.seen, strict=True):
        for label, rows in _first(part, seen):
            fresh = rows & ~named
            labels = torch.where(fresh, LABELS.index(label), labels)
            named |= fresh
    rest = "gemm_tiling" if scene.has_taps and scene.layer.case.scope != "layer" else UNTOLD
    labels = torch.where(named, labels, LABELS.index(rest))
    if scene.compiled:  # taps are those of the eager layer: they tell of decisions, and not of the last bits
        labels = torch.full_like(labels, LABELS.index(UNTOLD))
    return torch.where(found.equal, LABELS.index(EQUAL), labels)


def _first(part: dict[str, Tensor], seen: dict[str, Tensor]) -> list[tuple[str, Tensor]]:
    """Return labels with the rows that each may have, in the order in which a token meets what they speak of."""
    by = "gates" if "gates" in part else "logits"
    order = [("gemm_tiling", "input"), ("router_rounding", by), ("gemm_tiling", "expert_output"),
             ("gemm_tiling", "shared_output")]  # fmt: skip
    told = [(label, part[tap]) for label, tap in order if tap in part]
    if "output" not in part:
        return told
    if "expert_output" in seen:
        return [*told, ("combine_order", part["output"])]
    foreign = "choice" in seen  # where nobody shows what experts return, the last product may be theirs or the sum
    return told if foreign else [*told, ("gemm_tiling", part["output"])] if set(seen) - {"input", "output"} else told
