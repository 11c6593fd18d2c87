"""What `harness count` prints of a config.json."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from harness.declare.counts import CannotCount, Count
from harness.hugging_face.experts import banks, check_dense, top_k
from harness.hugging_face.flops import attention_flops, image_flops, matrix_flops
from harness.hugging_face.load import load

Used = dict[int, tuple[int, int]]
"""Experts' weights by id: how many experts one token uses, of how many."""


def count_config(path: Path, tokens: int | None = None) -> Count:
    """Return the counts of the model that the config.json at `path` describes.

    `tokens` is the context of a language model's attention. Raises CannotCount.
    """
    model = load(path)
    used = _used(model, path)
    ends_in, ends_out = _input_embedding(model), _output_embedding(model)
    both = _size((ends_in | ends_out).values())
    total, active = _size(model.parameters()), _active(model.parameters(), used)
    image = model.main_input_name == "pixel_values"
    return Count(
        model=str(path),
        params=total,
        params_active=active,
        params_active_no_input_embedding=active - both + _size(ends_out.values()),
        params_active_non_embedding=active - both,
        params_non_embedding=total - both,
        flops=_image(model, tokens) if image else _token(model, used, ends_out, tokens),
        per="image" if image else "token",
        tokens=tokens,
    )


def _used(model: Any, path: Path) -> Used:
    found, used = list(banks(model)), Used()
    if not found:
        check_dense(model.config, path)
    for bank in found:
        share = top_k(model.config, bank.experts, path), bank.experts
        used |= {id(weight): share for weight in bank.weights}
    return used


def _input_embedding(model: Any) -> dict[int, nn.Parameter]:
    """Return what turns input into tokens, by id: the library's input embedding, and positions of any kind."""
    found = list(model.get_input_embeddings().parameters())
    for name, module in model.named_modules():
        if isinstance(module, nn.Embedding) and "relative" not in name:
            found.append(module.weight)
    found += [weight for name, weight in model.named_parameters() if name.endswith("position_embeddings")]
    return {id(weight): weight for weight in found}


def _output_embedding(model: Any) -> dict[int, nn.Parameter]:
    """Return the head, by id: what turns the last tokens into the vocabulary, or an image into classes."""
    head = model.get_output_embeddings() or getattr(model, "classifier", None)
    return {id(weight): weight for weight in head.parameters()} if isinstance(head, nn.Module) else {}


def _size(weights: Iterable[nn.Parameter]) -> int:
    return sum(weight.numel() for weight in weights)


def _active(weights: Iterable[nn.Parameter], used: Used) -> int:
    shares = ((weight.numel(), *used.get(id(weight), (1, 1))) for weight in weights)
    return sum(numel * some // of for numel, some, of in shares)


def _token(model: Any, used: Used, ends_out: Mapping[int, nn.Parameter], tokens: int | None) -> int | None:
    """Return the FLOPs of one token; None where not all that goes in are tokens of a text."""
    several = {"vision_config", "audio_config"} & set(getattr(model.config, "sub_configs", ()))
    if model.main_input_name != "input_ids" or several:
        return None
    return matrix_flops(model, used, ends_out) + (0 if tokens is None else attention_flops(model, tokens))


def _image(model: Any, tokens: int | None) -> int | None:
    if tokens is not None:
        raise CannotCount(f"--tokens {tokens}: {type(model).__name__} reads images; leave it out")
    return image_flops(model)
