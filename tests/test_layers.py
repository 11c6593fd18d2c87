"""Layers: every backend against the float64 reference, and the reference against an independent transcription."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import Any, get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from harness.case import Case
from harness.declare.costs import BACKENDS, capacity, unsupported
from harness.declare.point import MixingName
from harness.layers import KINDS, build, reference_of
from harness.layers.dense import Dense
from harness.layers.dense_moe import DenseMoe
from harness.layers.expert_choice import ExpertChoice
from harness.layers.gates import GATES
from harness.layers.interface import Layer, Unsupported, observing, replaying, torch_dtype
from harness.layers.kernels import has_grouped_kernel
from harness.layers.soft import Soft
from harness.layers.token_choice import TokenChoice
from harness.probes.rows import Taps
from tests import oracles
from tests.cases import dense, dense_moe, expert_choice, families, soft, token_choice

ACTIVATIONS = [("gelu", False), ("relu", False), ("silu", False), ("silu", True), ("gelu", True)]
FAST = [
    *families(),
    token_choice(variant="few", backend="batched"),
    token_choice(variant="noisy", noise="shazeer", gate="sigmoid", balance="switch"),
    token_choice(variant="priority", capacity_factor=1.0, drop="priority"),
]


def _input(case: Case, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(case.batch, case.tokens, case.d_model, generator=generator).to(torch_dtype(case))


def _taps(layer: Layer, x: Tensor) -> dict[str, Tensor]:
    with torch.no_grad(), observing(layer, taps := Taps()):
        layer(x)
    return taps.seen


def unlike(layer: Layer) -> Layer:
    """Return `layer` with a selection bias that is not zero, where it has one."""
    for bias in layer.buffers():
        bias.copy_(0.1 * torch.randn(bias.shape, generator=torch.Generator().manual_seed(3)))
    return layer


def _pass(layer: Layer, x: Tensor, taps: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return output and all gradients, by name, with the routing of `taps` replayed where there is one."""
    x = x.clone().requires_grad_()
    upstream = torch.randn(x.shape, generator=torch.Generator().manual_seed(7)).to(x.dtype)
    with replaying(layer, taps["choice"], taps.get("order")) if "choice" in taps else nullcontext():
        y = layer(x)
    names, weights = zip(*layer.named_parameters(), strict=True)
    grads = torch.autograd.grad(y, (x, *weights), upstream)
    return {"y": y.detach(), **dict(zip(("x", *names), grads, strict=True))}


def _worst(got: dict[str, Tensor], expected: dict[str, Tensor]) -> tuple[float, str]:
    """Return the largest error over the tensor's largest value, and where.

    Values below 1e-3 are held to that: the router of slots that are all equal has a gradient of 0, but for rounding.
    """
    errors = {
        name: float((got[name].double() - right).abs().max() / right.abs().max().clamp(min=1e-3))
        for name, right in expected.items()
    }
    assert got.keys() == expected.keys()
    worst = max(errors, key=errors.__getitem__)
    return errors[worst], worst


@st.composite
def any_case(draw: st.DrawFn) -> Case:
    kind = draw(st.sampled_from(sorted(KINDS)))
    act, gated = draw(st.sampled_from(ACTIVATIONS))
    shape: dict[str, Any] = {"activation": act, "gated": gated, "d_model": draw(st.sampled_from([8, 16])), "d_ff": 24}
    shape |= {"batch": draw(st.integers(1, 4)), "tokens": draw(st.integers(1, 12))}
    backend = draw(st.sampled_from([name for name in BACKENDS[kind] if name != "fixed_tile"]))  # it does not train
    experts, group = draw(st.integers(1, 6)), draw(st.sampled_from(["batch", "sequence"]))
    if kind == "dense":
        return dense(backend=backend, **shape)
    if kind == "dense_moe":
        return dense_moe(backend=backend, experts=experts, **shape)
    if kind == "soft":
        mixing = draw(st.sampled_from(get_args(MixingName)))
        slots = draw(st.integers(1, 3)) + (shape["tokens"] // experts if mixing == "identity" else 0)
        return soft(backend=backend, experts=experts, slots=slots, mixing=mixing, **shape)
    if kind == "expert_choice":
        factor = draw(st.sampled_from([0.5, 1.0, 2.0]))
        experts += 1  # a single expert scores all tokens alike, and which of them it takes is anyone's choice
        return expert_choice(backend=backend, experts=experts, group=group, capacity_factor=factor, **shape)
    return _any_token_choice(draw, experts, {"backend": backend, "group": group, **shape})


def _any_token_choice(draw: st.DrawFn, experts: int, own: dict[str, Any]) -> Case:
    top_k = draw(st.integers(1, experts))
    factors: dict[str, list[float | None]] = {"onehot": [0.5, 1.0, 1.25], "loop": [None], "batched": [None]}
    usual: list[float | None] = [0.5, 1.0, 1.25, None]
    factor = draw(st.sampled_from(factors.get(own["backend"], usual)))
    noise = draw(st.sampled_from(["none", "shazeer", "vmoe"]))
    losses = ["none", "switch", "importance", "z", "bias"] + ([] if noise == "none" else ["load"])
    return token_choice(
        experts=experts,
        top_k=top_k,
        capacity_factor=factor,
        shared_experts=draw(st.integers(0, 2)),
        gate=draw(st.sampled_from(sorted(GATES) if top_k > 1 else ["softmax"])),  # the others are 1 for one expert
        noise=noise,
        drop=draw(st.sampled_from(["position", "priority"])) if factor else None,
        balance=draw(st.sampled_from(losses)),
        **own,
    )


@settings(max_examples=80, deadline=None)
@given(case=any_case(), dtype=st.sampled_from(["float32", "float64"]), seed=st.integers(0, 9))
def test_every_backend_agrees_with_the_reference_in_output_and_gradients(case: Case, dtype: str, seed: int) -> None:
    case = replace(case, dtype=dtype, pass_="forward_backward")
    layer = unlike(build(case, seed=seed))
    x = _input(case, seed)
    error, where = _worst(_pass(layer, x, {}), _pass(reference_of(layer), x.double(), _taps(layer, x)))
    assert error < (1e-3 if dtype == "float32" else 1e-10), where


@settings(max_examples=40, deadline=None)
@given(case=any_case(), seed=st.integers(0, 9))
def test_every_backend_agrees_with_the_transcription(case: Case, seed: int) -> None:
    case = replace(case, dtype="float64", pass_="forward_backward")
    layer, x = unlike(build(case, seed=seed)), _input(case, seed)
    with torch.no_grad():
        torch.testing.assert_close(layer(x), _transcribed(layer, x), rtol=1e-10, atol=1e-11)


def _transcribed(layer: Layer, x: Tensor) -> Tensor:
    case, by_sequence = layer.case, layer.case.group == "sequence"
    match layer:
        case Dense():
            return torch.stack([torch.stack([oracles.ffn(layer.ffn, v) for v in s]) for s in x.double()])
        case DenseMoe():
            return oracles.dense_moe(layer, x)
        case TokenChoice():
            return oracles.token_choice(layer, x, None if case.capacity_factor is None else capacity(case), by_sequence)
        case ExpertChoice():
            return oracles.expert_choice(layer, x, capacity(case), by_sequence)
        case Soft():
            return oracles.soft(layer, x)
    pytest.fail("a kind without a transcription")


SHAPE: dict[str, Any] = {"d_model": 16, "d_ff": 24, "tokens": 6, "dtype": "float64"}
TRANSCRIBED = [
    *(dense(activation=act, gated=gated, **SHAPE) for act, gated in ACTIVATIONS),
    *(dense_moe(activation=act, gated=gated, **SHAPE) for act, gated in ACTIVATIONS),
    *(soft(slots=slots, mixing=mixing, **SHAPE) for mixing in get_args(MixingName) for slots in (2, 3)),
    expert_choice(capacity_factor=2.0, **SHAPE),
]


@pytest.mark.parametrize("backend", ["best", "reference"])
@pytest.mark.parametrize("case", TRANSCRIBED, ids=lambda case: case.id)
def test_gradients_are_those_of_the_transcription(case: Case, backend: str) -> None:
    layer, x = build(replace(case, backend=backend)), _input(case).requires_grad_()
    upstream = torch.randn(x.shape, generator=torch.Generator().manual_seed(7), dtype=x.dtype)
    wanted = (x, *layer.parameters())
    got, expected = (torch.autograd.grad(y, wanted, upstream) for y in (layer(x), _transcribed(layer, x)))
    for mine, right in zip(got, expected, strict=True):
        torch.testing.assert_close(mine, right, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("case", families(), ids=lambda case: str(case.variant))
@pytest.mark.parametrize("backend", ["best", "reference"])
def test_half_precision_is_near_the_reference(case: Case, dtype: str, backend: str) -> None:
    case = replace(case, dtype=dtype, backend=backend)
    layer, x = build(case), _input(case)
    with torch.no_grad():
        got = layer(x)
    expected = _pass(reference_of(layer), x.double(), _taps(layer, x))["y"]
    assert got.dtype == torch_dtype(case)
    assert float((got.double() - expected).norm() / expected.norm()) < 4 * torch.finfo(got.dtype).eps


@pytest.mark.parametrize("case", families(gated=True, activation="silu") + families(), ids=lambda case: case.id)
def test_a_pass_without_gradients_gives_the_same_bits(case: Case) -> None:
    layer, x = build(case), _input(case)
    with torch.no_grad():
        before = x.clone()
        without = layer(x)
        assert torch.equal(x, before)
    assert torch.equal(layer(x.clone().requires_grad_()), without)


@pytest.mark.parametrize("case", families(), ids=lambda case: str(case.variant))
def test_all_backends_and_dtypes_get_the_same_weights(case: Case) -> None:
    layer = build(case, seed=3)
    for backend in BACKENDS[case.layer]:
        other = replace(case, backend=backend)
        if unsupported(other) is None:
            weights = build(other, seed=3).state_dict()
            assert all(torch.equal(weights[name], w) for name, w in layer.state_dict().items())
    half = build(replace(case, dtype="bfloat16"), seed=3).state_dict()
    assert all(torch.equal(half[name], w.bfloat16()) for name, w in layer.state_dict().items())
    assert not torch.equal(next(build(case, seed=4).parameters()), next(layer.parameters()))


def test_the_router_of_a_unit_input_gives_logits_of_unit_variance() -> None:
    case = token_choice(d_model=256, experts=16, tokens=128)
    logits = _taps(build(case), _input(case))["logits"]
    assert float(logits.std()) == pytest.approx(1.0, rel=0.1)


@pytest.mark.parametrize("case", FAST, ids=lambda case: str(case.variant))
@pytest.mark.parametrize("pass_", ["forward", "forward_backward"])
def test_fast_backends_never_need_a_value_on_the_host(case: Case, pass_: str) -> None:
    """Fake tensors have no values: whoever asks for one, or for a shape that depends on one, fails.

    In bfloat16, since that is all that torch's fake grouped_mm takes.
    """
    with FakeTensorMode():
        layer = build(replace(case, dtype="bfloat16", pass_=pass_))
        y = layer(torch.empty(case.batch, case.tokens, case.d_model, dtype=torch.bfloat16, requires_grad=True))
        if pass_ == "forward_backward":
            y.sum().backward()
    assert y.shape == (case.batch, case.tokens, case.d_model)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device whose waits could be seen")
@pytest.mark.parametrize("case", FAST, ids=lambda case: str(case.variant))
def test_fast_backends_never_wait_for_a_gpu(case: Case) -> None:
    """torch raises at every wait; grouped_mm is a kernel in bfloat16 on 9.x and 10.x alone."""
    bfloat16 = replace(case, dtype="bfloat16", pass_="forward_backward")
    if case.capacity_factor is None and not has_grouped_kernel(torch.bfloat16, torch.device("cuda")):
        pytest.skip("torch's grouped_mm is a loop that waits on this GPU")
    layer, x = build(bfloat16, device="cuda"), _input(bfloat16).cuda().requires_grad_()
    layer(x)  # libraries may wait while they load
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        layer(x)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_the_reference_is_the_layer_in_float64() -> None:
    layer = build(token_choice(dtype="bfloat16"))
    reference = reference_of(layer)
    assert (reference.backend, reference.case.dtype) == ("reference", "float64")
    for name, weight in layer.state_dict().items():
        assert torch.equal(reference.state_dict()[name], weight.double())


@pytest.mark.parametrize(
    ("case", "words"),
    [
        (token_choice(backend="onehot"), "needs a capacity"),
        (token_choice(d_ff=66, backend="grouped"), "d_ff to be a multiple of 4 in float32, and 66 is not"),
        (dense(backend="grouped"), "dense has no backend 'grouped'; it has reference, fused"),
    ],
)
def test_build_says_why_it_cannot(case: Case, words: str) -> None:
    with pytest.raises(Unsupported, match=words):
        build(case)


def test_a_layer_takes_other_batches_than_its_case() -> None:
    for case in families():
        layer = build(case)
        assert layer(torch.randn(5, case.tokens, case.d_model)).shape == (5, case.tokens, case.d_model)
