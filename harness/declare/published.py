"""The catalogue of published models: each by name, with where its numbers come from."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from harness.declare.architecture import Architecture
from harness.declare.catalogue import SIZES
from harness.declare.counts import CannotCount
from harness.declare.faults import listed, nearest
from harness.declare.published_language import DECODERS, SWITCH_BASE, SWITCH_XXL, language_model
from harness.declare.published_vision import PATTERNS, vision_model

VISION = (
    "vit-s16", "vit-b16", "vit-l16", "vit-h14", "soft-moe-s16-128e", "soft-moe-s14-256e", "soft-moe-b16-128e",
    "soft-moe-l16-128e", "soft-moe-h14-128e", "soft-moe-h14-256e",
)  # fmt: skip
"""The models of the Soft MoE paper's tables 1 and 8, and L/16; any other of `PATTERNS` has a name too."""

NAMES = (*VISION, *DECODERS, "t5-base", *SWITCH_BASE, *SWITCH_XXL)
"""Every model that a table of its paper has, in the order in which they are listed."""


def published(name: str) -> Architecture:
    """Return the published model of that name, in capitals or not; raise CannotCount."""
    small = name.lower()
    if model := vision_model(small) or language_model(small):
        return model
    lines = [f"there is no published model {name!r}", f"    expected: {listed(NAMES)}; or a path to a config.json"]
    lines += [f"    any of: {pattern}, such as {example}" for pattern, example in PATTERNS.items()]
    if near := nearest(name, (*NAMES, *_spelt())):
        lines.append(f"    did you mean: {near}")
    raise CannotCount("\n".join(lines))


def _spelt() -> Iterator[str]:
    """Yield usual names of the patterns, for a misspelt one to be near to."""
    for size, patch in product(SIZES, (8, 14, 16, 32)):
        yield f"vit-{size.lower()}{patch}"
        for experts in (8, 16, 32, 64, 128, 256):
            yield f"soft-moe-{size.lower()}{patch}-{experts}e"
