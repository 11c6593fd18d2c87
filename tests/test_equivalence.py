"""Token choice: every backend against float64 to the rounding of its dtype, and against transformers' Mixtral block."""

from __future__ import annotations

import importlib
import math
from dataclasses import replace
from typing import Any, get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from harness.case import Case
from harness.declare.costs import BACKENDS, capacity
from harness.declare.point import NoiseName
from harness.layers import build, gates, reference_of
from harness.layers.interface import observing, replaying, torch_dtype
from harness.layers.token_choice import TokenChoice
from harness.probes.rows import Taps
from tests import oracles
from tests.cases import token_choice
from tests.test_layers import unlike

ALLOWED = 16.0
"""Error of any tensor in its 2-norm, in eps of the dtype; the worst of 500 cases had 4, in the router's gradient."""
DTYPES = ("float64", "float32", "bfloat16")


@st.composite
def any_token_choice(draw: st.DrawFn) -> Case:
    """Any gate, noise, room and order by any backend, in shapes that grouped_mm takes in every dtype."""
    backend = draw(st.sampled_from([name for name in BACKENDS["token_choice"] if name != "fixed_tile"]))
    rooms: dict[str, list[float | None]] = {"loop": [None], "batched": [None], "onehot": [0.5, 1.0]}
    usual: list[float | None] = [None, 0.5, 1.0]
    factor = draw(st.sampled_from(rooms.get(backend, usual)))
    experts = draw(st.integers(2, 8))
    top_k = draw(st.integers(1, min(4, experts)))
    activation, gated = draw(st.sampled_from([("gelu", False), ("relu", False), ("silu", True)]))
    return token_choice(
        backend=backend,
        experts=experts,
        top_k=top_k,
        capacity_factor=factor,
        gate=draw(st.sampled_from(sorted(gates.GATES) if top_k > 1 else ["softmax"])),
        noise=draw(st.sampled_from(get_args(NoiseName))),
        drop=draw(st.sampled_from(["position", "priority"])) if factor else None,
        group=draw(st.sampled_from(["batch", "sequence"])),
        shared_experts=draw(st.integers(0, 1)),
        activation=activation,
        gated=gated,
        batch=draw(st.integers(1, 4)),
        tokens=draw(st.integers(1, 16)),
        d_model=16,
        d_ff=24,
        pass_="forward_backward",
    )


def _input(case: Case, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(case.batch, case.tokens, case.d_model, generator=generator).to(torch_dtype(case))


def _gradients(layer: TokenChoice, x: Tensor, taps: dict[str, Tensor]) -> dict[str, Tensor]:
    """Output and gradients with the routing of `taps`."""
    x = x.clone().requires_grad_()
    upstream = torch.randn(x.shape, generator=torch.Generator().manual_seed(7)).to(x.dtype)
    with replaying(layer, taps["choice"], taps.get("order")):
        y = layer(x)
    names, weights = zip(*layer.named_parameters(), strict=True)
    grads = torch.autograd.grad(y, (x, *weights), upstream)
    return {"y": y.detach(), **dict(zip(("x", *names), grads, strict=True))}


def _built(case: Case, seed: int = 0) -> TokenChoice:
    layer = unlike(build(case, seed=seed))
    assert isinstance(layer, TokenChoice)
    return layer


def _taps(layer: TokenChoice, x: Tensor) -> dict[str, Tensor]:
    with torch.no_grad(), observing(layer, taps := Taps()):
        layer(x)
    return taps.seen


@settings(max_examples=150, deadline=None)
@given(case=any_token_choice(), dtype=st.sampled_from(DTYPES), seed=st.integers(0, 99))
def test_every_backend_is_the_reference_to_the_rounding_of_its_dtype(case: Case, dtype: str, seed: int) -> None:
    """Output, and gradients of input, router, noise and experts; with the layer's own choices and order of service.

    Over eight tokens or more: the router's gradient of one token is a product of two vectors, which may be near 0.
    """
    layer = _built(replace(case, dtype=dtype, tokens=8 + case.tokens), seed)
    x = _input(layer.case, seed)
    taps = _taps(layer, x)
    got = _gradients(layer, x, taps)
    reference = reference_of(layer)
    assert isinstance(reference, TokenChoice)
    eps = torch.finfo(x.dtype).eps
    for name, right in _gradients(reference, x.double(), taps).items():
        error = float((got[name].double() - right).norm() / right.norm().clamp(min=1e-3))
        assert error < ALLOWED * eps, f"{name}: {error / eps:.1f} eps"


@settings(max_examples=60, deadline=None)
@given(case=any_token_choice(), seed=st.integers(0, 99))
def test_every_backend_is_the_transcription(case: Case, seed: int) -> None:
    layer = _built(replace(case, dtype="float64"), seed)
    x = _input(layer.case, seed)
    room = None if case.capacity_factor is None else capacity(case)
    with torch.no_grad():
        expected = oracles.token_choice(layer, x, room, case.group == "sequence")
        torch.testing.assert_close(layer(x), expected, rtol=1e-11, atol=1e-11)


@settings(max_examples=60, deadline=None)
@given(case=any_token_choice(), seed=st.integers(0, 99))
def test_what_is_dropped_is_dropped_by_the_rule_and_adds_exactly_nothing(case: Case, seed: int) -> None:
    """A brute-force queue: K rounds, in each the tokens of a group in order of position or of priority."""
    layer = _built(replace(case, capacity_factor=case.capacity_factor or 0.5, backend="grouped", drop="priority"), seed)
    x = _input(layer.case, seed)
    seen = _taps(layer, x)
    room, group_size = capacity(layer.case), case.tokens if case.group == "sequence" else case.batch * case.tokens
    taken: dict[tuple[int, int], int] = {}
    kept = torch.zeros_like(seen["kept"])
    order = sorted(range(len(kept)), key=lambda t: -float(seen["priority"][t]))
    for k in range(layer.top_k):
        for t in order:
            queue = (t // group_size, int(seen["choice"][t, k]))
            taken[queue] = taken.get(queue, 0) + 1
            kept[t, k] = taken[queue] <= room
    assert torch.equal(kept, seen["kept"])
    lost = ~kept.any(-1)
    if layer.shared is None:
        with torch.no_grad():
            assert not layer(x).flatten(0, 1)[lost].any()


@settings(max_examples=40, deadline=None)
@given(case=any_token_choice(), seed=st.integers(0, 99))
def test_renormalised_is_topk_softmax(case: Case, seed: int) -> None:
    both = [
        _built(replace(case, dtype="float64", gate=gate, noise="none"), seed)
        for gate in ("renormalised", "topk_softmax")
    ]
    x = _input(both[0].case, seed)
    with torch.no_grad():
        ours, theirs = (layer(x) for layer in both)
    assert float((ours - theirs).abs().max() / ours.abs().max().clamp(min=1)) < 1e-14
    logits = torch.randn(64, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    choice = logits.topk(3).indices
    first, second = (
        gate.weigh(gate.rank(logits).gather(-1, choice))
        for gate in (gates.GATES["renormalised"], gates.GATES["topk_softmax"])
    )
    assert float((first - second).abs().max()) < 1e-15


def test_a_null_model_drops_what_theory_says() -> None:
    """A balanced random router: sqrt(2 pi K T / E) of the K T assignments of each expert go over its even share."""
    tokens, experts = 4096, 64
    shape: dict[str, Any] = {"d_model": 64, "d_ff": 16, "batch": 1, "tokens": tokens, "experts": experts}
    layer = _built(token_choice(top_k=1, capacity_factor=1.0, **shape))
    rates = []
    for seed in range(3):
        choice = torch.randint(experts, (tokens, 1), generator=torch.Generator().manual_seed(seed))
        with replaying(layer, choice):
            rates.append(float((~_taps(layer, _input(layer.case))["kept"]).double().mean()))
    assert sum(rates) / 3 == pytest.approx(1 / math.sqrt(2 * math.pi * tokens / experts), rel=0.1)


# transformers


@pytest.fixture
def mixtral() -> Any:
    return pytest.importorskip(
        "transformers.models.mixtral.modeling_mixtral",
        reason="transformers is not installed: pip install transformers",
        exc_type=ImportError,
    )


def _mixtral_block(mixtral: Any, layer: TokenChoice) -> Any:
    """Their block with our weights: they keep each matrix turned."""
    configuration = importlib.import_module("transformers").MixtralConfig(
        hidden_size=layer.case.d_model,
        intermediate_size=layer.case.d_ff,
        num_local_experts=layer.experts,
        num_experts_per_tok=layer.top_k,
        hidden_act="silu",
    )
    configuration._experts_implementation = "eager"
    block = mixtral.MixtralSparseMoeBlock(configuration).to(layer.router.dtype)
    with torch.no_grad():
        block.gate.weight.copy_(layer.router.t())
        block.experts.gate_up_proj.copy_(layer.ffn.w1.transpose(1, 2))
        block.experts.down_proj.copy_(layer.ffn.w2.transpose(1, 2))
    return block


@pytest.mark.parametrize("backend", ["loop", "batched", "grouped", "reference"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_with_the_same_weights_it_is_the_mixtral_block_of_transformers(mixtral: Any, backend: str, dtype: str) -> None:
    """Output and gradients. Their router is float32 in any dtype, so in float64 the experts alone are that near."""
    shape: dict[str, Any] = {"d_model": 32, "d_ff": 64, "experts": 8, "gated": True, "activation": "silu"}
    layer = _built(token_choice(backend=backend, dtype=dtype, pass_="forward_backward", **shape), seed=5)
    block, x = _mixtral_block(mixtral, layer), _input(layer.case).requires_grad_()
    ours, theirs = layer(x), block(x)
    torch.testing.assert_close(ours, theirs, rtol=2e-6, atol=2e-6)
    grads = [torch.autograd.grad(y.square().sum(), (x, *where)) for y, where in (
        (ours, (layer.router, layer.ffn.w1, layer.ffn.w2)),
        (theirs, (block.gate.weight, block.experts.gate_up_proj, block.experts.down_proj)),
    )]  # fmt: skip
    for mine, other in zip(*grads, strict=True):
        turned = other if mine.shape == other.shape and mine.dim() == 3 and mine is grads[0][0] else other.mT
        torch.testing.assert_close(mine, turned, rtol=2e-5, atol=2e-5)
    seen = _taps(layer, x)
    gate = layer.gate.weigh(layer.gate.rank(seen["logits"]).gather(-1, seen["choice"])).to(x.dtype)
    with torch.no_grad():
        experts = block.experts(x.flatten(0, 1), seen["choice"], gate).view_as(x)
        tolerance = 64 * torch.finfo(x.dtype).eps
        torch.testing.assert_close(layer(x), experts, rtol=tolerance, atol=tolerance)
