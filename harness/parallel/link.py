"""The link between ranks, as the alpha-beta model of `declare/exchange.py` takes it: its latency, its bytes a second.

Two all-to-alls are timed as layers make them (`all_to_all_single` into memory that is asked for anew): one of next to
nothing, and one in which each of n ranks has B bytes. By the model (Hockney 1994) the first takes `alpha (n - 1)`, the
second `B (n - 1) / n / beta` more. The two take turns; the median of each counts, over the slowest rank of each turn.
The ranks are those of one node, so one link joins any two of them, and all n send at once, as in a layer.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

import torch

from harness.declare.exchange import Link, split
from harness.layers.exchange import Exchange
from harness.parallel.device import RankDevice

TURNS = 9
CALLS = 10
"""All-to-alls of next to nothing in one turn, which alone are shorter than what disturbs them."""
LARGE_BYTES = {"cpu": 4 * 2**20, "cuda": 64 * 2**20}
"""Of one rank's buffer: some ten times what takes as long as a message's latency, and like that of a layer."""
ROW = 1024
"""Numbers of a row, of four bytes each."""


def measure_link(exchange: Exchange, device: RankDevice) -> Link | None:
    """Return the link of this rank to the others, the same on each; all ranks must come to it at once.

    None where next to nothing took as long as many bytes: what is shorter than its noise tells no link.
    """
    n = exchange.ranks
    rows = max(1, LARGE_BYTES[device.kind] // (4 * ROW * n))
    tiny, large = _swap(exchange, device, 1, 1), _swap(exchange, device, rows, ROW)
    turns = [(device.time(tiny, CALLS, cold=False), device.time(large, 1, cold=False)) for _ in range(1 + TURNS)]
    short, long = (median(block.device_s for block in blocks) for blocks in zip(*turns[1:], strict=True))
    return link_of(short, long, 4 * ROW * n * rows, n)


def link_of(short_s: float, long_s: float, num_bytes: float, ranks: int) -> Link | None:
    """Return the link by which an all-to-all of next to nothing and one of so many bytes a rank take so long."""
    if not 0 < short_s < long_s:
        return None
    return Link(short_s / (ranks - 1), split(num_bytes, ranks, ranks).sent / (long_s - short_s))


def _swap(exchange: Exchange, device: RankDevice, rows: int, width: int) -> Callable[[], torch.Tensor]:
    """Return a call that sends each rank so many rows of so many float32."""
    each = [rows] * exchange.ranks
    own = torch.ones(exchange.ranks * rows, width, device=device.torch_name)
    return lambda: exchange.move(own, each, each)
