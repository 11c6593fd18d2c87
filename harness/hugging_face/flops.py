"""Forward FLOPs of a model of transformers on the meta device, 2 per multiply-add, matrix products only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from harness.declare.counts import CannotCount


def matrix_flops(model: nn.Module, used: Mapping[int, tuple[int, int]], output: Mapping[int, nn.Parameter]) -> int:
    """Return the FLOPs of one token in the matrices that it uses: 2 for each of their weights.

    A weight of two dimensions or more is a matrix, unless it is a bias or a table to look up in; `output` is the
    embedding that turns back into tokens, a matrix even where it is such a table. `used` holds experts' weights by
    their id: how many of how many experts one token uses.
    """
    tables = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)} - output.keys()
    flops = 0
    for name, weight in model.named_parameters():
        if weight.ndim >= 2 and id(weight) not in tables and not name.endswith("bias"):
            some, of = used.get(id(weight), (1, 1))
            flops += 2 * weight.numel() * some // of
    return flops


def attention_flops(model: Any, tokens: int) -> int:
    """Return the FLOPs of one token in a context of `tokens` that its attention scores and their use cost.

    Torch's counter gives the FLOPs of one, two and three tokens: what grows with their square is attention. An
    encoder-decoder reads as many tokens as it writes. Raises CannotCount where the model cannot run without data, or
    costs something that is neither linear nor quadratic.
    """
    try:
        one, two, three = (_counted(partial(_read, model, n)) for n in (1, 2, 3))
    except Exception as error:  # an operator that needs data says so in many ways
        raise _not_here(model, f"its forward pass needs data ({type(error).__name__})") from None
    square = (two - 2 * one) // 2
    if three != 3 * (one - square) + 9 * square:
        raise _not_here(model, "its FLOPs are no sum of a linear and a quadratic term")
    return square * tokens


def image_flops(model: Any) -> int | None:
    """Return what torch's counter sees of one image of the configured size; None where none is, or data is needed."""
    side = getattr(model.config, "image_size", None)
    if side is None:
        return None
    sides = (side, side) if isinstance(side, int) else tuple(side)
    pixels = torch.zeros(1, getattr(model.config, "num_channels", 3), *sides, device="meta")
    try:
        return _counted(lambda: model(pixel_values=pixels))
    except Exception:  # as above
        return None


def _not_here(model: Any, why: str) -> CannotCount:
    name = type(model).__name__
    return CannotCount(f"{name}: attention cannot be counted without weights, since {why}\n    try: leave --tokens out")


def _counted(run: Callable[[], object]) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        run()
    return int(counter.get_total_flops())


def _read(model: Any, n: int) -> None:
    """Run `n` tokens; the mask is given, since the library would look into the data to make one."""
    ids = torch.zeros(1, n, dtype=torch.long, device="meta")
    inputs = {"input_ids": ids, "attention_mask": torch.zeros(1, 1, n, n, device="meta")}
    if model.config.is_encoder_decoder:
        inputs["decoder_input_ids"] = ids
    model(**inputs, use_cache=False)
