"""Balance losses: transcriptions of the equations in float64, transformers' loss, and what a training step does."""

from __future__ import annotations

import math
from typing import Any, get_args

import pytest
import torch
from torch import Tensor

from harness.case import Case
from harness.declare.point import BalanceName
from harness.layers import build, losses, noise
from harness.layers.gates import GATES, Scored
from harness.layers.interface import Layer, observing
from harness.layers.token_choice import TokenChoice
from harness.probes.rows import Taps
from harness.probes.subject import make_subject
from tests.cases import token_choice

T, E, K = 96, 8, 2


def _scored(gate: str = "softmax", logits: Tensor | None = None, width: Tensor | None = None) -> Scored:
    if logits is None:
        logits = torch.randn(T, E, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    noisy = logits if width is None else logits + noise.standard_normal(logits) * width
    return Scored(GATES[gate], logits, noisy, width, GATES[gate].rank(noisy))


def _choice(scored: Scored) -> Tensor:
    return scored.scores.topk(K, dim=-1).indices


def test_every_balance_of_the_format_is_a_loss_or_the_bias() -> None:
    assert set(get_args(BalanceName)) == {"none", "bias", *losses.LOSSES}
    assert set(losses.COEFFICIENTS) == set(losses.LOSSES)


@pytest.mark.parametrize("gate", sorted(GATES))
def test_switch_by_its_equations(gate: str) -> None:
    """Equations 4 to 6, f over all K choices."""
    scored = _scored(gate)
    choice = _choice(scored)
    p = torch.sigmoid(scored.logits) if gate == "sigmoid" else torch.exp(scored.logits)
    p = p / p.sum(-1, keepdim=True)
    f = [sum(int(e in row) for row in choice.tolist()) / (K * T) for e in range(E)]
    expected = E * sum(f[e] * float(p[:, e].mean()) for e in range(E))
    assert float(losses.switch(scored, choice)) == pytest.approx(expected, rel=1e-12)


def test_importance_and_z_by_their_equations() -> None:
    scored = _scored()
    p = torch.exp(scored.logits) / torch.exp(scored.logits).sum(-1, keepdim=True)
    total = [float(p[:, e].sum()) for e in range(E)]
    mean = sum(total) / E
    variation = math.sqrt(sum((v - mean) ** 2 for v in total) / E) / mean
    assert float(losses.importance(scored, _choice(scored))) == pytest.approx(variation**2, rel=1e-12)
    z = sum(math.log(sum(math.exp(h) for h in row)) ** 2 for row in scored.logits.tolist()) / T
    assert float(losses.router_z(scored, _choice(scored))) == pytest.approx(z, rel=1e-12)


@pytest.mark.parametrize("learned", [False, True])
def test_load_by_its_equations(learned: bool) -> None:
    width = torch.full((1, 1), 1 / E, dtype=torch.float64)
    if learned:
        width = torch.rand(T, E, dtype=torch.float64, generator=torch.Generator().manual_seed(2)) + 0.1
    scored = _scored(width=width)
    each = width.expand(T, E)
    chance = [0.0] * E
    for t in range(T):
        threshold = sorted(scored.logits[t].tolist())[-K]
        for e in range(E):
            v = (threshold - float(scored.clean[t, e])) / float(each[t, e])
            chance[e] += (1 - 0.5 * (1 + math.erf(v / math.sqrt(2)))) / T
    mean = sum(chance) / E
    variation = sum((c - mean) ** 2 for c in chance) / E / mean**2
    assert float(losses.load(scored, _choice(scored))) == pytest.approx(variation, rel=1e-10)


def test_the_chance_of_being_chosen_is_that_of_drawing_again() -> None:
    """What the load loss stands for: noise on one expert alone, drawn 200,000 times."""
    logits = torch.tensor([[0.3, 0.0, -0.2, 0.1]], dtype=torch.float64)
    width = torch.full((1, 1), 0.25, dtype=torch.float64)
    noisy = logits + noise.standard_normal(logits) * width
    threshold = noisy.topk(K).values[:, -1:]
    chance = torch.special.ndtr((logits - threshold) / width)
    drawn = logits + width * torch.randn(200_000, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.allclose((drawn > threshold).double().mean(0), chance[0], atol=0.005)


def test_values_at_perfect_balance() -> None:
    """Uniform probabilities and loads: 1 for switch, 0 for importance and load, (log E)^2 for z of zero logits."""
    scored = _scored(logits=torch.zeros(T, E, dtype=torch.float64))
    choice = torch.arange(T * K).view(T, K) % E
    assert float(losses.switch(scored, choice)) == pytest.approx(1.0)
    assert float(losses.importance(scored, choice)) == pytest.approx(0.0)
    assert float(losses.router_z(scored, choice)) == pytest.approx(math.log(E) ** 2)
    shifted = torch.stack([torch.arange(E).roll(t) for t in range(E)]).double()  # every expert in every place once
    alike = Scored(GATES["softmax"], shifted, shifted, torch.ones(1, 1), shifted)
    assert float(losses.load(alike, choice[:E])) == pytest.approx(0.0)


def test_all_tokens_on_one_expert_cost_as_many_times_the_balance_as_there_are_experts() -> None:
    logits = torch.zeros(T, E, dtype=torch.float64)
    logits[:, 3] = 100.0
    choice = torch.full((T, 1), 3)
    assert float(losses.switch(_scored(logits=logits), choice)) == pytest.approx(E)
    assert float(losses.importance(_scored(logits=logits), choice)) == pytest.approx(E - 1)


def test_switch_is_the_loss_of_transformers_over_k() -> None:
    mixtral = pytest.importorskip(
        "transformers.models.mixtral.modeling_mixtral",
        reason="transformers is not installed: pip install transformers",
        exc_type=ImportError,
    )
    scored = _scored()
    theirs = mixtral.load_balancing_loss_func((scored.logits,), num_experts=E, top_k=K) / K
    assert float(losses.switch(scored, _choice(scored))) == pytest.approx(float(theirs), rel=1e-6)


# a step


def _case(**changes: Any) -> Case:
    return token_choice(experts=E, pass_="train", dtype="float64", batch=4, **changes)


def _router_gradient(case: Case) -> Tensor:
    layer = build(case)
    assert isinstance(layer, TokenChoice)
    make_subject(case, layer).run()
    assert layer.router.grad is not None
    return layer.router.grad


@pytest.mark.parametrize("balance", sorted(name for name in losses.LOSSES if name))
def test_the_loss_is_added_to_the_objective_with_its_coefficient(balance: str) -> None:
    kind = "vmoe" if balance == "load" else "none"
    with_loss, without = _case(balance=balance, noise=kind), _case(noise=kind)
    layer = build(with_loss)
    assert isinstance(layer, TokenChoice)
    x = make_subject(with_loss, layer).x.detach()
    scored = layer._score(x.flatten(0, 1))
    value = losses.LOSSES[balance](scored, scored.scores.topk(2).indices)
    (own,) = torch.autograd.grad(losses.COEFFICIENTS[balance] * value, layer.router)
    assert float(own.abs().max()) > 0
    torch.testing.assert_close(_router_gradient(with_loss) - _router_gradient(without), own, rtol=1e-6, atol=1e-9)


def test_a_pass_that_does_not_train_has_no_loss() -> None:
    layer = build(token_choice(balance="switch"))
    layer(torch.randn(2, 16, 32))
    assert layer.auxiliary is None


@pytest.mark.parametrize("balance", get_args(BalanceName))
def test_a_measured_step_changes_nothing_that_cases_share(balance: str) -> None:
    case = _case(balance=balance, noise="vmoe")
    layer = build(case)
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    subject = make_subject(case, layer)
    for _ in range(3):
        subject.run()
    assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items())
    subject.drop_gradients()
    assert layer.auxiliary is None


def test_the_bias_moves_by_u_against_the_load() -> None:
    case = _case(balance="bias", gate="sigmoid")
    layer = build(case)
    assert isinstance(layer, TokenChoice)
    assert layer.bias is not None
    x = make_subject(case, layer).x.detach()
    with observing(layer, taps := Taps()):
        layer(x)
    layer.after_step()
    load = taps.seen["load"].double()
    assert torch.equal(layer.bias, 0.001 * torch.sign(load.mean() - load))


def test_loss_free_balance_balances() -> None:
    """MaxVio falls from its start to nearly nothing, and the gates stay sigmoid scores (Wang et al. 2024)."""
    case = _case(balance="bias", gate="sigmoid", tokens=64, d_ff=8)
    layer = build(case)
    x = make_subject(case, layer).x.detach() + 0.5  # a mean, so that some experts are liked better
    violations = []
    with torch.no_grad():
        for _ in range(200):
            load = torch.bincount(_chosen(layer, x), minlength=E).double()
            violations.append(float(load.max() / load.mean()) - 1)
            layer.after_step()
    assert violations[0] > 0.3
    assert max(violations[-10:]) < violations[0] / 4


def _chosen(layer: Layer, x: Tensor) -> Tensor:
    assert isinstance(layer, TokenChoice)
    return layer._route(x.flatten(0, 1), 1).choice.flatten()
