"""Systems under test: one file a kind, built by `build`."""

from __future__ import annotations

from dataclasses import replace

import torch

from harness.case import Case
from harness.declare import costs
from harness.layers.dense import Dense
from harness.layers.dense_moe import DenseMoe
from harness.layers.expert_choice import ExpertChoice
from harness.layers.interface import Layer, Unsupported
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
    `meta` nothing is drawn.
    """
    kind = torch.device(device).type
    if reason := costs.unsupported(case, kind):
        raise Unsupported(reason)
    backend = costs.resolve_backend(case, kind)
    layer = KINDS[case.layer](case, backend, device)
    layer.adopt(case, backend)
    if device != "meta":
        layer.initialise(torch.Generator(device).manual_seed(seed))
    return layer


def reference_of(layer: Layer) -> Layer:
    """Return the float64 reference of `layer`: the plain backend with the same weights and mode, on the same device.

    The weights are a copy, but those of a layer that is float64 already are its own.
    """
    case = replace(layer.case, dtype="float64", backend="reference")
    reference = build(case, device="meta")
    reference.load_state_dict({name: w.double() for name, w in layer.state_dict().items()}, assign=True)
    reference.train(layer.training)
    return reference
