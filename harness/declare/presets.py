"""Presets: the routing that a published model has, under its name, for `preset = "switch"` in a suite.

A preset sets the axes that make the recipe, as the paper trains it, and leaves width, batch and dtype to the suite;
what the variant says itself wins. Where a paper gives the width of an expert as a share of the model's, so does the
preset. `moe_layers` counts in scope model alone, `balance` and `noise` in training alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from harness.declare.point import Point

PresetName = Literal["switch", "gshard", "glam", "st-moe", "v-moe", "mixtral", "deepseek-moe", "olmoe-like"]


@dataclass(frozen=True, slots=True)
class Preset:
    """One published recipe of token choice."""

    source: str
    """The paper, and where in it the recipe stands."""
    axes: Point


PRESETS: dict[PresetName, Preset] = {
    "switch": Preset(
        "Fedus et al. 2021 (arXiv 2101.03961), sections 2.1 to 2.4 and table 9: Switch-Base, 128 experts, GEGLU",
        Point(
            experts=128, top_k=1, capacity_factor=1.25, gate="softmax", balance="switch", activation="geglu",
            moe_layers="every:2",
        ),
    ),
    "gshard": Preset(
        "Lepikhin et al. 2020 (arXiv 2006.16668), section 2 and algorithm 1: M4 with 128 experts",
        Point(
            experts=128, top_k=2, capacity_factor=2.0, gate="renormalised", balance="switch", activation="relu",
            moe_layers="every:2",
        ),
    ),
    "glam": Preset(
        "Du et al. 2021 (arXiv 2112.06905), section 4 and table 4: 64B/64E; only its dense layers are gated",
        Point(
            experts=64, top_k=2, capacity_factor=2.0, gate="renormalised", balance="switch", activation="gelu",
            moe_layers="every:2",
        ),
    ),
    "st-moe": Preset(
        "Zoph et al. 2022 (arXiv 2202.08906), sections 3 and 5: ST-MoE-32B, 64 experts, router z-loss, GEGLU",
        Point(
            experts=64, top_k=2, capacity_factor=1.25, gate="renormalised", balance="z", activation="geglu",
            moe_layers="every:4",
        ),
    ),
    "v-moe": Preset(
        "Riquelme et al. 2021 (arXiv 2106.05974), sections 2 and 4: 32 experts, batch prioritised routing at C = 1.05",
        Point(
            experts=32, top_k=2, capacity_factor=1.05, gate="softmax", noise="vmoe", drop="priority",
            balance="importance", activation="gelu", moe_layers="every:2",
        ),
    ),
    "mixtral": Preset(
        "Jiang et al. 2024 (arXiv 2401.04088), section 2 and table 1: 8x7B, F = 3.5 D",
        Point(
            experts=8, top_k=2, capacity_factor="dropless", gate="renormalised", activation="swiglu",
            d_ff="7 * d_model // 2", moe_layers="all",
        ),
    ),
    "deepseek-moe": Preset(
        "Dai et al. 2024 (arXiv 2401.06066), section 5.1: 16B, 64 fine-grained experts of 11/16 D and 2 shared ones",
        Point(
            experts=64, top_k=6, shared_experts=2, capacity_factor="dropless", gate="softmax", balance="switch",
            activation="swiglu", d_ff="11 * d_model // 16", moe_layers="all",
        ),
    ),
    "olmoe-like": Preset(
        "Muennighoff et al. 2024 (arXiv 2409.02060), table 1: OLMoE-1B-7B, 64 experts of D / 2, dropless",
        Point(
            experts=64, top_k=8, capacity_factor="dropless", gate="softmax", balance="switch", activation="swiglu",
            d_ff="d_model // 2", moe_layers="all",
        ),
    ),
}  # fmt: skip
"""Every preset by its name. `balance` is one loss: ST-MoE and OLMoE have Switch's and z, V-MoE importance and load.
GShard's random second expert is not here."""
