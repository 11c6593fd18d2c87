"""Closed forms of launches: how many operations a pass hands to torch, views left out; each costs the host some time.

Counted by torch's dispatcher in eager mode, at top-2, and kept as what does not grow and what each expert adds. What a
case asks for beside (a gate of another form, priority, a balance loss) moves a count by a few; tests/test_launches.py
holds these to the dispatcher within a quarter.
"""

from __future__ import annotations

from typing import NamedTuple

from harness.case import Case
from harness.declare.costs import priced_as, resolve_backend
from harness.declare.costs_peak import one_by_one
from harness.declare.letters import letters
from harness.declare.loads import touched
from harness.declare.scopes import layers_of


class Launches(NamedTuple):
    """Operations of one layer."""

    forward: float
    forward_each: float
    """For each expert that has rows, where the backend loops over them."""
    backward: float
    backward_each: float


_LAYERS: dict[tuple[str, str], Launches] = {
    ("dense", "reference"): Launches(5, 0, 9, 0),
    ("dense", "fused"): Launches(3, 0, 7, 0),
    ("dense", "fixed_tile"): Launches(5, 0, 9, 0),
    ("dense_moe", "reference"): Launches(6, 6, 10, 9),
    ("dense_moe", "fused"): Launches(8, 0, 19, 0),
    ("token_choice", "reference"): Launches(22, 14, 10, 17),
    ("token_choice", "loop"): Launches(12, 11, 15, 17),
    ("token_choice", "onehot"): Launches(31, 0, 22, 0),
    ("token_choice", "batched"): Launches(16, 0, 25, 0),
    ("token_choice", "grouped"): Launches(25, 0, 26, 0),
    ("token_choice", "fixed_tile"): Launches(36, 4.5, 0, 0),
    ("expert_choice", "reference"): Launches(10, 7, 15, 11),
    ("expert_choice", "batched"): Launches(17, 0, 23, 0),
    ("soft", "reference"): Launches(13, 5, 40, 9),
    ("soft", "batched"): Launches(16, 0, 43, 0),
}
_SLOTTED, _ONE_BY_ONE = Launches(36, 0, 27, 0), Launches(18, 3, 0, 0)
"""Token choice's `grouped` with a capacity, and dropless on a CPU where it goes expert by expert."""
_ENCODER_BLOCK, _DECODER_BLOCK, _ENDS = (9, 14), (27, 46), (8, 17)
"""Forward and backward: attention, norms and residuals of a block, and a model's embedding, last norm and head."""
_SHARED = (4, 8)
OPTIMIZER = 4
"""Of AdamW's fused step."""


def launches(case: Case, device: str = "cpu") -> float:
    """Return the operations of one eager pass of `case` on a `device` (cpu, cuda)."""
    layers = layers_of(case)
    each = [_layer(own, device) for own in layers]
    forward, backward = sum(ahead for ahead, _ in each), sum(back for _, back in each)
    if case.scope != "layer":
        block, depth = _DECODER_BLOCK if case.causal else _ENCODER_BLOCK, len(layers)
        forward, backward = forward + depth * block[0], backward + depth * block[1]
        if case.vocabulary:
            forward, backward = forward + _ENDS[0], backward + _ENDS[1]
    trained = backward if case.trains else 0
    return forward + trained + (OPTIMIZER if case.pass_ == "train" else 0)


def _layer(case: Case, device: str) -> tuple[float, float]:
    """Return the operations of one layer's forward and backward pass."""
    found, n = _of(case, device), letters(case)
    each = touched(case, n) if case.layer == "token_choice" else n.E
    shared = _SHARED if n.Fs else (0, 0)
    return found.forward + each * found.forward_each + shared[0], (
        found.backward + each * found.backward_each + shared[1]
    )


def _of(case: Case, device: str) -> Launches:
    backend = priced_as(resolve_backend(case, device))
    if case.layer == "token_choice" and backend == "grouped":
        if case.capacity_factor is not None:
            return _SLOTTED
        alone = device == "cpu" and not case.trains
        if alone and one_by_one(case.gated, case.itemsize, letters(case).R, case.experts or 1):
            return _ONE_BY_ONE
    return _LAYERS[case.layer, backend]
