"""Roofs: what a device can do at best, as a prediction needs it, be it measured here or read in a datasheet."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Curve = Sequence[Sequence[float]]
"""Pairs of a size and the rate at it, the sizes rising."""
Banks = Sequence[Sequence[Any]]
"""Of products with banks of experts: the bytes of the bank, and the rate by the rows that each expert gets."""


@dataclass(frozen=True, slots=True)
class Roofs:
    """The ceilings of one device; what is not known of it takes no time."""

    flops_per_s: Mapping[str, float]
    """Best rate of products, by dtype."""
    bytes_per_s: float
    """Best rate of memory, read and written bytes together."""
    launch_s: float = 0.0
    """Seconds of the host for one operation, however small."""
    overlaps: bool = False
    """Whether the host launches while the device works, as on CUDA; else each waits for the other."""
    products: Mapping[str, Banks] = field(default_factory=dict)
    """By dtype: the rate of products of few rows, by what a cache can hold of their weights."""
    copies: Curve = ()
    """The rate of copies whose two ends together have so many bytes: small ones stay in a cache."""

    @classmethod
    def read(cls, ceilings: Mapping[str, Any], kind: str) -> Roofs:
        """Return what was measured of a device of that kind (cpu, cuda), as run.json holds its ceilings."""
        return cls(
            flops_per_s=ceilings["flops_per_s"],
            bytes_per_s=ceilings["bytes_per_s"],
            launch_s=ceilings.get("launch_s") or 0.0,
            overlaps=kind == "cuda",
            products=ceilings.get("products") or {},
            copies=ceilings.get("copies") or (),
        )

    def plain_seconds(self, flops: float, num_bytes: float, dtype: str) -> float:
        """Return the roofline time of a whole pass at the best rates, however small its parts; KeyError as below."""
        return max(flops / self.flops_per_s[dtype], num_bytes / self.bytes_per_s)

    def flops_rate(self, dtype: str, rows: float, weights: float) -> float:
        """Return the FLOP/s of products of so many rows with each of several matrices, of so many bytes in all.

        Raises:
            KeyError: The dtype's ceiling is not known.
        """
        peak, banks = self.flops_per_s[dtype], self.products.get(dtype)
        return min(peak, at([(size, at(curve, rows)) for size, curve in banks], weights)) if banks else peak

    def bytes_rate(self, footprint: float) -> float:
        """Return the bytes a second of what has so many bytes in all, again and again."""
        return max(self.bytes_per_s, at(self.copies, footprint)) if self.copies else self.bytes_per_s


def at(curve: Curve, size: float) -> float:
    """Return the rate at `size`: between two sizes on the line that joins them, both logarithmic; beyond, the end's."""
    sizes = [pair[0] for pair in curve]
    place = bisect_left(sizes, size)
    if place in (0, len(sizes)):
        return curve[min(place, len(sizes) - 1)][1]
    (left, low), (right, high) = curve[place - 1], curve[place]
    along = math.log(size / left) / math.log(right / left)
    return low * math.exp(along * math.log(high / low))
