"""Differences: for each row of two passes, at which taps they part.

Who goes where is compared as a set of (token, expert) assignments, whichever side chose and in whatever order they
stand; so token choice and expert choice are one thing here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from harness.probes.determinism.axes import Change
from harness.probes.determinism.scene import Play, Scene, changes
from harness.probes.rows import equal_rows

TOKENWISE = ("input", "logits", "shared_output", "output")
"""Taps whose rows are tokens."""


class Difference:
    """Two passes, row by row; what nobody asks for is not worked out."""

    def __init__(self, scene: Scene, change: Change, play: Play) -> None:
        self._scene, self._change, self._play = scene, change, play
        before, after = _rows(scene.full.y, change, change.before), _rows(play.y, change, change.after)
        self.equal = equal_rows(before, after).flatten()
        """[n] whether a row is bit-equal."""
        alike = bool(self.equal.all())
        self.size = self.equal.double().zero_() if alike else changes(before, after)
        """[n] change of each row, in eps of its largest value."""

    @cached_property
    def taps(self) -> list[dict[str, Tensor]]:
        """For each part and tap, [n] whether the row differs there; `sets`, `order`, `kept` of its assignments too."""
        scene, play = self._scene, self._play
        found = [
            _part(old, new, scene, self._change, play) for old, new in zip(scene.full.seen, play.seen, strict=True)
        ]
        if scene.rows_are_tokens:
            return found
        sequences = len(self._change.before)  # a row is a whole sequence
        return [{name: flags.view(sequences, -1).any(1) for name, flags in own.items()} for own in found]

    def anywhere(self, tap: str) -> Tensor:
        """Return [n]: whether a row differs at `tap` of any part."""
        found = [own[tap] for own in self.taps if tap in own]
        return torch.stack(found).any(0) if found else torch.zeros_like(self.equal)


class Assignments(NamedTuple):
    """Who goes where, of the rows compared; sorted by row and expert."""

    row: Tensor
    """[R] the compared row."""
    expert: Tensor
    """[R]"""
    position: Tensor
    """[R] where the assignment stands among all in the flattened taps."""


def _rows(y: Tensor, change: Change, sequences: list[int]) -> Tensor:
    own = y[sequences]
    return own if change.tokens is None else own[:, : change.tokens]


def _part(
    old: dict[str, Tensor], new: dict[str, Tensor], scene: Scene, change: Change, play: Play
) -> dict[str, Tensor]:
    here = _Side(old, scene.full, change.before, change.tokens)
    there = _Side(new, play, change.after, change.tokens)
    found = {name: _differ(here.tokens(name), there.tokens(name)) for name in TOKENWISE if name in old and name in new}
    if "choice" in old and "choice" in new:
        return found | _assignments_differ(here, there)
    if "expert_output" in old and "expert_output" in new:
        found["expert_output"] = _outputs_differ(here, there)
    return found


def _differ(a: Tensor, b: Tensor) -> Tensor:
    return (a != b).flatten(1).any(1)


def _outputs_differ(here: _Side, there: _Side) -> Tensor:
    """Return [n] of outputs [T, ...], or [B, ...] that all tokens of a sequence share."""
    if len(here.seen["expert_output"]) != len(here.play.x):
        return _differ(here.tokens("expert_output"), there.tokens("expert_output"))
    old, new = here.seen["expert_output"][here.sequences], there.seen["expert_output"][there.sequences]
    return _differ(old, new).repeat_interleave(here.rows // len(here.sequences))


def _assignments_differ(here: _Side, there: _Side) -> dict[str, Tensor]:
    old, new = here.assignments(), there.assignments()
    experts = here.seen["logits"].shape[-1]
    sets = _differ(here.matrix(old, experts), there.matrix(new, experts))
    found = {"sets": sets}
    if here.by_token:
        found["order"] = _differ(here.tokens("choice"), there.tokens("choice")) & ~sets
    same_old, same_new = old.position[~sets[old.row]], new.position[~sets[new.row]]
    row = old.row[~sets[old.row]]  # equal sets, so the two lists tell of the same assignments
    for name in ("gates", "kept", "expert_output"):
        if name in here.seen and name in there.seen:
            differ = _differ(here.each(name)[same_old, None], there.each(name)[same_new, None])
            found[name] = torch.zeros_like(sets).index_put((row[differ],), torch.ones_like(differ[differ]))
    return found


@dataclass(frozen=True, slots=True)
class _Side:
    """What one part showed in one pass, and which of its tokens are compared."""

    seen: dict[str, Tensor]
    play: Play
    sequences: list[int]
    count: int | None

    @property
    def by_token(self) -> bool:
        """Whether tokens choose; else experts do."""
        return self.seen["choice"].dim() == 2

    @property
    def rows(self) -> int:
        """n: the tokens compared."""
        tokens = self.play.x.shape[1]
        return len(self.sequences) * min(self.count or tokens, tokens)

    def tokens(self, name: str) -> Tensor:
        """Return the rows of a tap [T, ...] or [B, m, ...] that are compared, [n, ...]."""
        value, shape = self.seen[name], self.play.x.shape[:2]
        if len(value) == shape.numel():
            value = torch.unflatten(value, 0, shape)
        return value[self.sequences][:, : self.count].flatten(0, 1)

    def each(self, name: str) -> Tensor:
        """Return a tap shaped like `choice` as one row an assignment: [R] or [R, D]."""
        return self.seen[name].flatten(0, self.seen["choice"].dim() - 1)

    def assignments(self) -> Assignments:
        """Return the assignments of the compared rows."""
        choice, where = self.seen["choice"], self.seen["choice"].device
        batch, tokens = self.play.x.shape[:2]
        if self.by_token:
            token = torch.arange(len(choice), device=where)[:, None].expand_as(choice)
            expert = choice
        else:
            groups, experts, _ = choice.shape
            token = choice + torch.arange(groups, device=where)[:, None, None] * (batch * tokens // groups)
            expert = torch.arange(experts, device=where)[None, :, None].expand_as(choice)
        compared = (
            torch.arange(batch * tokens, device=where).view(batch, tokens)[self.sequences, : self.count].flatten()
        )
        row_of = torch.full((batch * tokens,), -1, device=where)
        row_of[compared] = torch.arange(len(compared), device=where)
        row, flat = row_of[token.flatten()], expert.flatten()
        key = row * (int(flat.max()) + 1) + flat
        order = key.argsort()
        order = order[row[order] >= 0]
        return Assignments(row[order], flat[order], order)

    def matrix(self, found: Assignments, experts: int) -> Tensor:
        """Return [n, E]: which experts each row meets."""
        met = torch.zeros(self.rows, experts, dtype=torch.bool, device=found.row.device)
        return met.index_put((found.row, found.expert), torch.ones_like(found.row, dtype=torch.bool))
