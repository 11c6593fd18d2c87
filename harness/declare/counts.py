"""What an architecture costs: what `harness count` prints, with each convention of what counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from harness.case import DTYPES
from harness.declare.architecture import Architecture, Patches
from harness.declare.counts_flops import forward_flops, own_tokens
from harness.declare.counts_parameters import PARTS, active_parameters, parameters

__all__ = [
    "CannotCount", "Count", "active_parameters", "by_part", "count", "count_document", "forward_flops", "parameters",
    "training_macs", "unit_flops",
]  # fmt: skip


class CannotCount(Exception):
    """A model that is not known, or cannot be read, or has not what is asked; the message says what was expected."""


@dataclass(frozen=True, slots=True)
class Count:
    """What `harness count` prints of a model."""

    model: str
    params: int
    params_active: int
    """Those that one token uses, both embeddings included."""
    params_active_no_input_embedding: int
    """A tied table stays, since it is the output's too."""
    params_active_non_embedding: int
    params_non_embedding: int
    """All but the embeddings of input, positions and output."""
    flops: int | None
    """Forward FLOPs of one image, or of one token; an encoder-decoder's is one token in and one token out.

    None where a model takes inputs of several kinds.
    """
    per: Literal["image", "token"]
    tokens: int | None
    """Context that attention scores are counted over; None: they are left out. Of an image, its patches if known."""

    @property
    def bytes(self) -> dict[str, int]:
        """Return the bytes of all parameters by dtype."""
        return {dtype: self.params * itemsize for dtype, (_, itemsize) in DTYPES.items()}


def count(model: Architecture, tokens: int | None = None) -> Count:
    """Return the counts of `model`; `tokens` is the context of a language model's attention. Raises CannotCount."""
    every, used = parameters(model), active_parameters(model)
    tied = model.head is not None and model.head.tied
    ends_in, ends_out = every["input embedding"] + every["positions"], every["head"]
    total, active = sum(every.values()), sum(used.values())
    image = isinstance(model.embedding, Patches)
    if image and tokens is not None:
        message = f"--tokens {tokens}: {model.name} reads images, each of {own_tokens(model)} patches; leave it out"
        raise CannotCount(message)
    return Count(
        model=model.name,
        params=total,
        params_active=active,
        params_active_no_input_embedding=active - (every["positions"] if tied else ends_in),
        params_active_non_embedding=active - ends_in - ends_out,
        params_non_embedding=total - ends_in - ends_out,
        flops=sum(unit_flops(model, tokens).values()),
        per="image" if image else "token",
        tokens=own_tokens(model) if image else tokens,
    )


def by_part(model: Architecture, tokens: int | None = None) -> dict[str, tuple[int, int, int]]:
    """Return for each part its parameters, those that one token uses, and its FLOPs of one image or token."""
    every, used, spent = parameters(model), active_parameters(model), unit_flops(model, tokens)
    return {part: (every[part], used[part], spent[part]) for part in PARTS}


def count_document(counted: Count) -> dict[str, Any]:
    """Return what `harness count --json` prints of a model."""
    return {
        "model": counted.model,
        "params": counted.params,
        "params_active": counted.params_active,
        "params_active_no_input_embedding": counted.params_active_no_input_embedding,
        "params_active_non_embedding": counted.params_active_non_embedding,
        "params_non_embedding": counted.params_non_embedding,
        f"flops_per_{counted.per}": counted.flops,
        "tokens": counted.tokens,
        "bytes": counted.bytes,
    }


def unit_flops(model: Architecture, tokens: int | None = None) -> dict[str, int]:
    """Return the forward FLOPs by part of one image, or of one token in a context of `tokens`.

    Without a context, attention scores count nothing: what is left is 2 for each active weight of a matrix.
    """
    if isinstance(model.embedding, Patches):
        return forward_flops(model)
    spent = {part: round(flops / (tokens or 1)) for part, flops in forward_flops(model, tokens or 1).items()}
    return spent if tokens else spent | {"attention scores": 0}


def training_macs(model: Architecture, tokens: int | None = None) -> int:
    """Return the multiply-adds of one sequence forward and backward, each of which some papers count as one FLOP.

    A product costs twice its forward again in the backward pass; one-hot dispatch costs it once, since its mask has
    no gradient. The training exaFLOP of Puigcerver et al. 2023 are these, their GFLOP an image are `forward_flops`.
    """
    spent = forward_flops(model, tokens)
    onehot = any(stack.experts is not None and stack.experts.onehot for stack in model.stacks)
    return (3 * sum(spent.values()) - (spent["dispatch"] if onehot else 0)) // 2
