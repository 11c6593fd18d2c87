"""Soft MoE: its ablations against their closed forms, padding, and a router that is exact where norms are zero."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import torch
from torch import Tensor

from harness.declare.point import MixingName
from harness.layers import build
from harness.layers.cosine import cosine_logits, l2norm
from harness.layers.interface import observing
from harness.layers.soft import Soft
from harness.probes.rows import Taps
from tests.cases import soft
from tests.oracles import ffn

SHAPE: dict[str, Any] = {"d_model": 16, "d_ff": 24, "tokens": 8, "dtype": "float64"}
MIXINGS = get_args(MixingName)


def _layer(**changes: Any) -> Soft:
    layer = build(soft(**{**SHAPE, "slots": 2, **changes}))
    assert isinstance(layer, Soft)
    return layer.requires_grad_(False)


def _input(batch: int = 2, tokens: int = 8) -> Tensor:
    return torch.randn(batch, tokens, 16, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def _close(got: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("backend", ["reference", "batched"])
@pytest.mark.parametrize("slots", [2, 3])
def test_identity_is_each_token_through_its_expert(backend: str, slots: int) -> None:
    layer, x = _layer(mixing="identity", backend=backend, slots=slots), _input()
    expected = [torch.stack([ffn(layer.ffn, v, i % 4) for i, v in enumerate(tokens)]) for tokens in x]
    _close(layer(x), torch.stack(expected))


@pytest.mark.parametrize("backend", ["reference", "batched"])
def test_uniform_is_the_mean_of_all_experts_of_the_mean_token(backend: str) -> None:
    layer, x = _layer(mixing="uniform", backend=backend), _input()
    for tokens, y in zip(x, layer(x), strict=True):
        mean = tokens.mean(0)
        _close(y, (sum(ffn(layer.ffn, mean, e) for e in range(4)) / 4).expand(8, -1))  # type: ignore[union-attr]


@pytest.mark.parametrize("mixing", ["uniform", "soft_dispatch"])
def test_a_uniform_combine_gives_all_tokens_the_same(mixing: str) -> None:
    y = _layer(mixing=mixing)(_input())
    assert torch.equal(y, y[:, :1].expand_as(y))
    assert y.is_contiguous()


def test_learned_mixing_with_a_router_of_zero_is_uniform() -> None:
    learned, uniform = _layer(), _layer(mixing="uniform")
    assert learned.phi is not None
    learned.phi.zero_()
    uniform.load_state_dict({name: w for name, w in learned.state_dict().items() if name.startswith("ffn")})
    _close(learned(_input()), uniform(_input()))


def test_only_a_learned_mixing_has_a_router() -> None:
    for mixing in MIXINGS:
        layer = _layer(mixing=mixing)
        with observing(layer, taps := Taps()):
            layer(_input())
        assert ("phi" in layer.state_dict()) is ("logits" in taps.seen) is (mixing not in ("identity", "uniform"))
        assert taps.seen["load"].tolist() == [4] * 4


# padding


@pytest.mark.parametrize("backend", ["reference", "batched"])
@pytest.mark.parametrize("mixing", MIXINGS)
def test_padding_changes_no_token_whatever_it_holds_and_however_long_it_is(mixing: str, backend: str) -> None:
    layer, x = _layer(mixing=mixing, backend=backend, slots=4), _input(tokens=6)
    alone = layer(x)
    for padding in (torch.full((2, 2, 16), 1e6), torch.full((2, 7, 16), float("nan"))):
        mask = torch.arange(6 + padding.shape[1]).expand(2, -1) < 6
        y = layer(torch.cat([x, padding.double()], dim=1), mask)
        _close(y[:, :6], alone)
        assert torch.equal(y[:, 6:], torch.zeros_like(y[:, 6:]))


@pytest.mark.parametrize("mixing", MIXINGS)
def test_sequences_of_two_lengths_share_a_batch(mixing: str) -> None:
    layer, x = _layer(mixing=mixing), _input()
    mask = torch.ones(2, 8, dtype=torch.bool)
    mask[1, 5:] = False
    y = layer(x, mask)
    _close(y[0], layer(x[:1])[0])
    _close(y[1, :5], layer(x[1:, :5])[0])


@pytest.mark.parametrize("mixing", ["soft", "soft_dispatch"])
def test_gradients_stop_at_the_padding(mixing: str) -> None:
    """Also in a sequence that is all padding, whose softmax over tokens has nothing to be over."""
    layer, x = _layer(mixing=mixing).requires_grad_(True), _input().requires_grad_()
    mask = torch.ones(2, 8, dtype=torch.bool)
    mask[0, 5:], mask[1] = False, False
    layer(x, mask).square().sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad.abs().sum(-1) > 0, mask)
    assert all(w.grad is not None and bool(w.grad.isfinite().all()) for w in layer.parameters())


# router


def test_the_routers_gradients_are_autograds() -> None:
    generator = torch.Generator().manual_seed(3)
    x, phi = (torch.randn(shape, generator=generator, dtype=torch.float64) for shape in ((2, 5, 7), (7, 6)))
    scale = torch.tensor(1.7, dtype=torch.float64)
    inputs = tuple(v.requires_grad_() for v in (x, phi, scale))
    assert torch.autograd.gradcheck(cosine_logits, inputs)
    _close(cosine_logits(*inputs), l2norm(x, -1) @ (scale * l2norm(phi, 0)))


def test_a_token_of_zeros_has_logits_and_gradients_of_zero_cosine() -> None:
    x, phi = torch.zeros(1, 2, 4, requires_grad=True), torch.eye(4)[:, :2].requires_grad_()
    logits = cosine_logits(x, phi, torch.tensor(1.0))
    assert torch.equal(logits, torch.zeros(1, 2, 2))
    logits.sum().backward()  # type: ignore[no-untyped-call]
    for v in (x, phi):
        assert v.grad is not None
        assert bool(v.grad.isfinite().all())
