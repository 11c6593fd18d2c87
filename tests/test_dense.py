"""The dense FFN against the MLPs of transformers, with the same weights."""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from harness.layers import build
from harness.layers.dense import Dense
from tests.cases import dense

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # theirs, at import
    transformers: Any = pytest.importorskip("transformers", reason="transformers is not installed")
    clip, mistral, t5 = (
        cast("Any", import_module(f"transformers.models.{name}.modeling_{name}")) for name in ("clip", "mistral", "t5")
    )

D, F = 32, 64


def _take(linear: nn.Linear, weight: Tensor, bias: Tensor | None = None) -> None:
    """Give `linear` our weights: it keeps [out, in], we [in, out]."""
    linear.weight.data.copy_(weight.t())
    if bias is not None:
        linear.bias.data.copy_(bias)


def _clip(layer: Dense) -> Any:
    assert layer.ffn.b1 is not None
    mlp = clip.CLIPMLP(
        transformers.CLIPVisionConfig(hidden_size=D, intermediate_size=F, hidden_act="gelu", num_attention_heads=4)
    )
    _take(mlp.fc1, layer.ffn.w1, layer.ffn.b1)
    _take(mlp.fc2, layer.ffn.w2, layer.ffn.b2)
    return mlp


def _mistral(layer: Dense) -> Any:
    mlp = mistral.MistralMLP(transformers.MistralConfig(hidden_size=D, intermediate_size=F, hidden_act="silu"))
    _take(mlp.gate_proj, layer.ffn.w1[:, :F])
    _take(mlp.up_proj, layer.ffn.w1[:, F:])
    _take(mlp.down_proj, layer.ffn.w2)
    return mlp


def _t5(layer: Dense) -> Any:
    config = transformers.T5Config(d_model=D, d_ff=F, feed_forward_proj="gated-gelu", dropout_rate=0.0)
    config.dense_act_fn = "gelu"  # T5's own is the approximation by tanh
    mlp = t5.T5DenseGatedActDense(config)
    _take(mlp.wi_0, layer.ffn.w1[:, :F])
    _take(mlp.wi_1, layer.ffn.w1[:, F:])
    _take(mlp.wo, layer.ffn.w2)
    return mlp


@pytest.mark.parametrize("backend", ["reference", "fused"])
@pytest.mark.parametrize(
    ("theirs", "axes"),
    [
        (_clip, {"activation": "gelu"}),
        (_mistral, {"activation": "silu", "gated": True}),
        (_t5, {"activation": "gelu", "gated": True}),
    ],
    ids=["GELU: CLIP", "SwiGLU: Mistral", "GEGLU: T5"],
)
def test_the_ffn_is_transformers(theirs: Any, axes: dict[str, Any], backend: str) -> None:
    layer = build(dense(dtype="float64", backend=backend, d_model=D, d_ff=F, **axes))
    assert isinstance(layer, Dense)
    other = theirs(layer).double()
    x = torch.randn(2, 5, D, dtype=torch.float64)
    results = []
    for module in (layer, other):
        own = x.clone().requires_grad_()
        y = module(own)
        results.append((y, torch.autograd.grad(y.square().sum(), own)[0]))
    for mine, right in zip(*results, strict=True):
        torch.testing.assert_close(mine, right, rtol=1e-12, atol=1e-12)
