"""Near ties: built on the border, turned by the batch, healed by replay; and never turned by fixed tiles."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from harness.devices import open_device
from harness.layers import build
from harness.layers.token_choice import TokenChoice
from harness.probes import PROBES, Outcome, Settings, make_subject
from harness.probes.determinism.ties import chosen, near_ties
from tests.cases import block, dense, expert_choice, soft, token_choice

WIDE: dict[str, Any] = {"d_model": 512, "d_ff": 64, "experts": 32, "top_k": 1, "batch": 8, "tokens": 4}


def measure(layer: TokenChoice) -> Outcome:
    return PROBES["determinism"].measure(make_subject(layer.case, layer), open_device("cpu"), Settings())


def layer_of(**changes: Any) -> TokenChoice:
    layer = build(token_choice(**WIDE | changes))
    assert isinstance(layer, TokenChoice)
    return layer


@pytest.mark.parametrize("top_k", [1, 4])
def test_they_stand_on_the_border_of_two_sets_of_experts(top_k: int) -> None:
    layer = layer_of(top_k=top_k)
    generator = torch.Generator().manual_seed(1)
    here, there = torch.randn(2, 20, 1, 512, generator=generator)
    with torch.no_grad():
        ties = near_ties(layer, here, there)
    scores = (ties.flatten(0, 1).double() @ layer.router.detach().double()).sort(-1, descending=True).values
    margin = scores[:, top_k - 1] - scores[:, top_k]
    natural = (here.flatten(0, 1).double() @ layer.router.detach().double()).sort(-1, descending=True).values
    assert len(ties) >= 19  # two tokens may have one set
    assert float(margin.abs().max()) < 1e-5
    assert float((natural[:, top_k - 1] - natural[:, top_k]).median()) > 1e-2


def test_the_batch_decides_between_them_and_replay_leaves_only_rounding() -> None:
    values = measure(layer_of()).values
    assert 0.15 < values["tie_flip_rate"] < 0.85  # type: ignore[operator]  # facts: 44 % in float32
    assert values["tie_flips_left"] == 0
    assert values["flip_rate"] == 0  # no natural token was there


def test_fixed_tiles_never_turn_a_tie() -> None:
    outcome = measure(layer_of(backend="fixed_tile"))
    assert outcome.values["tie_flip_rate"] == 0
    assert "tie_flips_left" not in outcome.values
    assert outcome.n["tie_flip_rate"] > 20


def test_a_change_that_is_not_the_routings_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: a lone token is doubled. Replay does not take that away."""
    layer = layer_of()
    sound = layer.forward

    def forward(x: Tensor) -> Tensor:
        y: Tensor = sound(x)
        return y * 2 if len(x) == 1 else y

    layer.forward = forward  # type: ignore[method-assign]
    values = measure(layer).values
    assert values["tie_flip_rate"] > 0  # type: ignore[operator]
    assert values["tie_flips_left"] == values["tie_flip_rate"]


def test_only_the_router_is_run() -> None:
    layer = layer_of()
    layer.ffn.grouped = lambda *_: pytest.fail("the experts were run")  # type: ignore[method-assign]
    assert chosen(layer, torch.randn(3, 2, 512)).shape == (6, 1)
    assert layer.observer is None


def test_where_no_token_chooses_there_is_no_tie() -> None:
    for case in (dense(), soft(), expert_choice(), token_choice(top_k=4), block(token_choice())):
        outcome = PROBES["determinism"].measure(make_subject(case, build(case)), open_device("cpu"), Settings())
        assert "tie_flip_rate" not in outcome.values
        assert "tie_flip_rate" not in outcome.n
