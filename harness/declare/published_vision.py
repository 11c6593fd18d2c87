"""The Vision Transformers of the Soft MoE paper by name: any size, patch and number of experts.

As in the paper's code (google-research/vmoe, projects/soft_moe/configs): images of 224 pixels, learned positions,
global average pooling without a class token, a scale on queries and keys, GELU with biases, 29,593 classes of JFT,
and experts in the last half of the blocks.
"""

from __future__ import annotations

import re
from dataclasses import replace

from harness.declare.architecture import (
    Architecture,
    Attention,
    Experts,
    FeedForward,
    Head,
    Patches,
    Stack,
    expert_blocks,
)
from harness.declare.catalogue import SIZES

SOFT_MOE = "Puigcerver et al. 2023, arXiv 2308.00951"
IMAGE = 224
"""Side of an image in pixels."""
JFT_CLASSES = 29_593
DEPTHS = {"Ti": 12, "S": 12, "B": 12, "L": 24, "H": 32}
"""Blocks by size; the widths are those of `catalogue.SIZES`."""

PATTERNS = {
    "vit-<size><patch>": "vit-l16",
    "soft-moe-<size><patch>-<experts>e": "soft-moe-l16-128e",
    "expert-choice-<size><patch>-<experts>e[-c<capacity>][-g<images>]": "expert-choice-s16-32e-g8",
    "token-choice-<size><patch>-<experts>e[-k<top k>][-c<capacity>][-g<images>]": "token-choice-s16-32e-k2-c2-g8",
}
"""What a name may be, each with an example; a group's images compete for capacity, dispatch is by one-hot masks."""

_SIZE = r"(?P<size>ti|s|b|l|h)(?P<patch>[1-9]\d{0,2})"
_EXPERTS = r"-(?P<experts>[1-9]\d{0,5})e"
_TOP_K = r"(?:-k(?P<top_k>[1-9]\d{0,5}))?"
_CAPACITY = r"(?:-c(?P<capacity>\d{1,3}(?:\.\d{1,6})?))?(?:-g(?P<group>[1-9]\d{0,4}))?"
_FAMILIES = {
    "vit": re.compile(f"vit-{_SIZE}"),
    "soft": re.compile(f"soft-moe-{_SIZE}{_EXPERTS}"),
    "expert_choice": re.compile(f"expert-choice-{_SIZE}{_EXPERTS}{_CAPACITY}"),
    "token_choice": re.compile(f"token-choice-{_SIZE}{_EXPERTS}{_TOP_K}{_CAPACITY}"),
}


_NOTES = {
    "vit": "",
    "soft": "no expert is idle, since every token has its part in every slot",
    "expert_choice": "active are as many experts as choose a token on average; FLOPs are those of one-hot dispatch",
    "token_choice": "FLOPs are those of one-hot dispatch to a fixed capacity, empty places included",
}


def vision_model(name: str) -> Architecture | None:
    """Return the Vision Transformer of that name, or None where it is none."""
    for family, pattern in _FAMILIES.items():
        if found := pattern.fullmatch(name):
            said = {key: value for key, value in found.groupdict().items() if value is not None}
            size, patch = next(size for size in SIZES if size.lower() == said["size"]), int(said["patch"])
            ffn = FeedForward(d_ff=SIZES[size].d_ff, gated=False, biases=True)
            possible = IMAGE % patch == 0 and int(said.get("top_k", 1)) <= int(said.get("experts", 1))
            model = _vit(name, size, patch, ffn, _experts(family, ffn, said))
            return replace(model, note=_NOTES[family]) if possible else None
    return None


def _experts(family: str, ffn: FeedForward, said: dict[str, str]) -> Experts | None:
    """Return the layer of experts that the parts of a name say: top-1 at capacity 1 among the tokens of one image."""
    if family == "vit":
        return None
    layer = Experts(experts=int(said["experts"]), ffn=ffn)
    if family == "soft":
        return replace(layer, router="soft", slots=1)
    capacity, group = float(said.get("capacity", 1)), int(said.get("group", 1))
    layer = replace(layer, capacity_factor=capacity, group=group, onehot=True)
    if family == "expert_choice":
        return replace(layer, router="expert_choice")
    return replace(layer, top_k=int(said.get("top_k", 1)))


def _vit(name: str, size: str, patch: int, ffn: FeedForward, experts: Experts | None) -> Architecture:
    widths, depth = SIZES[size], DEPTHS[size]
    head_dim = widths.d_model // widths.heads
    stack = Stack(
        depth=depth,
        attention=Attention(heads=widths.heads, head_dim=head_dim, biases="all", qk_norm="head"),
        ffn=ffn,
        experts=experts,
        expert_blocks=expert_blocks("last_half", depth) if experts else (),
    )
    return Architecture(
        name=name, d_model=widths.d_model, form="encoder", stacks=(stack,),
        embedding=Patches(image=IMAGE, patch=patch), head=Head(outputs=JFT_CLASSES, bias=True), norm="layer",
        source=SOFT_MOE,
    )  # fmt: skip
