"""Near ties: tokens on the border between two sets of experts, where the last bit of a logit decides.

Natural tokens are rarely there, so a sample of them says little of what happens when one is. These are built for the
layer's own router by bisection, between two tokens that go to different experts. Then each is run alone and among all:
the share whose experts change is how often the batch decides where a token goes, given a tie. Replaying the routing of
the lone passes in the batch must leave nothing but rounding: the change is the routing's, all of it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from harness.layers.interface import Layer, observing, replaying
from harness.probes.determinism.margins import choosing
from harness.probes.determinism.scene import Scene, changes
from harness.probes.outcome import Measured
from harness.probes.rows import Taps
from harness.probes.subject import normal

METRICS = ("tie_flip_rate", "tie_flips_left")

TIES = 32
"""Tokens on a border."""
HALVINGS = 32
"""Halvings of the way between two tokens: more than the bits of a float32."""


def measure(scene: Scene, seed: int) -> tuple[dict[str, Measured], int]:
    """Return the metrics, and the tokens they stand on; none where no token of one layer chooses its experts."""
    case = scene.layer.case
    if case.scope != "layer" or scene.compiled or not choosing(scene) or case.capacity_factor is not None:
        return {}, 0
    here, there = (normal(case, scene.layer, own, (TIES, 1, case.d_model)) for own in (seed, seed + 1))
    ties = near_ties(scene.layer, here, there)
    if not len(ties):
        return {}, 0
    alone = torch.cat([chosen(scene.layer, tie[None]) for tie in ties])
    flipped = _differ(chosen(scene.layer, ties), alone)
    values: dict[str, Measured] = {"tie_flip_rate": float(flipped.double().mean())}
    if bool(flipped.any()):
        values["tie_flips_left"] = _left(scene, ties, alone, flipped) / len(ties)
    return values, len(ties)


def _left(scene: Scene, ties: Tensor, alone: Tensor, flipped: Tensor) -> int:
    """Return how many of the `flipped` change beyond rounding though all go where they went `alone` [n, K]."""
    with replaying(scene.layer, alone):
        together = scene.forward(ties)[flipped]
    apart = torch.cat([scene.forward(tie[None]) for tie in ties[flipped]])
    return int((changes(apart, together) > scene.limit).sum())


def near_ties(layer: Layer, here: Tensor, there: Tensor) -> Tensor:
    """Return tokens [n, 1, D] on the border of the sets of experts of `here` and of `there` [N, 1, D], n up to N."""
    own, other = chosen(layer, here), chosen(layer, there)
    apart = _differ(own, other)
    here, there, own = here[apart], there[apart], own[apart]
    low = torch.zeros(len(here), 1, 1, dtype=torch.float64, device=here.device)
    high = torch.ones_like(low)
    for _ in range(HALVINGS if len(here) else 0):
        middle = (low + high) / 2
        is_own = ~_differ(chosen(layer, _between(here, there, middle)), own)[:, None, None]
        low, high = torch.where(is_own, middle, low), torch.where(is_own, high, middle)
    return _between(here, there, low)


def _between(here: Tensor, there: Tensor, at: Tensor) -> Tensor:
    return ((1 - at) * here.double() + at * there.double()).to(here.dtype)


def _differ(a: Tensor, b: Tensor) -> Tensor:
    """Return [T]: whether two choices [T, K] are other sets."""
    return (a.sort(-1).values != b.sort(-1).values).any(-1)


class _ChoiceSeenError(Exception):
    """The router has chosen; nobody wants the rest of the pass."""


class _RouterAlone(Taps):
    def tap(self, name: str, value: Tensor) -> None:
        super().tap(name, value)
        if name == "choice":
            raise _ChoiceSeenError


def chosen(layer: Layer, x: Tensor) -> Tensor:
    """Return the choice [T, K] for `x` [B, m, D], and spare the layer all that follows it."""
    taps = _RouterAlone()
    try:
        with observing(layer, taps):
            layer(x)
    except _ChoiceSeenError:
        pass
    return taps.seen["choice"]
