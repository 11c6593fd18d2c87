"""Whose output depends on its companions: the harness against a transcription of the rules, on 20 random batches.

32 wide, 8 experts, top-2. Companions change capacity-limited token choice and expert choice, and never dropless token
choice or Soft MoE (Puigcerver et al. 2023, section 2.2). How many rows change depends on how unlike the companions are,
so the shares are held to no published table, but to a transcription on the same batches. It is NumPy, and knows who
goes where alone: a token's output changes exactly if its experts do, or those that have room for it.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from harness.case import Case
from harness.devices import open_device
from harness.layers import build
from harness.layers.expert_choice import ExpertChoice
from harness.layers.token_choice import TokenChoice
from harness.probes import PROBES, Settings, make_subject
from harness.probes.determinism.axes import AXES
from harness.probes.determinism.scene import Scene
from tests.cases import expert_choice, soft, token_choice

BATCHES = 20
TOKENS = 16
Array = np.ndarray

LAYERS = {
    "dropless": token_choice(experts=8, tokens=TOKENS),
    "c = 1": token_choice(experts=8, tokens=TOKENS, capacity_factor=1.0),
    "c = 1.25": token_choice(experts=8, tokens=TOKENS, capacity_factor=1.25),
    "c = 2": token_choice(experts=8, tokens=TOKENS, capacity_factor=2.0),
    "priority": token_choice(experts=8, tokens=TOKENS, capacity_factor=1.0, drop="priority"),
    "ec 1": expert_choice(experts=8, tokens=TOKENS),
    "ec 2": expert_choice(experts=8, tokens=TOKENS, capacity_factor=2.0),
    "soft": soft(experts=8, tokens=TOKENS),
}


def room(case: Case, n: int) -> int:
    assert case.capacity_factor
    return max(1, min(n, int((case.top_k or 1) * n * case.capacity_factor / 8 + 0.5)))


def met(case: Case, logits: Array) -> Array:
    """Return [T, 8]: which experts take which tokens, by the rules of the papers, one queue after another."""
    p = np.exp(logits - logits.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    taken = np.zeros(p.shape, dtype=bool)
    if case.layer == "expert_choice":
        for expert in range(8):
            taken[np.argsort(-p[:, expert], kind="stable")[: room(case, len(p))], expert] = True
        return taken
    best = np.argsort(-p, axis=-1, kind="stable")[:, :2]
    left = np.full(8, room(case, len(p)) if case.capacity_factor else len(p))
    order = np.argsort(-p.max(-1), kind="stable") if case.drop == "priority" else np.arange(len(p))
    for k in range(2):  # all first choices before all second ones
        for token in order:
            expert = best[token, k]
            taken[token, expert] = left[expert] > 0
            left[expert] -= left[expert] > 0
    return taken


def transcribed(case: Case, seed: int) -> float:
    """Return the share of rows that other companions change, for the harness's own batch and companions."""
    layer = build(case, seed=seed)
    scene = Scene.of(make_subject(case, layer), seed)
    if case.layer == "soft":
        return 0.0
    assert isinstance(layer, TokenChoice | ExpertChoice)
    router = layer.router.detach().double().numpy()
    changed = []
    for change in AXES["composition"](scene):
        (own,) = change.before
        rows = slice(own * TOKENS, (own + 1) * TOKENS)
        before, after = (met(case, x.flatten(0, 1).double().numpy() @ router)[rows] for x in (scene.x, change.x))
        changed.append((before != after).any(-1).mean())
    return float(np.mean(changed))


@cache
def measured(name: str, batch: int) -> Array:
    """Return the harness's share of changed rows on each of the random batches, by the control and the one axis."""
    case, shares = replace(LAYERS[name], batch=batch), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("harness.probes.determinism.AXES", {axis: AXES[axis] for axis in ("run", "composition")})
        patch.setattr("harness.probes.determinism.ties.measure", lambda *_: ({}, 0))
        for seed in range(BATCHES):
            subject = make_subject(case, build(case, seed=seed))
            values = PROBES["determinism"].measure(subject, open_device("cpu"), Settings(seed=seed)).values
            shares.append(values["det_composition_changed"])
    return np.array(shares)


@pytest.mark.parametrize("name", LAYERS)
def test_the_rows_that_change_are_those_of_the_transcription(name: str) -> None:
    expected = [transcribed(replace(LAYERS[name], batch=8), seed) for seed in range(BATCHES)]
    assert measured(name, 8).tolist() == pytest.approx(expected, abs=1e-12)


def test_only_capacity_and_experts_that_choose_make_companions_matter() -> None:
    """The less room, the more rows; experts that choose couple most. With the margins that 20 batches allow."""
    means = {name: measured(name, 8).mean() for name in LAYERS}
    error = {name: measured(name, 8).std(ddof=1) / BATCHES**0.5 for name in LAYERS}
    assert means["dropless"] == means["soft"] == 0
    for less, more in (("c = 2", "c = 1.25"), ("c = 1.25", "c = 1"), ("c = 1", "ec 1"), ("ec 1", "ec 2")):
        assert means[less] + 2 * np.hypot(error[less], error[more]) < means[more], (less, more)
    assert means["c = 2"] > 0
    assert means["priority"] > means["c = 1.25"]
