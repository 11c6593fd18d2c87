"""Who goes where: top-k, who gets an expert's room, and the maps between tokens and rows.

An assignment is one (token, choice) pair. Where an expert has less room than assignments, all first choices come
before all second ones, and tokens come in the order of their positions (GShard, Lepikhin et al. 2020, algorithm 1), or
by falling priority (V-MoE's batch prioritised routing, Riquelme et al. 2021, algorithm 2).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


def softmax(logits: Tensor, dim: int) -> Tensor:
    """Return the softmax in at least float32 (the selective precision of Switch, Fedus et al. 2021, section 2.4)."""
    return logits.softmax(dim, dtype=torch.promote_types(logits.dtype, torch.float32))


def top_k(scores: Tensor, k: int) -> Tensor:
    """Return the indices of the `k` largest `scores` along the last dimension, largest first."""
    return scores.topk(k, dim=-1).indices


def load(choice: Tensor, experts: int) -> Tensor:
    """Return the assignments of each expert [E] in `choice` [T, K]; whole numbers, so their order does not matter."""
    flat = choice.flatten()
    return torch.zeros(experts, dtype=flat.dtype, device=flat.device).scatter_add_(0, flat, torch.ones_like(flat))


def service(priority: Tensor, groups: int) -> Tensor:
    """Return the tokens [T] in order of service: group by group, by falling `priority` [T]; nothing waits."""
    by_group = priority.view(groups, -1).argsort(dim=1, descending=True, stable=True)  # [G, n]
    return (by_group + _range(groups, by_group)[:, None] * by_group.shape[1]).flatten()


def positions(choice: Tensor, experts: int, groups: int, order: Tensor | None = None) -> Tensor:
    """Return each assignment's place [T, K] in its expert's queue of its group, from `choice` [T, K]; no sorting.

    The running count of GShard, as the equation has it: its one-hot tensors grow as K T E. `order` [T] are the tokens
    in order of service; None: as they stand.
    """
    if order is not None:
        return positions(choice[order], experts, groups)[_back(order)]
    first_choices_first = choice.view(groups, -1, choice.shape[-1]).transpose(1, 2).flatten(1)  # [G, K n]
    chosen = F.one_hot(first_choices_first, experts)  # [G, K n, E]
    place = (chosen.cumsum(1) * chosen).sum(-1) - 1  # [G, K n]
    return place.view(groups, choice.shape[-1], -1).transpose(1, 2).reshape(choice.shape)


class Sorted(NamedTuple):
    """Rows of a dropless layer: every assignment, sorted by expert."""

    token: Tensor
    """[K T] the token in each row."""
    expert: Tensor
    """[K T] the expert of each row, ascending."""
    ends: Tensor
    """[E] int32: where the rows of each expert end."""
    row: Tensor
    """[T, K] the row of each assignment."""


class Slotted(NamedTuple):
    """Rows of a layer with capacity: C for each expert and group, expert by expert."""

    token: Tensor
    """[E G C] the token in each row; an empty one holds some token too, and nothing reads what comes of it."""
    row: Tensor
    """[T, K] the row of each assignment; that of a dropped one is its expert's last."""
    kept: Tensor
    """[T, K] False where the expert had no room."""


def sort(choice: Tensor, experts: int) -> Sorted:
    """Return the rows of a dropless layer for `choice` [T, K]; nothing waits for the device."""
    order, expert = _order(choice)
    ends = torch.searchsorted(expert, _range(experts, choice), right=True, out_int32=True)
    return Sorted(order % len(choice), expert, ends, _inverse(order, choice))


def slot(choice: Tensor, experts: int, groups: int, room: int, order: Tensor | None = None) -> Slotted:
    """Return the rows of a layer where each expert has `room` rows for each of `groups` groups of tokens.

    A queue is one expert's of one group. Sorting puts each queue in one piece, in the order of service, so that the
    first `room` of a piece are those kept; nothing waits for the device. `order` is that of `positions`.
    """
    if order is not None:
        to, back = slot(choice[order], experts, groups, room), _back(order)
        return Slotted(order[to.token], to.row[back], to.kept[back])
    tokens = len(choice)
    group = _range(tokens, choice)[:, None] // (tokens // groups)
    queue = choice * groups + group  # [T, K]
    order, in_order = _order(queue)
    starts = torch.searchsorted(in_order, _range(experts * groups, choice))  # [E G]
    place = _inverse(order, choice) - starts[queue]  # [T, K]
    rows = (starts[:, None] + _range(room, choice)).clamp_(max=len(order) - 1)  # [E G, C]
    return Slotted(
        token=order[rows.flatten()] % tokens,
        row=queue * room + place.clamp(max=room - 1),
        kept=place < room,
    )


def _order(key: Tensor) -> tuple[Tensor, Tensor]:
    """Return the order [K T] that sorts `key` [T, K], first choices first among equals, and the sorted keys [K T]."""
    keys, order = key.t().flatten().sort(stable=True)
    return order, keys


def _back(order: Tensor) -> Tensor:
    """Return where each token [T] stands in `order` [T]."""
    return torch.empty_like(order).scatter_(0, order, _range(len(order), order))


def _inverse(order: Tensor, like: Tensor) -> Tensor:
    """Return where each assignment went [T, K]; `order` is a permutation, so no two writes meet."""
    return _back(order).view(like.shape[1], like.shape[0]).t().contiguous()


def _range(count: int, like: Tensor) -> Tensor:
    return torch.arange(count, device=like.device)
