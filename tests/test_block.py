"""Blocks and models: equivalence in output and gradients, causality, parts, and what they adopt."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from harness.case import Case
from harness.declare.costs import resolve_backend
from harness.declare.scopes import output_shape, reads
from harness.layers import build, reference_of
from harness.layers.compound import LEAK
from harness.layers.interface import Layer, replaying
from harness.layers.model import Model
from harness.probes.rows import tapping
from harness.probes.subject import draw_input
from tests.cases import block, decoder, dense, encoder, expert_choice, families, scopes, soft, stack, token_choice
from tests.test_costs_around import any_scope


def _pass(layer: Layer, x: Tensor, seen: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Return output and all gradients by name, with every part's routing replayed where there is one."""
    x = x.clone().requires_grad_(x.is_floating_point())
    with ExitStack() as forced:
        for part, shown in zip(layer.parts, seen, strict=True):
            if "choice" in shown:
                forced.enter_context(replaying(part, shown["choice"], shown.get("order")))
        y = layer(x)
    wanted = dict(layer.named_parameters()) | ({"x": x} if x.requires_grad else {})
    upstream = torch.randn(y.shape, generator=torch.Generator().manual_seed(7)).to(y.dtype)
    grads = torch.autograd.grad(y, list(wanted.values()), upstream, materialize_grads=True)  # idle experts have none
    return {"y": y.detach(), **dict(zip(wanted, grads, strict=True))}


@settings(max_examples=25, deadline=None)
@given(case=any_scope())
def test_every_scope_agrees_with_its_reference_in_output_and_gradients(case: Case) -> None:
    layer = build(case)
    x = draw_input(case, layer, 0)
    with torch.no_grad(), tapping(layer) as seen:
        layer(x)
    wide = x.double() if x.is_floating_point() else x
    got, expected = _pass(layer, x, seen), _pass(reference_of(layer), wide, seen)
    size = max(float(right.norm()) for right in expected.values())
    for name, right in expected.items():
        least = max(float(right.norm()), 1e-3 * size)  # some gradients are zero but for rounding: one key's softmax
        error = float((got[name].double() - right).norm()) / least
        assert error < (1e-3 if case.dtype == "float32" else 1e-10), name


@pytest.mark.parametrize("case", [each for case in families() for each in scopes(case)], ids=lambda case: case.id)
def test_shapes_and_backends(case: Case) -> None:
    layer = build(case)
    assert layer.backend == resolve_backend(case)
    assert layer(draw_input(case, layer, 0)).shape == output_shape(case)
    assert layer(draw_input(case, layer, 0, batch=5)).shape == output_shape(replace(case, batch=5))


@pytest.mark.parametrize("case", [block(dense()), block(soft(), causal=True)], ids=["encoder", "decoder"])
def test_a_block_is_two_residuals_around_norms(case: Case) -> None:
    layer = build(case)
    x = draw_input(case, layer, 0)
    with torch.no_grad():
        middle = x + layer.attention(layer.attention_norm(x))  # type: ignore[operator]
        expected = middle + layer.ffn(layer.ffn_norm(middle))  # type: ignore[operator]
        assert torch.equal(layer(x), expected)
    norm = layer.attention_norm
    assert type(norm).__name__ == ("RMSNorm" if case.causal else "LayerNorm")


def test_an_encoder_averages_its_patches_and_a_decoder_keeps_its_tokens() -> None:
    for case in (encoder(soft()), decoder(dense())):
        model = build(case)
        assert isinstance(model, Model)
        assert model.ends is not None
        x = draw_input(case, model, 0)
        with torch.no_grad():
            hidden = model.ends.enter(x)
            for each in model.blocks:
                hidden = each(hidden)
            hidden = model.ends.norm(hidden)
            expected = model.ends.head(hidden if case.causal else hidden.mean(1))
            assert torch.equal(model(x), expected)


def test_an_encoder_sees_where_a_patch_stands() -> None:
    case = encoder(dense())
    model = build(case)
    x = draw_input(case, model, 0)
    with torch.no_grad():
        assert not torch.allclose(model(x), model(x.flip(1)))
        model.ends.table.zero_()  # type: ignore[operator, union-attr]
        torch.testing.assert_close(model(x), model(x.flip(1)), rtol=1e-4, atol=1e-5)


# causality


def _earlier_change(case: Case) -> float:
    """Return the largest change of what comes before a token when that token and all after it change, in float64."""
    layer = reference_of(build(case))
    x = draw_input(case, layer, 0)
    other = draw_input(case, layer, 1)
    at = case.tokens // 2
    changed = torch.cat((x[:, :at], other[:, at:]), 1)
    if x.is_floating_point():
        x, changed = x.double(), changed.double()
    with torch.no_grad():
        return float((layer(x) - layer(changed))[:, :at].abs().max())


CAUSAL_FORMS: dict[str, Callable[..., Case]] = {"block": block, "stack": stack, "decoder": decoder}
CAUSAL = [
    dense(),
    token_choice(),
    token_choice(shared_experts=1),
    token_choice(variant="capacity", top_k=1, capacity_factor=1.0, group="sequence"),
]
LEAKING = [soft(), expert_choice(group="sequence"), token_choice(variant="capacity", capacity_factor=0.5)]


@pytest.mark.parametrize("wrap", ["block", "stack", "decoder"])
@pytest.mark.parametrize("case", CAUSAL, ids=lambda case: case.id)
def test_a_later_token_changes_no_earlier_output(case: Case, wrap: str) -> None:
    wrapped = CAUSAL_FORMS[wrap](case, causal=True)
    assert _earlier_change(wrapped) == 0.0
    assert LEAK not in build(wrapped).remarks


@pytest.mark.parametrize("wrap", ["block", "decoder"])
@pytest.mark.parametrize("case", LEAKING, ids=lambda case: case.id)
def test_experts_that_compare_tokens_leak_the_future_and_say_so(case: Case, wrap: str) -> None:
    wrapped = CAUSAL_FORMS[wrap](case, causal=True)
    assert _earlier_change(wrapped) > 1e-6
    assert build(wrapped).remarks == [LEAK]


def test_an_encoder_looks_both_ways() -> None:
    assert _earlier_change(block(dense())) > 1e-3
    assert build(block(soft())).remarks == []


# parts


@pytest.mark.parametrize("case", families(), ids=lambda case: str(case.variant))
def test_taps_of_the_layer_inside_are_those_of_the_layer_alone(case: Case) -> None:
    """The layer in a block, given what the block gives it, shows what it shows alone, under the same names."""
    whole, alone = build(block(case)), build(case)
    alone.load_state_dict(whole.parts[0].state_dict())
    x = draw_input(case, alone, 0)
    with torch.no_grad(), tapping(whole) as (inside,):
        middle = x + whole.attention(whole.attention_norm(x))  # type: ignore[operator]
        whole(x)
    with torch.no_grad(), tapping(alone) as (outside,):
        alone(whole.ffn_norm(middle))  # type: ignore[operator]
    assert inside.keys() == outside.keys()
    assert all(torch.equal(inside[name], outside[name]) for name in inside)


def test_a_model_shows_each_block_apart() -> None:
    case = decoder(token_choice(), moe_layers="all")
    model = build(case)
    with torch.no_grad(), tapping(model) as taps:
        model(draw_input(case, model, 0))
    choices = [seen["choice"] for seen in taps]
    assert len(choices) == 3
    assert not any(torch.equal(a, b) for a, b in pairwise(choices))
    assert all(part.observer is None for part in model.parts)


def test_what_a_model_adopts_its_layers_adopt() -> None:
    model = build(decoder(token_choice()))
    case = replace(model.case, batch=5, pass_="train")
    model.adopt(case, resolve_backend(case))
    assert [part.case.batch for part in model.parts] == [5, 5, 5]
    assert [part.case.layer for part in model.parts] == ["dense", "token_choice", "dense"]
    assert [part.backend for part in model.parts] == ["fused", "grouped", "fused"]
    assert all(part.training for part in model.parts)


@pytest.mark.parametrize("case", [block(soft()), encoder(token_choice()), decoder(expert_choice())], ids=lambda c: c.id)
def test_all_backends_and_dtypes_get_the_same_weights(case: Case) -> None:
    weights = build(case, seed=3).state_dict()
    plain = build(replace(case, backend="reference"), seed=3)
    half = build(replace(case, dtype="bfloat16"), seed=3)
    for name, weight in weights.items():
        assert torch.equal(plain.state_dict()[name], weight), name
        assert torch.equal(half.state_dict()[name], weight.to(half.state_dict()[name].dtype)), name


@pytest.mark.parametrize("pass_", ["forward", "forward_backward"])
@pytest.mark.parametrize("case", [*scopes(token_choice()), *scopes(soft())], ids=lambda case: case.id)
def test_fast_backends_never_need_a_value_on_the_host(case: Case, pass_: str) -> None:
    """Fake tensors have no values: whoever asks for one fails."""
    with FakeTensorMode():
        layer = build(replace(case, dtype="bfloat16"))
        x = draw_input(layer.case, layer, 0)
        y = layer(x.requires_grad_(reads(case) != "ids"))
        if pass_ == "forward_backward":
            y.sum().backward()
    assert y.shape == output_shape(case)
