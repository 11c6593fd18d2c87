"""Gates and noise: what each makes of a token's logits, in numbers worked out by hand and by the equations."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import get_args

import pytest
import torch
from torch import Tensor

from harness.case import Case
from harness.declare.point import GateName, NoiseName
from harness.layers import build, noise
from harness.layers.gates import GATES
from harness.layers.interface import evaluating, observing
from harness.layers.token_choice import TokenChoice
from harness.probes.rows import Taps
from tests.cases import token_choice


def _layer(case: Case) -> TokenChoice:
    layer = build(case)
    assert isinstance(layer, TokenChoice)
    return layer


def _input(case: Case) -> Tensor:
    return torch.randn(case.batch, case.tokens, case.d_model, generator=torch.Generator().manual_seed(0)).double()


def _taps(layer: TokenChoice, x: Tensor) -> dict[str, Tensor]:
    with torch.no_grad(), observing(layer, taps := Taps()):
        layer(x)
    return taps.seen


def test_every_gate_and_noise_of_the_format_is_built() -> None:
    assert set(get_args(GateName)) == set(GATES)
    assert set(get_args(NoiseName)) == {"none", *noise.WIDTHS}


@pytest.mark.parametrize(
    ("name", "gates"),
    [
        ("softmax", [0.5, 0.3]),
        ("renormalised", [0.625, 0.375]),
        ("topk_softmax", [0.625, 0.375]),
        ("sigmoid", [(1 / 3) / (1 / 3 + 3 / 13), (3 / 13) / (1 / 3 + 3 / 13)]),
    ],
)
def test_gates_of_one_token_by_hand(name: str, gates: list[float]) -> None:
    """Logits log 0.5, log 0.3, log 0.2: softmax gives these back, sigmoid gives 1/3, 3/13, 1/6."""
    logits = torch.tensor([[0.3, 0.2, 0.5]], dtype=torch.float64).log()
    gate = GATES[name]
    scores = gate.rank(logits)
    choice = scores.topk(2).indices
    assert choice.tolist() == [[2, 0]]
    torch.testing.assert_close(gate.weigh(scores.gather(-1, choice)), torch.tensor([gates], dtype=torch.float64))
    torch.testing.assert_close(gate.probabilities(scores).sum(-1), torch.ones(1, dtype=torch.float64))


@pytest.mark.parametrize("name", ["renormalised", "topk_softmax", "sigmoid"])
def test_the_gate_of_a_single_expert_is_one_and_teaches_the_router_nothing(name: str) -> None:
    case = token_choice(top_k=1, gate=name, dtype="float64", pass_="forward_backward")
    layer = _layer(case)
    (gradient,) = torch.autograd.grad(layer(_input(case)).square().sum(), layer.router)
    assert float(gradient.abs().max()) < 1e-12


def test_half_precision_is_gated_in_float32() -> None:
    for gate in GATES.values():
        assert gate.rank(torch.randn(2, 4).bfloat16()).dtype == torch.float32


def test_the_selection_bias_selects_and_does_not_weigh() -> None:
    """DeepSeek-V3: the K largest of s + b, weighed by s. Not a parameter; zero until somebody sets it."""
    case = token_choice(gate="sigmoid", dtype="float64")
    layer = _layer(case)
    assert layer.bias is not None
    assert not layer.bias.any()
    assert "bias" not in dict(layer.named_parameters())
    x = _input(case)
    before = _taps(layer, x)
    layer.bias.copy_(torch.tensor([0.0, 0.0, 0.0, 10.0]))
    seen = _taps(layer, x)
    assert (seen["choice"][:, 0] == 3).all()
    assert torch.equal(seen["logits"], before["logits"])
    assert torch.equal(seen["scores"], before["logits"].sigmoid() + layer.bias)
    s = seen["logits"].sigmoid().gather(-1, seen["choice"])
    weights = s / (s.sum(-1, keepdim=True) + 1e-20)
    with torch.no_grad():
        y = (weights[..., None] * seen["expert_output"]).sum(1).view_as(x)
        torch.testing.assert_close(layer(x), y)


def test_only_what_is_biased_has_a_bias() -> None:
    assert _layer(token_choice()).bias is None
    assert _layer(token_choice(balance="bias", pass_="train")).bias is not None


# noise


@pytest.mark.parametrize("kind", ["shazeer", "vmoe"])
def test_noisy_logits_are_those_of_the_equation(kind: str) -> None:
    """Shazeer et al. 2017, equation 4, and V-MoE's 1 / E."""
    case = token_choice(noise=kind, dtype="float64", pass_="train", experts=8)
    layer, x = _layer(case), _input(case)
    tokens = x.flatten(0, 1)
    h = tokens @ layer.router.detach()
    n = noise.standard_normal(h)
    learned = layer.noise_weight
    expected = h + (n / 8 if learned is None else n * (tokens @ learned.detach()).exp().log1p())
    torch.testing.assert_close(_taps(layer, x)["logits"], expected, rtol=1e-12, atol=1e-12)


def test_noise_is_standard_normal_and_every_expert_and_token_has_its_own() -> None:
    n = noise.standard_normal(torch.empty(4096, 64, dtype=torch.float64))
    assert float(n.mean()) == pytest.approx(0, abs=4 / 512)
    assert float(n.std()) == pytest.approx(1, abs=4 / 512)
    assert len(set(n.flatten().tolist())) > 0.9 * n.numel()
    x = torch.randn(4096, 64, generator=torch.Generator().manual_seed(0)).double()  # the input of the first seed
    assert abs(float((n * x).mean())) < 4 / 512


@pytest.mark.parametrize("kind", ["shazeer", "vmoe"])
def test_noise_belongs_to_training(kind: str) -> None:
    case = token_choice(noise=kind, dtype="float64", pass_="train")
    layer, plain, x = _layer(case), _layer(token_choice(dtype="float64")), _input(case)
    plain.load_state_dict(layer.state_dict(), strict=False)
    with torch.no_grad():
        noisy = layer(x)
        assert torch.equal(layer(x), noisy)  # the same in every pass, or nothing could be repeated
        with evaluating(layer):
            assert torch.equal(layer(x), plain(x))
        assert layer.training
        assert not torch.equal(noisy, plain(x))
    assert not build(replace(case, pass_="forward")).training


def test_learned_noise_learns() -> None:
    """At one expert a token, its gate is the probability after noise, and the width of the noise has a gradient."""
    case = token_choice(noise="shazeer", dtype="float64", pass_="train")
    layer = _layer(case)
    assert layer.noise_weight is not None
    (gradient,) = torch.autograd.grad(layer(_input(case)).square().sum(), layer.noise_weight)
    assert math.isfinite(float(gradient.abs().max()))
    assert float(gradient.abs().max()) > 1e-6
