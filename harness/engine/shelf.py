"""Built layers and their inputs, kept between visits: the least recently used go when a memory budget is full."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from torch import Tensor

from harness.case import Case
from harness.declare.costs import cost, resolve_backend
from harness.declare.plugins import is_plugin
from harness.declare.visits import build_key
from harness.layers.interface import Layer
from harness.probes.subject import Subject
from harness.recent import Recent

INPUT_SHARE = 0.25
"""Budget for inputs and optimizer states, as a share of that for layers: a lost input costs one draw, a lost layer
many."""


class Shelf:
    """Gives the subject of a case, from what stands ready where it can.

    Cases of one variant that differ only in batch, tokens and pass share one layer, or where it has positions, in batch
    and pass. Those of two variants never do, though they be alike: both sides of an A/A pair must bear the luck of
    their own allocation, as any two variants do.

    Args:
        build: Makes a case's layer on the device, with weights drawn from a seed.
        make_subject: Puts an input to it, drawn from the same seed.
        budget: Bytes of weights that may stand ready; what the case at hand needs stands there whatever it takes.
    """

    def __init__(
        self, build: Callable[[Case, int], Layer], make_subject: Callable[[Case, Layer, int], Subject], budget: int
    ) -> None:
        self._build = build
        self._make_subject = make_subject
        self._layers: Recent[Layer] = Recent(budget)
        self._subjects: Recent[Subject] = Recent(int(budget * INPUT_SHARE))

    def __len__(self) -> int:
        """Return how many layers stand ready."""
        return len(self._layers)

    def subject(self, case: Case, seed: int) -> Subject:
        """Return the subject of `case`, its layer as if nobody else had used it."""
        layer = self._layer(case, seed)
        subject = self._subjects.get(f"{case.key}:{seed}")
        if subject is None:
            subject = self._make_subject(case, layer, seed)
            self._subjects.put(f"{case.key}:{seed}", subject, _subject_bytes(subject))
        _make_ready(subject)
        return subject

    def drop(self, case: Case, seed: int) -> None:
        """Forget the layer of `case`: a visit that raised may have left it in any state."""
        self._forget(self._layers.drop(_layer_key(case, seed)))

    def clear(self) -> None:
        """Forget everything."""
        self._subjects.clear()
        self._layers.clear()

    def _layer(self, case: Case, seed: int) -> Layer:
        key = _layer_key(case, seed)
        layer = self._layers.get(key)
        if layer is None:
            num_bytes = 0 if is_plugin(case.layer) else cost(case).weight_bytes  # a plug-in's shows when it is built
            self._make_room(num_bytes)  # before the build: old and new need not fit together
            layer = self._build(case, seed)
            num_bytes = num_bytes or _bytes(layer.parameters())
            self._make_room(num_bytes)
            self._layers.put(key, layer, num_bytes)
        return layer

    def _make_room(self, num_bytes: int) -> None:
        for old in self._layers.make_room(num_bytes):
            self._forget(old)

    def _forget(self, layer: Layer | None) -> None:
        """Drop the subjects of a layer that is no longer kept: they would keep it alive."""
        self._subjects.drop_if(lambda subject: subject.layer is layer)


def _layer_key(case: Case, seed: int) -> str:
    return f"{build_key(case).key}:{seed}"


def _make_ready(subject: Subject) -> None:
    """Undo what another case left on the shared layer."""
    case, layer = subject.case, subject.layer
    layer.adopt(case, layer.backend if is_plugin(case.layer) else resolve_backend(case, subject.x.device.type))
    for part in layer.parts:
        part.observer = part.replay = part.replay_order = None
    subject.assign()
    subject.drop_gradients()
    for weight in layer.parameters():
        weight.requires_grad_(case.trains)


def _subject_bytes(subject: Subject) -> int:
    optimizer_state = 2 * _bytes(subject.layer.parameters()) if subject.optimizer is not None else 0
    return _bytes((subject.x, subject.upstream)) + optimizer_state


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
