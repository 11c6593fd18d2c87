"""Replay: the routing of one pass forced on another, the counterfactual that confirms a routing flip."""

from __future__ import annotations

from contextlib import ExitStack

import torch
from torch import Tensor

from harness.layers.interface import replaying
from harness.probes.determinism.axes import Change
from harness.probes.determinism.differences import Difference
from harness.probes.determinism.scene import Play, Scene


def replayed(scene: Scene, change: Change, play: Play) -> Tensor | None:
    """Return each row's change [n] where the scene's own routing is forced on the rows compared; None: it cannot be."""
    forced = [_forced(scene, change, old, new, play) for old, new in zip(scene.full.seen, play.seen, strict=True)]
    if not any(choice is not None for choice in forced) or change.mask is not None:
        return None
    with ExitStack() as stack:
        for part, choice in zip(scene.layer.parts, forced, strict=True):
            if choice is not None:
                stack.enter_context(replaying(part, choice))
        again = change.play(scene)
    return Difference(scene, change, again).size


def _forced(scene: Scene, change: Change, old: dict[str, Tensor], new: dict[str, Tensor], play: Play) -> Tensor | None:
    """Return the choice of one part: the scene's own where rows are compared, and this pass's own elsewhere."""
    if "choice" not in old or "choice" not in new:
        return None
    before, after = old["choice"], new["choice"]
    if before.dim() == 2:
        by_token = torch.unflatten(after, 0, play.x.shape[:2]).clone()
        own = torch.unflatten(before, 0, scene.x.shape[:2])[change.before]
        by_token[change.after, : change.tokens] = own[:, : change.tokens]
        return by_token.flatten(0, 1)
    if scene.layer.case.group != "sequence" or change.tokens is not None or before.shape[1:] != after.shape[1:]:
        return None  # experts that choose among other tokens than before have no choice to repeat
    by_sequence = after.clone()
    by_sequence[change.after] = before[change.before]
    return by_sequence
