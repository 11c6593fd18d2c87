"""What the adapters of token choice share: our weights by value in a foreign block, and a look at what it decides.

A foreign block keeps its own parameters, in its own layout: that is part of what makes it fast. An adapter says how
they map to ours, so that the check can compare it with our float64 reference.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import torch
from torch import Tensor, nn

from harness.case import Case
from harness.declare.adapters import ADAPTERS
from harness.layers.experts import normal_
from harness.layers.interface import Layer, Observer


class Adapter(Layer):
    """A foreign token-choice layer. Taps: logits and scores [T, E], choice [T, K], load [E]; phases where it has parts.

    `block` is the foreign module. Our weights are `router` [D, E], `ffn.w1` [E, D, 2 F] (gate, then up) and `ffn.w2`
    [E, F, D].
    """

    block: Any

    def __init__(self, case: Case, backend: str, device: str = "cpu") -> None:
        super().__init__(case, backend)
        assert case.experts is not None
        assert case.top_k is not None
        self.experts, self.top_k = case.experts, case.top_k
        self.counted = ADAPTERS[backend].counted

    def train(self, mode: bool = True) -> Self:
        """Leave the block in evaluation mode, where it keeps no losses and draws no noise; gradients flow as ever."""
        super().train(mode)
        self.block.eval()
        return self

    @abstractmethod
    def ours(self) -> dict[str, tuple[Tensor, ...]]:
        """Return the block's own parameters as views in our shapes, by our names.

        More than one where they are parts that stand side by side in ours, along the last dimension.
        """

    def reference_weights(self) -> dict[str, Tensor]:
        """Return our weights: the block's own, put together as ours are."""
        return {name: torch.cat([part.detach() for part in parts], -1) for name, parts in self.ours().items()}

    def initialise(self, generator: torch.Generator) -> None:
        """Draw all weights anew: the numbers that our layer of this case draws."""
        for name, parts in self.ours().items():
            width = sum(part.shape[-1] for part in parts)
            whole = torch.empty(*parts[0].shape[:-1], width, dtype=parts[0].dtype, device=parts[0].device)
            fan_in = self.case.d_model if name == "router" else whole.shape[-2]
            normal_(whole, fan_in**-0.5, generator)
            with torch.no_grad():
                for part, drawn in zip(parts, torch.split(whole, [part.shape[-1] for part in parts], -1), strict=True):
                    part.copy_(drawn)

    def marked(self) -> tuple[nn.Module, nn.Module]:
        """Return the block's router and its experts, which are marked as phases while somebody looks."""
        raise NotImplementedError

    def decided(self, out: Any) -> tuple[Tensor, Tensor]:
        """Return logits [T, E] and choice [T, K] from what the router gave."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Return [B, m, D] for `x` [B, m, D]: the block's own forward, with hooks only while somebody looks."""
        if self.observer is None:
            y: Tensor = self.block(x)
        else:
            with self._marking(self.observer, *self.marked()):
                y = self.block(x)
        return y

    def show(self, logits: Tensor, choice: Tensor) -> None:
        """Tap what the foreign router decided: `logits` [T, E] and its `choice` [T, K]."""
        self.tap("logits", logits)
        self.tap("scores", logits)
        self.tap("choice", choice)
        self.tap("load", torch.nn.functional.one_hot(choice, self.experts).sum((0, 1)))

    def _look(self, out: Any) -> None:
        if self.watched:
            self.show(*self.decided(out))

    @contextmanager
    def _marking(self, observer: Observer, router: nn.Module, experts: nn.Module) -> Iterator[None]:
        handles = [
            router.register_forward_pre_hook(lambda *_: observer.enter("router")),
            router.register_forward_hook(lambda *_: observer.leave("router")),
            router.register_forward_hook(lambda *call: self._look(call[-1])),
            experts.register_forward_pre_hook(lambda *_: observer.enter("experts")),
            experts.register_forward_hook(lambda *_: observer.leave("experts")),
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()
