"""Margins: how near a token's routing is to turning, and how often it did when the batch size changed.

Flips are rare where logits differ by rounding alone, and a sample without one says little. The margin, the last chosen
logit less the first one not chosen, says more: a choice can turn only if two logits move towards each other, by twice
the largest change at the most. So the share of tokens with a margin below that predicts the rate of flips.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from harness.case import Case
from harness.probes.determinism.axes import Change
from harness.probes.determinism.differences import Difference
from harness.probes.determinism.scene import Play, Scene
from harness.probes.outcome import Measured

METRICS = ("flip_rate", "order_flip_rate", "flip_rate_predicted")
MARGIN_QUANTILES = (0.0, 0.001, 0.01, 0.05, 0.25, 0.5, 0.75, 1.0)
"""The quantiles of the margin that the series `det_margin` holds, over the batch."""


@dataclass(slots=True)
class Flips:
    """What the choices of tokens did over the changes of one axis; nothing where experts choose, or nobody does."""

    sets: list[Tensor] = field(default_factory=list)
    order: list[Tensor] = field(default_factory=list)
    moved: dict[int, float] = field(default_factory=dict)
    """By part, the largest change of any of its logits."""

    def add(self, scene: Scene, change: Change, play: Play, found: Difference) -> None:
        """Count the rows of one change."""
        own = choosing(scene)
        if not own:
            return
        sets = found.anywhere("sets")
        self.sets.append(sets)
        self.order.append(found.anywhere("order") & ~sets)
        for index in own:
            part = scene.layer.parts[index].case
            old = _of(scene.full, _ranked(part, scene.full.seen[index]), change.before)
            new = _of(play, _ranked(part, play.seen[index]), change.after)
            self.moved[index] = max(self.moved.get(index, 0.0), float((old - new).abs().max()))

    def values(self, scene: Scene) -> tuple[dict[str, Measured], dict[str, list[float]]]:
        """Return the metrics, and the margins' quantiles as a series; of a model, of its least certain part."""
        if not self.sets:
            return {}, {}
        margins = {i: margin(_ranked(scene.layer.parts[i].case, scene.full.seen[i]), _top_k(scene, i))
                   for i in self.moved}  # fmt: skip
        predicted = max(float((own < 2 * self.moved[i]).double().mean()) for i, own in margins.items())
        values: dict[str, Measured] = {
            "flip_rate": float(torch.cat(self.sets).double().mean()),
            "order_flip_rate": float(torch.cat(self.order).double().mean()),
            "flip_rate_predicted": predicted,
        }
        least = min(margins.values(), key=lambda own: float(own.min()))
        return values, {"det_margin": _quantiles(least, MARGIN_QUANTILES)}


def choosing(scene: Scene) -> list[int]:
    """Return the parts where each token chooses among more experts than it takes."""
    return [
        i for i, seen in enumerate(scene.full.seen)
        if "logits" in seen and "choice" in seen and seen["choice"].dim() == 2
        and _top_k(scene, i) < seen["logits"].shape[-1]
    ]  # fmt: skip


def _of(play: Play, ranked: Tensor, sequences: list[int]) -> Tensor:
    return torch.unflatten(ranked.double(), 0, play.x.shape[:2])[sequences]


def _top_k(scene: Scene, part: int) -> int:
    return scene.full.seen[part]["choice"].shape[-1]


def _ranked(case: Case, seen: dict[str, Tensor]) -> Tensor:
    """Return the logits [T, E], or where a bias on the scores selects, the scores."""
    biased = case.gate == "sigmoid" or case.balance == "bias"
    return seen["scores"] if biased and "scores" in seen else seen["logits"]


def margin(ranked: Tensor, top_k: int) -> Tensor:
    """Return for each token [T] by how much the last of its `top_k` largest of `ranked` [T, E] leads the next."""
    best = ranked.double().topk(top_k + 1, dim=-1).values
    return best[:, -2] - best[:, -1]


def _quantiles(values: Tensor, at: tuple[float, ...]) -> list[float]:
    return [float(q) for q in torch.quantile(values, torch.tensor(at, dtype=values.dtype, device=values.device))]


def error_series(axis: str, size: Tensor, decided: Tensor, rounded: Tensor) -> dict[str, list[float]]:
    """Return median, 99th percentile and largest of the errors of rows that a decision changed, and of the others."""
    kinds = {"decided": size[decided], "rounded": size[rounded]}
    return {
        f"det_{axis}_{kind}_eps": _quantiles(own.double().nan_to_num(posinf=1e300), (0.5, 0.99, 1.0))
        for kind, own in kinds.items()
        if len(own)
    }
