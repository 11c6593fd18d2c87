"""Published language models by name: decoders, and the T5 family with its Switch Transformers."""

from __future__ import annotations

import re
from functools import partial

from harness.declare.architecture import (
    Architecture,
    Attention,
    Experts,
    FeedForward,
    Head,
    LatentAttention,
    Stack,
    Tokens,
    expert_blocks,
)

MIXTRAL = "Jiang et al. 2024, arXiv 2401.04088"
QWEN3 = "Qwen3 technical report, arXiv 2505.09388, table 2"
GPT_OSS = "gpt-oss model card, arXiv 2508.10925, table 1"
SWITCH = "Fedus et al. 2022, arXiv 2101.03961"


def _gated(d_ff: int) -> FeedForward:
    """Return SwiGLU or GEGLU: three matrices, no biases."""
    return FeedForward(d_ff=d_ff, gated=True, biases=False)


def _decoder(
    name: str,
    d_model: int,
    depth: int,
    attention: Attention | LatentAttention,
    vocabulary: int,
    *,
    source: str,
    ffn: FeedForward | None = None,
    experts: Experts | None = None,
    where: str = "all",
    tied: bool = False,
    note: str = "",
) -> Architecture:
    """Return a decoder with RMSNorm; `where` says which blocks have experts."""
    blocks = expert_blocks(where, depth) if experts else ()
    stack = Stack(depth=depth, attention=attention, ffn=ffn, experts=experts, expert_blocks=blocks)
    return Architecture(
        name=name, d_model=d_model, form="decoder", stacks=(stack,), embedding=Tokens(vocabulary=vocabulary),
        head=Head(outputs=vocabulary, tied=tied), norm="rms", source=source, note=note,
    )  # fmt: skip


def _qwen3(name: str, d_model: int, depth: int, heads: int, d_ff: int) -> Architecture:
    attention = Attention(heads=heads, kv_heads=4, head_dim=128, qk_norm="head")
    experts = Experts(experts=128, top_k=8, ffn=_gated(d_ff))
    return _decoder(name, d_model, depth, attention, 151_936, experts=experts, source=QWEN3)


def _gpt_oss(name: str, depth: int, experts: int) -> Architecture:
    attention = Attention(heads=64, kv_heads=8, head_dim=64, biases="all", sinks=True)
    ffn = FeedForward(d_ff=2880, gated=True, biases=True)
    layer = Experts(experts=experts, top_k=4, ffn=ffn, router_bias=True)
    note = "its active count leaves the input embedding out"
    return _decoder(name, 2880, depth, attention, 201_088, experts=layer, source=GPT_OSS, note=note)


_GQA = Attention(heads=32, kv_heads=8, head_dim=128)

_DECODERS = (
    _decoder("mistral-7b", 4096, 32, _GQA, 32_000, ffn=_gated(14_336), source="Jiang et al. 2023, arXiv 2310.06825"),
    _decoder(
        "mixtral-8x7b", 4096, 32, _GQA, 32_000,
        experts=Experts(experts=8, top_k=2, ffn=_gated(14_336)), source=MIXTRAL,
    ),
    _decoder(
        "mixtral-8x22b", 6144, 56, Attention(heads=48, kv_heads=8, head_dim=128), 32_000,
        experts=Experts(experts=8, top_k=2, ffn=_gated(16_384)),
        source="mistral-community/Mixtral-8x22B-v0.1, discussion 6",
    ),
    _qwen3("qwen3-30b-a3b", 2048, 48, 32, 768),
    _qwen3("qwen3-235b-a22b", 4096, 94, 64, 1536),
    _decoder(
        "qwen1.5-moe-a2.7b", 2048, 24, Attention(heads=16, head_dim=128, biases="qkv"), 151_936,
        experts=Experts(experts=60, top_k=4, ffn=_gated(1408), shared=_gated(5632), shared_gate=True),
        source="the defaults of transformers' Qwen2MoeConfig",
    ),
    _decoder(
        "olmoe-1b-7b", 2048, 16, Attention(heads=16, head_dim=128, qk_norm="width"), 50_304,
        experts=Experts(experts=64, top_k=8, ffn=_gated(1024)), source="Muennighoff et al. 2024, arXiv 2409.02060",
    ),
    _decoder(
        "deepseek-moe-16b", 2048, 28, Attention(heads=16, head_dim=128), 102_400, ffn=_gated(10_944),
        experts=Experts(experts=64, top_k=6, ffn=_gated(1408), shared=_gated(2 * 1408)), where="from:1",
        source="Dai et al. 2024, arXiv 2401.06066",
    ),
    _decoder(
        "deepseek-v3", 7168, 61,
        LatentAttention(heads=128, query_rank=1536, kv_rank=512, rope_dim=64, plain_dim=128, value_dim=128), 129_280,
        ffn=_gated(18_432), experts=Experts(experts=256, top_k=8, ffn=_gated(2048), shared=_gated(2048)),
        where="from:3", source="DeepSeek-V3 technical report, arXiv 2412.19437",
        note="without the multi-token prediction module; the selection bias of its router is a buffer, no parameter",
    ),
    _gpt_oss("gpt-oss-20b", 24, 32),
    _gpt_oss("gpt-oss-120b", 36, 128),
    _decoder(
        "glam-64b-64e", 8192, 64, Attention(heads=128, head_dim=128), 256_000, ffn=_gated(32_768),
        experts=Experts(experts=64, top_k=2, ffn=FeedForward(d_ff=32_768, gated=False, biases=False)),
        where="every:2", tied=True, source="Du et al. 2022, arXiv 2112.06905, table 4",
        note="dense FFNs gated, experts not; its relative position biases are not published and left out",
    ),
)  # fmt: skip

DECODERS: dict[str, Architecture] = {model.name: model for model in _DECODERS}


def _t5(name: str, d_model: int, depth: int, heads: int, d_ff: int, experts: int, note: str = "") -> Architecture:
    """Return T5 with GEGLU and tied embeddings; with `experts`, every second FFN of both stacks is a Switch layer."""
    ffn = _gated(d_ff)
    attention = Attention(heads=heads, head_dim=64, relative_buckets=32)
    stack = partial(
        Stack, depth=depth, attention=attention, ffn=ffn,
        experts=Experts(experts=experts, top_k=1, ffn=ffn) if experts else None,
        expert_blocks=expert_blocks("every:2", depth) if experts else (),
    )  # fmt: skip
    return Architecture(
        name=name, d_model=d_model, form="encoder_decoder", stacks=(stack(), stack(cross_attention=True)),
        embedding=Tokens(vocabulary=32_128), head=Head(outputs=32_128, tied=True), norm="rms", source=SWITCH, note=note,
    )  # fmt: skip


XXL_NOTE = (
    "the published 395 B are those of 128 experts; table 9 of the paper prints 64, with which the model has 201 B"
)

SWITCH_BASE = tuple(f"switch-base-{experts}e" for experts in (16, 32, 64, 128, 256))
SWITCH_XXL = ("switch-xxl-64e", "switch-xxl-128e")


def language_model(name: str) -> Architecture | None:
    """Return the language model of that name, or None; a Switch Transformer may have any number of experts."""
    if name == "t5-base":
        return _t5(name, 768, 12, 12, 2048, 0)
    if found := re.fullmatch(r"switch-(base|xxl)-([1-9]\d{0,5})e", name):
        experts = int(found[2])
        base = found[1] == "base"
        return _t5(name, 768, 12, 12, 2048, experts) if base else _t5(name, 4096, 24, 64, 10_240, experts, XXL_NOTE)
    return DECODERS.get(name)
