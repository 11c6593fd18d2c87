"""What a model is made of: frozen values without torch. `counts.py` says what they cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

RouterKind = Literal["dense_moe", "token_choice", "expert_choice", "soft"]
Form = Literal["encoder", "decoder", "encoder_decoder"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """Multi-head attention, grouped-query where it has fewer key heads (Ainslie et al. 2023)."""

    heads: int
    head_dim: int
    kv_heads: int | None = None
    """Heads of keys and values; None: as many as of queries."""
    biases: Literal["none", "qkv", "all"] = "none"
    """Which projections add a bias; `all` has the output's too."""
    qk_norm: Literal["none", "head", "width"] = "none"
    """A scale for queries and one for keys: `head`, shared by the heads (ViT-22B, Qwen3); `width`, of all (OLMoE)."""
    sinks: bool = False
    """One learned logit a head that takes part in its softmax (gpt-oss)."""
    relative_buckets: int = 0
    """Relative position biases of a head, held once a stack (T5)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentAttention:
    """Multi-head latent attention: queries, keys and values from low ranks (DeepSeek-V2, arXiv 2405.04434)."""

    heads: int
    query_rank: int | None
    """None: queries come straight from the input."""
    kv_rank: int
    rope_dim: int
    """Of each query, and of the one key that all heads share, the numbers that carry the position."""
    plain_dim: int
    """Of each query and key, the numbers without position."""
    value_dim: int
    relative_buckets: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedForward:
    """A dense FFN, or one expert: two matrices, or three where it is gated."""

    d_ff: int
    gated: bool
    biases: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Experts:
    """The layer in an FFN's place: a router and experts."""

    experts: int
    ffn: FeedForward
    """Each of the experts."""
    router: RouterKind = "token_choice"
    top_k: int | None = None
    """Experts of a token; token choice has it alone."""
    slots: int | None = None
    """Soft MoE: slots of an expert."""
    capacity_factor: float | None = None
    """None: dropless."""
    group: int = 1
    """Sequences whose tokens compete for capacity together."""
    onehot: bool = False
    """Tokens reach their experts by products with one-hot masks (GShard), and not by index."""
    shared: FeedForward | None = None
    """The experts that every token passes, as one FFN of their summed width (DeepSeekMoE)."""
    shared_gate: bool = False
    """A sigmoid of one logit scales the shared experts (Qwen2-MoE)."""
    router_bias: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """Pre-norm blocks of equal width one after the other: attention, then an FFN or experts, then a norm."""

    depth: int
    attention: Attention | LatentAttention
    ffn: FeedForward | None
    """Of the blocks without experts; None where all have some."""
    experts: Experts | None = None
    expert_blocks: tuple[int, ...] = ()
    """Which blocks have experts, counted from 0."""
    cross_attention: bool = False
    """A decoder's second attention, over the encoder's output."""
    final_norm: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """A text's way in: a row of a table for each token, and learned positions where it has some."""

    vocabulary: int
    positions: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Patches:
    """An image's way in: a convolution with bias over square patches, and a learned position for each."""

    image: int
    """Side in pixels."""
    patch: int
    """Side in pixels."""
    channels: int = 3

    @property
    def tokens(self) -> int:
        """Patches of one image; global average pooling needs no class token."""
        return (self.image // self.patch) ** 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The way out: one linear layer, on every token of a text and once an image."""

    outputs: int
    bias: bool = False
    tied: bool = False
    """It is the input embedding's table, transposed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """One model."""

    name: str
    d_model: int
    form: Form
    stacks: tuple[Stack, ...]
    """One; or the encoder and the decoder."""
    embedding: Tokens | Patches | None
    """None: blocks alone."""
    head: Head | None
    norm: Literal["layer", "rms"]
    """`layer` has a scale and a bias, `rms` a scale."""
    source: str = ""
    """Where the numbers come from."""
    note: str = ""
    """What a reader must know before comparing."""


def expert_blocks(where: str, depth: int) -> tuple[int, ...]:
    """Return the blocks of a stack that have experts, counted from 0.

    `all`; `last_half` (V-MoE, Soft MoE); `last:N`; `every:N`, the last of each N (GShard, Switch: every:2);
    `from:N`, all but the first N (DeepSeekMoE). Raises ValueError on another text.
    """
    name, _, number = where.partition(":")
    n = int(number) if number.isdecimal() else 0
    plain = {"all": range(depth), "last_half": range(depth - depth // 2, depth)}
    numbered = (
        {"last": range(max(depth - n, 0), depth), "every": range(n - 1, depth, n), "from": range(n, depth)} if n else {}
    )
    try:
        return tuple((numbered if number else plain)[name])
    except KeyError:
        raise ValueError(f"expert blocks {where!r}: expected all, last_half, last:N, every:N or from:N") from None
