"""Attention: against its equations in float64, and against transformers' ViT and Mixtral with the same weights."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from harness.case import Case
from harness.layers.attention import Attention, rotary_table, turn
from tests.cases import block, dense


def _built(case: Case) -> Attention:
    attention = Attention(case)
    attention.initialise(torch.Generator().manual_seed(0))
    return attention


def _input(case: Case) -> Tensor:
    shape = (case.batch, case.tokens, case.d_model)
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def _transcribed(attention: Attention, x: Tensor) -> Tensor:
    """The equations, one head and one query at a time."""
    h, (B, m, D) = attention.heads, x.shape
    weight = attention.qkv.weight.double()
    bias = torch.zeros(3 * D) if attention.causal else attention.qkv.bias
    y = torch.zeros_like(x)
    for b in range(B):
        q, k, v = (x[b] @ weight.T + bias.double()).view(m, 3, h, D // h).unbind(1)  # [m, h, d_h]
        for head in range(h):
            queries, keys = (_placed(attention, each[:, head], name) for each, name in ((q, "query"), (k, "key")))
            for t in range(m):
                seen = t + 1 if attention.causal else m
                weights = torch.softmax(keys[:seen] @ queries[t] / math.sqrt(D // h), 0)
                y[b, t, head * (D // h) : (head + 1) * (D // h)] = weights @ v[:seen, head]
    out: Tensor = y @ attention.out.weight.double().T
    return out if attention.causal else out + attention.out.bias.double()


def _placed(attention: Attention, rows: Tensor, name: str) -> Tensor:
    """Queries or keys [m, d_h] of one head: normalised, or turned as complex numbers by their position."""
    norm = getattr(attention, f"{name}_norm")
    if norm is not None:
        centred = rows - rows.mean(1, keepdim=True)
        scaled: Tensor = centred / (centred.square().mean(1, keepdim=True) + 1e-6).sqrt() * norm.weight.double()
        return scaled
    width = rows.shape[1]
    pairs = torch.complex(rows[:, : width // 2], rows[:, width // 2 :])
    frequency = 10_000.0 ** (-2 * torch.arange(width // 2, dtype=torch.float64) / width)
    angle = torch.arange(len(rows), dtype=torch.float64)[:, None] * frequency
    turned = pairs * torch.polar(torch.ones_like(angle), angle)
    return torch.cat((turned.real, turned.imag), 1)


@pytest.mark.parametrize("causal", [False, True], ids=["encoder", "decoder"])
@pytest.mark.parametrize("backend", ["reference", "best"])
def test_attention_is_its_equations(causal: bool, backend: str) -> None:
    case = block(dense(backend=backend, dtype="float64"), causal=causal, heads=4)
    attention, x = _built(case), _input(case)
    with torch.no_grad():
        got = attention(x)
    torch.testing.assert_close(got, _transcribed(attention, x), rtol=1e-7 if causal else 1e-12, atol=1e-7)


@pytest.mark.parametrize("causal", [False, True], ids=["encoder", "decoder"])
@pytest.mark.parametrize("heads", [1, 4, 8])
def test_the_fused_kernel_is_the_plain_product(causal: bool, heads: int) -> None:
    case = block(dense(), causal=causal, heads=heads)
    fused, plain = Attention(case), Attention(replace(case, dtype="float64", backend="reference"))
    fused.initialise(torch.Generator().manual_seed(0))
    plain.load_state_dict({name: weight.double() for name, weight in fused.state_dict().items()})
    assert fused.fused is (heads <= 4)
    x = _input(case).requires_grad_()
    narrow = x.detach().float().requires_grad_()
    got, expected = fused(narrow), plain(x)
    got.sum().backward()
    expected.sum().backward()
    torch.testing.assert_close(got.double(), expected, rtol=1e-5, atol=1e-5)
    for ours, right in ((narrow.grad, x.grad), (fused.qkv.weight.grad, plain.qkv.weight.grad)):
        assert ours is not None
        assert right is not None
        assert float((ours.double() - right).norm() / right.norm()) < 1e-5


def test_rotary_scores_depend_on_the_distance_alone() -> None:
    q, k = torch.randn(2, 1, 8, 1, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    same = torch.ones(8, 1, 1, dtype=torch.float64)
    table = rotary_table(8, 16, torch.float64, "cpu")
    q, k = turn(q[:, :1] * same, table)[0, :, 0], turn(k[:, :1] * same, table)[0, :, 0]  # one vector at 8 positions
    scores = q @ k.T
    for distance in range(-7, 8):
        diagonal = scores.diagonal(distance)
        assert torch.allclose(diagonal, diagonal[0].expand_as(diagonal), rtol=1e-5, atol=1e-5)


def test_a_shorter_sequence_takes_the_first_positions() -> None:
    case = block(dense(), causal=True)
    attention, x = _built(case), _input(case).float()
    with torch.no_grad():
        torch.testing.assert_close(attention(x[:, :5]), attention(x)[:, :5])


def _split(attention: Attention, names: tuple[str, str, str, str]) -> dict[str, Tensor]:
    """Our weights by another library's names of queries, keys, values and output."""
    parts = dict(zip(names[:3], attention.qkv.weight.chunk(3), strict=True)) | {names[3]: attention.out.weight}
    weights = {f"{name}.weight": weight for name, weight in parts.items()}
    if not attention.causal:
        biases = dict(zip(names[:3], attention.qkv.bias.chunk(3), strict=True)) | {names[3]: attention.out.bias}
        weights |= {f"{name}.bias": bias for name, bias in biases.items()}
    return {name: weight.detach() for name, weight in weights.items()}


def test_a_decoders_attention_is_transformers_mixtral() -> None:
    mixtral = pytest.importorskip(
        "transformers.models.mixtral.modeling_mixtral", reason="transformers is an optional extra, not installed here"
    )
    from transformers import MixtralConfig

    case = block(dense(backend="reference", dtype="float64"), causal=True, heads=4)
    ours, x = _built(case), _input(case)
    rope = {"rope_type": "default", "rope_theta": 10_000.0}
    config = MixtralConfig(
        hidden_size=32, num_attention_heads=4, num_key_value_heads=4, head_dim=8, rope_parameters=rope,
    )  # fmt: skip
    config._attn_implementation = "eager"
    theirs = mixtral.MixtralAttention(config, 0).double().eval()
    theirs.load_state_dict(_split(ours, ("q_proj", "k_proj", "v_proj", "o_proj")))
    places = torch.arange(16)[None]
    later = torch.full((16, 16), -torch.inf, dtype=torch.float64).triu(1)[None, None]
    with torch.no_grad():
        table = mixtral.MixtralRotaryEmbedding(config)(x, places)
        expected, _ = theirs(x, position_embeddings=table, attention_mask=later)
        torch.testing.assert_close(ours(x), expected, rtol=1e-4, atol=1e-6)  # its softmax is in float32


def test_an_encoders_attention_is_transformers_vit_before_its_norms() -> None:
    vit = pytest.importorskip(
        "transformers.models.vit.modeling_vit", reason="transformers is an optional extra, not installed here"
    )
    from transformers import ViTConfig

    case = block(dense(backend="reference", dtype="float64"), heads=4)
    ours, x = _built(case), _input(case)
    ours.query_norm = ours.key_norm = None  # ViT has none
    config = ViTConfig(hidden_size=32, num_attention_heads=4)
    config._attn_implementation = "eager"
    theirs = vit.ViTAttention(config).double().eval()
    theirs.load_state_dict(_split(ours, ("q_proj", "k_proj", "v_proj", "o_proj")))
    with torch.no_grad():
        found = theirs(x)
        expected = found[0] if isinstance(found, tuple) else found
        torch.testing.assert_close(ours(x), expected, rtol=1e-4, atol=1e-6)  # its softmax is in float32


def test_an_encoders_norms_are_those_of_a_head() -> None:
    """ViT-22B: one scale of d_h numbers for all heads, and no bias."""
    attention = _built(block(dense(), heads=4))
    for norm in (attention.query_norm, attention.key_norm):
        assert isinstance(norm, nn.LayerNorm)
        assert norm.normalized_shape == (8,)
        assert norm.bias is None
