"""What the rest of the house knows of a layer: shapes, phases, taps, replay, and the parts that all kinds share.

Letters: B sequences, m tokens a sequence, T = B m, D d_model, F d_ff, E experts, K top_k, P slots per expert,
S = E P slots a sequence, C capacity.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Literal, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from harness.case import Case

Phase = Literal["router", "dispatch", "experts", "combine", "exchange"]
PHASES: tuple[Phase, ...] = ("router", "dispatch", "experts", "combine")
"""Those that a layer on one device can have; one that is spread over ranks also has `exchange`."""


class Unsupported(Exception):
    """A layer or backend cannot do this case; the message says why, in words for the report."""


class NoReference(Exception):
    """A black box that cannot be copied, cast to float64 and run so; the message says why."""


class Observer(Protocol):
    """Sees a layer's phases begin and end, and the tensors that it shows at its taps."""

    looks: bool
    """Whether it wants the tensors: for one that does not, such as a clock, a layer works none out."""

    def enter(self, phase: Phase) -> None:
        """Hear that a phase begins."""

    def leave(self, phase: Phase) -> None:
        """Hear that it ends."""

    def tap(self, name: str, value: Tensor) -> None:
        """See a tensor."""


class Assignment(NamedTuple):
    """The experts that a case's `routing` gives to each token, in place of those that the router chooses."""

    choice: Tensor
    """[T, K] the experts."""
    free: Tensor
    """[T, K] bool: where the router's own choice stands, which is nowhere. That this is data and no constant keeps the
    router's top-k in the pass, where torch.compile would leave it out."""

    def over(self, own: Tensor) -> Tensor:
        """Return `choice` in place of the router's `own` [T, K]; raise ValueError where it is of other tokens."""
        if self.choice.shape != own.shape:
            raise ValueError(f"the routing is assigned to {len(self.choice)} tokens, and the batch has {len(own)}")
        return torch.where(self.free, own, self.choice)


class Layer(nn.Module):
    """One system under test: [B, m, D] to [B, m, D], or what `harness/declare/scopes.py` says of a whole model.

    All backends of one kind share parameter names and shapes, so that one's `state_dict` loads into another.

    A block and a model are made of layers, their `parts`; phases, taps and replays are those of the parts.

    Taps, where a kind has the thing: `logits` [.., E or S], `choice` (integer routing decisions), `scores` (what
    `choice` is the top-k of, along its last dimension), `kept` (bool, like choice: not dropped by capacity), `load`
    [E] assignments that each expert was given before any drop, `gates` (what weighs each decision, shaped like choice),
    `expert_output` (before the gates), `shared_output` [T, D]. Where tokens are served by priority,
    `priority` [T] and `order` [T], the tokens in order of service.

    A layer in training mode does what belongs to training alone, such as noise; in eval mode it does not.
    """

    counted = True
    """Whether torch's FLOP counter sees what the layer multiplies; kernels of somebody's own are invisible to it."""

    def __init__(self, case: Case, backend: str) -> None:
        super().__init__()
        self.case = case
        self.backend = backend
        """The implementation that runs; never `best`."""
        self.remarks: list[str] = []
        """What a reader of the record should know of how this layer runs here, in sentences."""
        self.observer: Observer | None = None
        """Set by a probe for the length of one measurement; None in the timed loop."""
        self.replay: Tensor | None = None
        """Routing decisions that stand in for the layer's own, shaped like the tap `choice`; None: its own."""
        self.replay_order: Tensor | None = None
        """The order of service that stands in for the layer's own, shaped like the tap `order`; None: its own."""
        self.assigned: Assignment | None = None
        """What the case's `routing` puts in place of the router's choice; `replay` stands above it."""
        self.auxiliary: Tensor | None = None
        """What the last forward pass in training adds to the objective, weighted; None: nothing."""

    @property
    def device(self) -> torch.device:
        """Where the layer lives."""
        return next(self.parameters()).device

    @property
    def parts(self) -> list[Layer]:
        """The layers inside that mark phases and show taps, in the order in which a token meets them; alone: itself."""
        return [self]

    def initialise(self, generator: torch.Generator) -> None:
        """Draw all weights anew."""
        raise NotImplementedError

    def reference_weights(self) -> dict[str, Tensor]:
        """Return the weights under the names, and in the shapes, of this kind's reference."""
        return self.state_dict()

    def forward(self, x: Tensor) -> Tensor:
        """Return the layer's output [B, m, D] for `x` [B, m, D]; that of one layer is without the residual.

        A kind whose tokens see each other also takes `mask` [B, m] bool, False where a token is padding: no other token
        then depends on it, and its own output is 0.
        """
        raise NotImplementedError

    def adopt(self, case: Case, backend: str) -> None:
        """Serve `case` by `backend`; it differs from what the layer was built for in batch, tokens and pass alone."""
        self.case, self.backend = case, backend
        self.train(case.trains)

    def after_step(self, rate: float = 0.0) -> None:
        """Do what a training step does beside the optimizer's, in a step of width `rate`."""

    def phase(self, name: Phase) -> AbstractContextManager[None]:
        """Return a context that marks its body as one phase; costs one test while nobody looks."""
        return nullcontext() if self.observer is None else _observed(self.observer, name)

    @property
    def watched(self) -> bool:
        """Whether somebody looks at the taps, so that what is shown there is worth working out."""
        return self.observer is not None and self.observer.looks

    def tap(self, name: str, value: Tensor) -> None:
        """Show one tensor to whoever looks."""
        if self.observer is not None and self.observer.looks:
            self.observer.tap(name, value)


@contextmanager
def _observed(observer: Observer, name: Phase) -> Iterator[None]:
    observer.enter(name)
    try:
        yield
    finally:
        observer.leave(name)


@contextmanager
def observing(layer: Layer, observer: Observer) -> Iterator[None]:
    """Let `observer` look at all parts of `layer` for the length of the block."""
    before = [(part, part.observer) for part in layer.parts]
    for part, _ in before:
        part.observer = observer
    try:
        yield
    finally:
        for part, own in before:
            part.observer = own


@contextmanager
def replaying(layer: Layer, choice: Tensor, order: Tensor | None = None) -> Iterator[None]:
    """Force `choice` and `order` (shaped like the taps of these names) on one part for the length of the block."""
    before = layer.replay, layer.replay_order
    layer.replay, layer.replay_order = choice, order
    try:
        yield
    finally:
        layer.replay, layer.replay_order = before


@contextmanager
def serving(part: Layer, case: Case) -> Iterator[None]:
    """Let `part` serve `case`, which differs from its own in capacity_factor and drop alone, for the block."""
    before = part.case
    part.case = case
    try:
        yield
    finally:
        part.case = before


@contextmanager
def evaluating(layer: Layer) -> Iterator[None]:
    """Put `layer` into eval mode for the length of the block."""
    before = layer.training
    layer.eval()
    try:
        yield
    finally:
        layer.train(before)


def torch_dtype(case: Case) -> torch.dtype:
    """Return the case's dtype as torch names it."""
    dtype = getattr(torch, case.dtype)
    assert isinstance(dtype, torch.dtype)
    return dtype
