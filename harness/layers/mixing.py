"""What the routed experts of token choice add up to, in as many ways as there are backends.

`reference` loops over the experts as the equations have it. `loop` is the eager baseline that most code starts from
(transformers' eager experts): expert by expert over those that were hit, and `index_add_`; it asks the device which
those are, and waits. `onehot` moves tokens by products with 0-1 matrices (GShard). `batched` gives every assignment a
copy of its expert's weights, for a few tokens. `grouped` sorts the tokens: dropless, one grouped product over rows in
the order of experts; with a capacity, one batched product over a buffer of C rows an expert. `fixed_tile` runs every
row in a tile of one size, so that no row depends on its company (`tiles.py`). `onehot`, `batched` and `grouped` never
wait for the device.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from harness.declare.letters import TILE_ROWS
from harness.layers import moves, routing, tiles
from harness.layers.experts import Ffn
from harness.layers.interface import Layer


class Routed(NamedTuple):
    """What a router decided for T tokens in `groups` groups."""

    choice: Tensor
    """[T, K] the experts of each token, best first."""
    gates: Tensor
    """[T, K] what weighs their outputs."""
    groups: int
    """Groups of tokens that compete for capacity."""
    room: int | None
    """C: rows that an expert has for one group; None: dropless."""
    order: Tensor | None
    """[T] the tokens in order of service where room is short; None: as they stand."""


Mix = Callable[[Layer, Ffn, Tensor, Routed], Tensor]
"""Returns [T, D] for a layer (whose phases it marks), its bank of experts, its tokens [T, D], and who goes where."""


def reference(layer: Layer, ffn: Ffn, tokens: Tensor, routed: Routed) -> Tensor:
    """One buffer an expert, of C rows for each group, or as long as its queue where dropless."""
    choice, C, groups, experts = routed.choice, routed.room, routed.groups, ffn.count
    with layer.phase("dispatch"):
        place = routing.positions(choice, experts, groups if C else 1, routed.order)  # [T, K]
        kept = place < (C or choice.numel())
        if C:  # the groups' rows stand one after another
            place = place + C * (torch.arange(len(tokens), device=place.device)[:, None] * groups // len(tokens))
        taken, buffers = [], []
        for expert in range(experts):
            token, k = torch.nonzero((choice == expert) & kept, as_tuple=True)
            row = place[token, k]
            buffer = tokens.new_zeros(C * groups if C else len(row), tokens.shape[1])
            buffers.append(buffer.index_put((row,), tokens[token]))
            taken.append((token, k, row))
    with layer.phase("experts"):
        rows = ffn.looped(buffers)
    with layer.phase("combine"):
        outputs = tokens.new_zeros(*choice.shape, tokens.shape[1])  # [T, K, D]
        for (token, k, row), out in zip(taken, rows, strict=True):
            outputs[token, k] = out[row]
        _show_outputs(layer, lambda: outputs, kept)
        return (routed.gates[..., None] * outputs).sum(1)


def loop(layer: Layer, ffn: Ffn, tokens: Tensor, routed: Routed) -> Tensor:
    """Dropless: each expert that was hit takes its tokens and adds what it makes of them; waits for the device."""
    y, alone, choice = torch.zeros_like(tokens), ffn.alone(), routed.choice
    shown = tokens.new_zeros(*choice.shape, tokens.shape[1]) if layer.watched else None  # [T, K, D]
    for expert in routing.load(choice, len(alone)).nonzero().flatten().tolist():
        with layer.phase("dispatch"):
            token, k = torch.nonzero(choice == expert, as_tuple=True)
            rows = tokens[token]
        with layer.phase("experts"):
            rows = alone[expert](rows)
        with layer.phase("combine"):
            y.index_add_(0, token, rows * routed.gates[token, k, None])
            if shown is not None:
                shown[token, k] = rows.detach()
    _show_outputs(layer, lambda: shown, None)
    return y


def onehot(layer: Layer, ffn: Ffn, tokens: Tensor, routed: Routed) -> Tensor:
    """Capacity as in GShard: 0-1 matrices [n, E C] move tokens to slots and back; n^2 in the size of a group."""
    choice, groups, E, D = routed.choice, routed.groups, ffn.count, tokens.shape[1]
    assert routed.room is not None
    C = routed.room
    with layer.phase("dispatch"):
        place = routing.positions(choice, E, groups, routed.order)  # [T, K]
        kept = place < C
        slot = (choice * C + place.clamp(max=C - 1)).view(groups, -1, choice.shape[1])  # [G, n, K]
        weights = (routed.gates * kept).view_as(slot)
        into = weights.new_zeros(*slot.shape[:2], E * C)  # [G, n, E C]
        ones = kept.view_as(slot).to(weights.dtype)
        rows = torch.bmm(into.scatter(2, slot, ones).transpose(1, 2), tokens.view(groups, -1, D))  # [G, E C, D]
        rows = rows.view(groups, E, C, D).transpose(0, 1).reshape(E, groups * C, D)
    with layer.phase("experts"):
        rows = ffn.batched(rows)
    with layer.phase("combine"):
        rows = rows.view(E, groups, C, D).transpose(0, 1).reshape(groups, E * C, D)
        group = torch.arange(groups, device=slot.device)[:, None, None]
        _show_outputs(layer, lambda: rows.detach()[group, slot].view(*choice.shape, D), kept)
        return torch.bmm(into.scatter(2, slot, weights), rows).flatten(0, 1)


def batched(layer: Layer, ffn: Ffn, tokens: Tensor, routed: Routed) -> Tensor:
    """Dropless: K copies of each token and of the weights of its experts, batched products, a sum; never waits."""
    choice = routed.choice
    with layer.phase("dispatch"):
        rows = tokens[:, None].expand(-1, choice.shape[1], -1).flatten(0, 1)  # [T K, D]
    with layer.phase("experts"):
        rows = ffn.gathered(rows, choice.flatten())
    with layer.phase("combine"):
        outputs = rows.view(*choice.shape, -1)  # [T, K, D]
        _show_outputs(layer, lambda: outputs.detach(), None)
        return (routed.gates[..., None] * outputs).sum(1)


def grouped(layer: Layer, ffn: Ffn, tokens: Tensor, routed: Routed) -> Tensor:
    """Dropless: sort by expert, two grouped products, gather back; never waits where grouped_mm is a kernel."""
    if routed.room is not None:
        return slotted(layer, ffn, tokens, routed)
    with layer.phase("dispatch"):
        to = routing.sort(routed.choice, ffn.count)
        back = moves.Back(to.row)
        rows = moves.dispatch(tokens, to.token, back)  # [K T, D]
    with layer.phase("experts"):
        rows = ffn.grouped(rows, to.expert, to.ends)
    with layer.phase("combine"):
        _show_outputs(layer, lambda: rows.detach()[to.row], None)
        return moves.combine(rows, to.token, back, routed.gates)


def slotted(layer: Layer, ffn: Ffn, tokens: Tensor, routed: Routed) -> Tensor:
    """Capacity: gather into C rows for each expert and group, batched products, gather back; never waits."""
    assert routed.room is not None
    E = ffn.count
    with layer.phase("dispatch"):
        to = routing.slot(routed.choice, E, routed.groups, routed.room, routed.order)
        back = moves.Back(to.row)
        rows = moves.dispatch(tokens, to.token, back, to.kept).view(E, routed.groups * routed.room, -1)  # [E, G C, D]
    with layer.phase("experts"):
        rows = ffn.batched(rows).flatten(0, 1)  # [E G C, D]
    with layer.phase("combine"):
        _show_outputs(layer, lambda: rows.detach()[to.row], to.kept)
        return moves.combine(rows, to.token, back, routed.gates * to.kept)


def fixed_tile(layer: Layer, ffn: Ffn, tokens: Tensor, routed: Routed) -> Tensor:
    """Each expert's rows start a tile of their own, and the tiles go one by one; waits for the device if dropless."""
    if routed.room is not None:
        return _fixed_slots(layer, ffn, tokens, routed)
    alone, load = ffn.alone(), routing.load(routed.choice, ffn.count)
    with layer.phase("dispatch"):
        to = routing.sort(routed.choice, len(alone))
        shift = tiles.starts(load) - (load.cumsum(0) - load)  # [E]
        place = torch.arange(len(to.token), device=to.token.device) + shift[to.expert]  # [K T]
        of_tile = tiles.owners(load)
        rows = tokens.new_zeros(len(of_tile) * TILE_ROWS, tokens.shape[1]).index_copy_(0, place, tokens[to.token])
    with layer.phase("experts"):
        rows = torch.cat([alone[own](tile) for own, tile in zip(of_tile, torch.split(rows, TILE_ROWS), strict=True)])
    with layer.phase("combine"):
        row = place[to.row]  # [T, K]
        _show_outputs(layer, lambda: rows[row], None)
        return moves.combine(rows, to.token, moves.Back(row), routed.gates)


def _fixed_slots(layer: Layer, ffn: Ffn, tokens: Tensor, routed: Routed) -> Tensor:
    assert routed.room is not None
    E = ffn.count
    with layer.phase("dispatch"):
        to = routing.slot(routed.choice, E, routed.groups, routed.room, routed.order)
        by_expert = tokens[to.token].view(E, routed.groups * routed.room, -1)  # [E, G C, D]
    with layer.phase("experts"):
        rows = torch.cat([tiles.tiled(alone, own) for alone, own in zip(ffn.alone(), by_expert, strict=True)])
    with layer.phase("combine"):
        _show_outputs(layer, lambda: rows[to.row], to.kept)
        return moves.combine(rows, to.token, moves.Back(to.row), routed.gates * to.kept)


MIXES: dict[str, Mix] = {
    "reference": reference,
    "loop": loop,
    "onehot": onehot,
    "batched": batched,
    "grouped": grouped,
    "fixed_tile": fixed_tile,
}
"""Every backend of token choice by its name."""


def _show_outputs(layer: Layer, outputs: Callable[[], Tensor | None], kept: Tensor | None) -> None:
    """Show what each assignment's expert returned [T, K, D], ungated, and which were kept; worked out if one looks."""
    if layer.watched and (shown := outputs()) is not None:
        kept = torch.ones(shown.shape[:2], dtype=torch.bool, device=shown.device) if kept is None else kept
        layer.tap("kept", kept)
        layer.tap("expert_output", shown * kept[..., None])
