"""Systems under test: one file a kind, and what blocks and models are made of; `build` builds them."""

from __future__ import annotations

from dataclasses import replace

import torch

from harness.case import Case
from harness.declare import costs
from harness.declare.adapters import ADAPTERS
from harness.declare.plugins import is_plugin
from harness.declare.scopes import layers_of
from harness.layers.adapters import adapter
from harness.layers.block import Block
from harness.layers.dense import Dense
from harness.layers.dense_moe import DenseMoe
from harness.layers.expert_choice import ExpertChoice
from harness.layers.interface import Layer, Unsupported
from harness.layers.model import Model
from harness.layers.plugins import BlackBox, build_plugin
from harness.layers.soft import Soft
from harness.layers.token_choice import TokenChoice

__all__ = ["KINDS", "build", "reference_of"]

Kind = type[Dense] | type[DenseMoe] | type[TokenChoice] | type[ExpertChoice] | type[Soft]

KINDS: dict[str, Kind] = {
    "dense": Dense,
    "dense_moe": DenseMoe,
    "token_choice": TokenChoice,
    "expert_choice": ExpertChoice,
    "soft": Soft,
}
"""Every kind of layer that a suite can name."""


def build(case: Case, *, seed: int = 0, device: str = "cpu") -> Layer:
    """Return the layer of `case` with weights drawn from `seed`; raise Unsupported with the reason where there is none.

    Equal seeds give equal weights on one kind of device, whatever the backend, and but for rounding the dtype. On
    `meta` nothing is drawn. An adapter gets the weights of our layer; a plug-in draws its own.
    """
    if is_plugin(case.layer):
        return build_plugin(case, seed=seed, device=device)
    kind = torch.device(device).type
    if reason := costs.unsupported(case, kind):
        raise Unsupported(reason)
    layer = _assemble(case, device)
    layer.adopt(case, layer.backend)
    if device != "meta":
        layer.initialise(torch.Generator(device).manual_seed(seed))
    return layer


def _assemble(case: Case, device: str) -> Layer:
    """Return the layer of `case` with whatever its memory holds for weights."""
    layers = [_layer(own, costs.resolve_backend(own, torch.device(device).type), device) for own in layers_of(case)]
    if case.scope == "layer":
        return layers[0]
    blocks = [Block(case, layer, device) for layer in layers]
    return blocks[0] if case.scope == "block" else Model(case, blocks, device)


def _layer(case: Case, backend: str, device: str) -> Layer:
    kind = adapter(backend) if backend in ADAPTERS else KINDS[case.layer]
    return kind(case, backend, device)


def reference_of(layer: Layer) -> Layer:
    """Return the float64 reference of `layer`: the plain backend with the same weights, mode and assigned routing.

    It lives on the same device. The weights are a copy, but those of a layer that is float64 already are its own. A
    black box has its own copy in float64 for one; raise NoReference where there can be none.
    """
    if isinstance(layer, BlackBox):
        return layer.in_float64()
    case = replace(layer.case, dtype="float64", backend="reference")
    reference = build(case, device="meta")
    reference.load_state_dict({name: w.double() for name, w in layer.reference_weights().items()}, assign=True)
    reference.train(layer.training)
    for part, own in zip(reference.parts, layer.parts, strict=True):
        part.assigned = own.assigned
    return reference
