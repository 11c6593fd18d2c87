"""Black boxes: layers that are not ours, built by `module:function` and measured from outside.

    def build(case: Case) -> torch.nn.Module: ...        # [B, m, D] to [B, m, D]

No taps, no phases, no closed form. What stands in for the reference is the box's own copy in float64, where it can be
copied and cast; it tells rounding from design, and says nothing of whether the mathematics is the intended one.
"""

from __future__ import annotations

import copy
import importlib
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor, nn

from harness.case import Case
from harness.declare.plugins import target_of, unsupported
from harness.layers.interface import Layer, NoReference, Unsupported, torch_dtype

LISTED = 8
"""Names of a module that a message lists, at the most."""


class BlackBox(Layer):
    """A module of somebody else's. Its output is whatever it returns: `check` says what is wrong with it."""

    def __init__(self, case: Case, backend: str, module: nn.Module, device: torch.device) -> None:
        super().__init__(case, backend)
        self.module = module
        self._where = device

    @property
    def device(self) -> torch.device:
        """Where it was built: a module may have no weights to tell by."""
        return self._where

    def forward(self, x: Tensor) -> Tensor:
        """Return what the module gives for `x` [B, m, D]."""
        y: Tensor = self.module(x)
        return y

    def in_float64(self) -> BlackBox:
        """Return a copy of the box in float64; raise NoReference where it cannot be copied, cast or run so."""
        try:
            twin = BlackBox(self.case, self.backend, copy.deepcopy(self.module).double(), self.device)
            x = torch.zeros(1, self.case.tokens, self.case.d_model, dtype=torch.float64, device=self.device)
            with torch.no_grad():
                y = twin(x)
        except Exception as error:  # somebody else's code may raise anything
            why = " ".join(str(error).split())[:80]
            raise NoReference(f"this layer has no copy in float64 ({type(error).__name__}: {why})") from error
        if y.dtype != torch.float64:
            raise NoReference(f"this layer's copy in float64 gives {str(y.dtype).removeprefix('torch.')}")
        return twin


def build_plugin(case: Case, *, seed: int = 0, device: str = "cpu") -> BlackBox:
    """Return the black box of `case`, its weights drawn by its own code after torch's generators are seeded.

    It is moved to `device`, and cast to the case's dtype if all its weights are float32, torch's default; a module
    that chose other dtypes itself keeps them. It is in training mode where the pass needs gradients.

    Raises:
        Unsupported: It is not there, or says itself that it cannot do this case.
        TypeError: What the suite names is no function, or returns no module.
        Exception: Whatever its code raises.
    """
    if reason := unsupported(case):
        raise Unsupported(reason)
    target = target_of(case.layer)
    assert target is not None
    function = _function(target)
    where = torch.device(device)
    with torch.random.fork_rng([where] if where.type == "cuda" else []):
        torch.manual_seed(seed)
        module = function(case)
    if not isinstance(module, nn.Module):
        raise TypeError(f"{target} returned {_named(module)}; expected a torch.nn.Module")
    module.to(where)
    if all(weight.dtype == torch.float32 for weight in module.parameters() if weight.is_floating_point()):
        module.to(torch_dtype(case))
    module.train(case.trains)
    return BlackBox(case, case.layer, module, where)


def _function(target: str) -> Any:
    """Return the function that `target` names."""
    name, _, path = target.partition(":")
    module = importlib.import_module(name)
    try:
        function = attrgetter(path)(module)
    except AttributeError:
        own = [each for each, value in vars(module).items() if getattr(value, "__module__", None) == name]
        others = f"; it has {', '.join(own[:LISTED])}" if own else ""
        raise TypeError(f"{name} ({module.__file__}) has no {path!r}{others}") from None
    if not callable(function):
        raise TypeError(f"{target} is {_named(function)}; expected a function that takes a case")
    return function


def _named(value: object) -> str:
    name = type(value).__name__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}" if value is not None else "nothing"
