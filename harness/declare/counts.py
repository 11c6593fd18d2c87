"""What an architecture costs: what `harness count` prints, with each convention of what counts."""

from __future__ import annotations

from dataclasses import dataclass

from harness.case import DTYPES
from harness.declare.architecture import Architecture, Patches
from harness.declare.counts_flops import forward_flops, own_tokens
from harness.declare.counts_parameters import active_parameters, parameters

__all__ = [
    "Count", "active_parameters", "count", "flops_per_token", "forward_flops", "parameters", "training_macs",
]  # fmt: skip


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
    flops: int
    """Forward FLOPs of one image, or of one token; an encoder-decoder's is one token in and one token out."""
    per: str
    """image or token."""
    tokens: int | None
    """Context that the attention scores are counted over; None: they are left out. Of an image: its patches."""

    @property
    def bytes(self) -> dict[str, int]:
        """Return the bytes of all parameters by dtype."""
        return {dtype: self.params * itemsize for dtype, (_, itemsize) in DTYPES.items()}


def count(model: Architecture, tokens: int | None = None) -> Count:
    """Return the counts of `model`; `tokens` is the context of a language model's attention."""
    every, used = parameters(model), active_parameters(model)
    tied = model.head is not None and model.head.tied
    ends_in, ends_out = every["input embedding"] + every["positions"], every["head"]
    total, active = sum(every.values()), sum(used.values())
    image = isinstance(model.embedding, Patches)
    return Count(
        model=model.name,
        params=total,
        params_active=active,
        params_active_no_input_embedding=active - (every["positions"] if tied else ends_in),
        params_active_non_embedding=active - ends_in - ends_out,
        params_non_embedding=total - ends_in - ends_out,
        flops=sum(forward_flops(model).values()) if image else flops_per_token(model, tokens),
        per="image" if image else "token",
        tokens=own_tokens(model) if image else tokens,
    )


def flops_per_token(model: Architecture, tokens: int | None = None) -> int:
    """Return the forward FLOPs of one token in a context of `tokens`; without attention scores where that is None."""
    spent = forward_flops(model, tokens or 1)
    if tokens is None:
        del spent["attention scores"]
    return round(sum(spent.values()) / (tokens or 1))


def training_macs(model: Architecture, tokens: int | None = None) -> int:
    """Return the multiply-adds of one sequence forward and backward, each of which some papers count as one FLOP.

    A product costs twice its forward again in the backward pass; one-hot dispatch costs it once, since its mask has
    no gradient. The training exaFLOP of Puigcerver et al. 2023 are these, their GFLOP an image are `forward_flops`.
    """
    spent = forward_flops(model, tokens)
    onehot = any(stack.experts is not None and stack.experts.onehot for stack in model.stacks)
    return (3 * sum(spent.values()) - (spent["dispatch"] if onehot else 0)) // 2
