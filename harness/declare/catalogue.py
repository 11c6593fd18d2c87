"""Named sizes: what `size = "S"` stands for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Size:
    """The widths of one Transformer layer of a named model size."""

    d_model: int
    d_ff: int
    heads: int


SIZES: dict[str, Size] = {
    "Ti": Size(192, 768, 3),
    "S": Size(384, 1536, 6),
    "B": Size(768, 3072, 12),
    "L": Size(1024, 4096, 16),
    "H": Size(1280, 5120, 16),
}
"""Vision Transformer sizes by name, smallest first.

B, L, H: Dosovitskiy et al. 2021, table 1. Ti, S: Touvron et al. 2021 (DeiT), table 1, and Steiner et al. 2022,
table 2. Soft MoE uses the same S, B, L, H (Puigcerver et al. 2023, appendix E).
"""
