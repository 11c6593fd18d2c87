"""Axes: what is varied, what is held, and whether the variation was one.

An axis is a few changes. Each is another input, or another setting, and says which rows of the two passes are the same
rows. `vacuous` guards against passing a test that never happened (after vLLM's permutation test, which warns where the
reordering did nothing).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from harness.declare.adapters import ADAPTERS
from harness.declare.letters import capacity
from harness.declare.plugins import is_plugin
from harness.probes.determinism import settings
from harness.probes.determinism.scene import Play, Scene

REPEATS = 2
"""Repetitions of the control: the faults that it looks for (atomics, races) show in nearly every run."""
PROBED = 4
"""Sequences compared alone with themselves in the batch; spread evenly, first and last among them."""
LAST, PADS = 4, 4
"""One over the share of a sequence that is replaced at its end, and over the share of padding beside tokens."""


@dataclass(frozen=True, slots=True)
class Change:
    """One pass other than the scene's own, and the rows to compare."""

    x: Tensor
    before: list[int]
    """Sequences of the scene's own pass."""
    after: list[int]
    """The same sequences in this one."""
    tokens: int | None = None
    """Tokens compared, from the first of each sequence; None: all."""
    mask: Tensor | None = None
    setting: settings.Setting = settings.as_it_is
    vacuous: Callable[[Scene, Play], str | None] = lambda _, __: None
    """Why the pass says nothing about the axis, in words for the record; None: it does."""

    def in_float64(self) -> Change:
        """Return the same change for the scene in float64."""
        return replace(self, x=self.x.double()) if self.x.is_floating_point() else self

    def play(self, scene: Scene) -> Play:
        """Return the pass."""
        with self.setting(scene.layer):
            return scene.play(self.x, self.mask)


Axis = Callable[[Scene], Iterator[Change]]
"""Yields its changes; none where it does not apply."""


def _run(scene: Scene) -> Iterator[Change]:
    every = list(range(len(scene.x)))
    for _ in range(REPEATS):
        yield Change(scene.x, every, every)


def _batch_size(scene: Scene) -> Iterator[Change]:
    for i in probed(len(scene.x)):
        yield Change(scene.x[i : i + 1], [i], [0])


def probed(batch: int) -> list[int]:
    """Return the sequences of a batch that are run alone."""
    count = min(PROBED, batch)
    return sorted({round(i * (batch - 1) / max(1, count - 1)) for i in range(count)})


def derangement(batch: int) -> list[int]:
    """Return an order in which every one of `batch` sequences, two at least, has moved: a rotation."""
    return [(i - 1 - batch // 3) % batch for i in range(batch)]


def _position(scene: Scene) -> Iterator[Change]:
    order = derangement(len(scene.x))
    yield Change(scene.x[order], order, list(range(len(order))), vacuous=_nothing_moved)


def _nothing_moved(scene: Scene, play: Play) -> str | None:
    moved = (play.x != scene.x).flatten(1).any(1)
    return None if bool(moved.all()) else "position: a sequence met its equal, so not every one has moved"


def _composition(scene: Scene) -> Iterator[Change]:
    for i in (0, len(scene.x) - 1):
        mixed = scene.others.clone()
        mixed[i] = scene.x[i]
        yield Change(mixed, [i], [i], vacuous=_same_load)


def _same_load(scene: Scene, play: Play) -> str | None:
    """Companions that load the same experts compete for nothing else than before."""
    if bool((play.x == scene.x).all()):
        return "composition: the companions are what they were"
    routed = [(old["load"], new["load"]) for old, new in zip(scene.full.seen, play.seen, strict=True)
              if "choice" in old and old["choice"].dim() == 2]  # fmt: skip
    if routed and all(torch.equal(old, new) for old, new in routed):
        return "composition: the companions load no other experts, so it was not varied"
    return None


def _padding(scene: Scene) -> Iterator[Change]:
    """Pad tokens behind every sequence and pad sequences behind the batch, masked where the layer takes a mask.

    Sequences alone where the number of tokens is the layer's own: positions in blocks and models, plug-ins.
    """
    if scene.compiled:
        return
    batch, tokens = scene.x.shape[:2]
    fixed = is_plugin(scene.layer.case.layer) or scene.layer.case.scope != "layer"
    shape = [batch + max(1, batch // PADS), tokens if fixed else tokens + max(1, tokens // PADS), *scene.x.shape[2:]]
    x = scene.pad.expand(shape).clone()
    x[:batch, :tokens] = scene.x
    mask = None
    if scene.takes_mask:
        mask = torch.zeros(x.shape[:2], dtype=torch.bool, device=x.device)
        mask[:batch, :tokens] = True
    every = list(range(batch))
    yield Change(x, every, every, tokens=tokens, mask=mask)


def _drops(scene: Scene) -> Iterator[Change]:
    """Twice the capacity; then another order of service."""
    limited = [part.case for part in scene.layer.parts if part.case.capacity_factor is not None]
    case = scene.layer.case
    if not limited or scene.compiled or is_plugin(case.layer) or case.backend in ADAPTERS:
        return
    every = list(range(len(scene.x)))
    if any(capacity(settings.doubled(own)) > capacity(own) for own in limited):
        yield Change(scene.x, every, every, setting=settings.with_cases(settings.doubled))
    if any(own.layer == "token_choice" for own in limited):
        yield Change(scene.x, every, every, setting=settings.with_cases(settings.served_otherwise))


def _environment(scene: Scene) -> Iterator[Change]:
    if scene.compiled or (scene.layer.device.type == "cpu" and settings.other_threads() is None):
        return
    every = list(range(len(scene.x)))
    yield Change(scene.x, every, every, setting=settings.environment)


def _causal(scene: Scene) -> Iterator[Change]:
    """Other tokens at the end of one sequence; its earlier ones are compared, its companions held."""
    tokens = scene.x.shape[1]
    kept = tokens - max(1, tokens // LAST)
    if not kept or not scene.rows_are_tokens:
        return
    own = len(scene.x) // 2
    x = scene.x.clone()
    x[own, kept:] = scene.others[own, kept:]
    yield Change(x, [own], [own], tokens=kept)


AXES: dict[str, Axis] = {
    "run": _run,
    "batch_size": _batch_size,
    "position": _position,
    "composition": _composition,
    "padding": _padding,
    "drops": _drops,
    "environment": _environment,
    "causal": _causal,
}
"""Every axis by the name that its metrics have, the control first."""
