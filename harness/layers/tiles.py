"""Fixed tiles: the same product for every row, whatever stands around it.

A matrix product picks its kernel, its blocking and its order of sums by the number of rows, and so a row's last bits
change with its company. Rows cut into tiles of one size, the last one filled up with zeros, all see the same product:
the way in which batch-invariant kernels are made (He et al. 2025, "Defeating Nondeterminism in LLM Inference", of
Thinking Machines). It is the negative control of the probe `determinism`, and no fast layer: the tiles go one by one,
the filling is paid for, and it knows no gradients.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from harness.declare.letters import TILE_ROWS, expert_tiles

WAITS_REMARK = "fixed_tile is a control: tile by tile, and it asks the device for the load of each expert and waits"
"""What is said of dropless token choice in fixed tiles."""


def tiled(function: Callable[[Tensor], Tensor], rows: Tensor) -> Tensor:
    """Return `function` [R, D'] of `rows` [R, D], which are copied, so that all tiles are aligned alike."""
    count = len(rows)
    filled = rows.new_zeros(count + -count % TILE_ROWS, rows.shape[1])
    filled[:count] = rows
    return torch.cat([function(tile) for tile in torch.split(filled, TILE_ROWS)])[:count]


def starts(load: Tensor) -> Tensor:
    """Return the row [E] at which each expert's tiles start, for the `load` [E] of each."""
    tiles = -(load // -TILE_ROWS)
    return TILE_ROWS * (tiles.cumsum(0) - tiles)


def owners(load: Tensor) -> list[int]:
    """Return the expert of each tile, as many as any load of so many assignments may need; the last ones are empty."""
    counts = (-(load // -TILE_ROWS)).tolist()
    own = [expert for expert, count in enumerate(counts) for _ in range(count)]
    return own + [len(counts) - 1] * (expert_tiles(int(load.sum()), len(counts)) - len(own))
