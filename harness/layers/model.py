"""A whole model: blocks, and with a vocabulary the embedding before them and the head after them.

An encoder is a Vision Transformer (Dosovitskiy et al. 2021, arXiv 2010.11929) as the Soft MoE paper has it (Puigcerver
et al. 2023, section 3; its code's `classifier = "gap"`): patches through one linear map, learned positions, blocks, a
final LayerNorm, the mean over all patches, a linear head. A decoder is Mixtral's (Jiang et al. 2024): embedding,
causal blocks, a final RMSNorm, and a head that does not share the embedding's weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.case import Case
from harness.declare.scopes import patch_width, reads
from harness.layers.block import Block
from harness.layers.compound import Compound
from harness.layers.experts import normal_
from harness.layers.interface import Layer, torch_dtype
from harness.layers.linear import Linear, initialise_norm, norm

POSITION_STD = 0.02
"""Of learned positions (Devlin et al. 2019, and so vmoe)."""


class Model(Compound):
    """The model of `case` around its blocks: one part a block; its backend is that of the blocks with experts."""

    def __init__(self, case: Case, blocks: Sequence[Block], device: str = "cpu") -> None:
        super().__init__(case, next((b.backend for b in blocks if b.ffn.case.layer == case.layer), blocks[0].backend))
        self.blocks = nn.ModuleList(blocks)
        self.ends = Ends(case, device) if case.vocabulary else None

    @property
    def _each(self) -> Iterable[Block]:
        return cast("Iterable[Block]", self.blocks)

    @property
    def parts(self) -> list[Layer]:
        """The FFN or MoE layer of each block."""
        return [part for block in self._each for part in block.parts]

    def initialise(self, generator: torch.Generator) -> None:
        """Draw all weights anew."""
        for block in self._each:
            block.initialise(generator)
        if self.ends is not None:
            self.ends.initialise(generator)

    def forward(self, x: Tensor) -> Tensor:
        """Return the output for `x`, of the shapes that `harness/declare/scopes.py` says."""
        if self.ends is not None:
            x = self.ends.enter(x)
        for block in self._each:
            x = block(x)
        return x if self.ends is None else self.ends.leave(x)


class Ends(nn.Module):
    """What stands before and after the blocks of an encoder or decoder."""

    def __init__(self, case: Case, device: str) -> None:
        super().__init__()
        assert case.vocabulary
        D, V, dtype = case.d_model, case.vocabulary, torch_dtype(case)
        patches = reads(case) == "patches"
        self.patch = Linear(patch_width(case), D, bias=True, like=case, device=device) if patches else None
        rows = case.tokens if patches else V
        self.table = nn.Parameter(torch.empty(rows, D, dtype=dtype, device=device))  # learned positions, or embedding
        self.norm = norm(D, case, device)
        self.head = Linear(D, V, bias=patches, like=case, device=device)

    def initialise(self, generator: torch.Generator) -> None:
        """Draw all weights anew; a token's embedding has unit variance."""
        if self.patch is not None:
            self.patch.initialise(generator)
        normal_(self.table, 1.0 if self.patch is None else POSITION_STD, generator)
        initialise_norm(self.norm, generator)
        self.head.initialise(generator)

    def enter(self, x: Tensor) -> Tensor:
        """Return hidden states [B, m, D] for patches [B, m, 3 P^2] or ids [B, m]."""
        return F.embedding(x, self.table) if self.patch is None else self.patch(x) + self.table[: x.shape[1]]

    def leave(self, x: Tensor) -> Tensor:
        """Return logits [B, V] of images, or [B, m, V] of tokens, for hidden states [B, m, D]."""
        x = self.norm(x)
        y: Tensor = self.head(x if self.patch is None else x.mean(1))
        return y
