"""Batch-determinism: does a sequence's output depend on anything but the sequence.

Each axis varies one thing and holds the rest (Thinking Machines 2025 and vLLM's permutation test are the models):

- `run`: nothing; the control below which no other axis means anything.
- `batch_size`: the sequence alone against the sequence in its batch.
- `position`: the batch in another order, one in which every sequence has moved (a derangement).
- `composition`: other companions, at the same place in a batch of the same size. They are drawn around another mean,
  as the tokens of another text are, so that they load other experts.

The layer is in eval mode: noise belongs to training. Rows (tokens, or what comes out of an image) are compared bit for
bit, and by their largest error in eps of the row. The cause is settled by float64: a difference that stays there is
none of rounding, it is the layer's design (capacity drops, coupling); one that goes away is a flipped routing choice or
plain rounding. `docs/method.md` has the table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property

import torch
from torch import Tensor

from harness.declare.assignments import is_assigned
from harness.declare.plugins import is_plugin
from harness.devices.interface import Device
from harness.layers import reference_of
from harness.layers.interface import Layer, NoReference, evaluating
from harness.probes.outcome import Measured, Outcome, Settings
from harness.probes.rows import equal_rows, scaled_change, tapping
from harness.probes.subject import Subject, draw_input

AXES = ("run", "batch_size", "position", "composition")
METRICS = tuple(f"det_{axis}{end}" for axis in AXES for end in ("", "_max_rel", "_cause"))

ASSIGNED = (
    "batch-determinism is not measured: the routing is assigned to rows of the batch, and would not follow a sequence "
    "to another place"
)
Pairs = Iterator[tuple[Tensor, Tensor]]
"""Rows before and after the change, [..., D] each."""

REPEATS = 2
"""Repetitions of the control: the faults that it looks for (atomics, races) show in nearly every run."""
PROBED = 4
"""Sequences compared alone with themselves in the batch; spread evenly, first and last among them."""
BATCH_OF_ONE = 8
"""Batch that a case of batch 1 is compared with."""
ROUNDING_EPS, HALF_ROUNDING_EPS = 64.0, 4.0
"""A change of at most so many eps is rounding: no discrete choice is that small. Half precision rounds few times, as
its products are summed in float32; and 64 of its eps would be half the row."""
DESIGN_EPS = 2.0**20
"""A change of more eps of float64 is no rounding there: it is the layer's design."""


def measure(subject: Subject, device: Device, settings: Settings) -> Outcome:
    """Return for each axis the share of rows bit-equal, the largest change, and its cause; without gradients."""
    if is_assigned(subject.case):
        return Outcome(notes=[ASSIGNED])
    values: dict[str, Measured] = {}
    counts: dict[str, int] = {}
    with torch.no_grad(), evaluating(subject.layer):
        scene = _Scene(subject.layer, subject.forward, *_inputs(subject, settings.seed))
        for axis in AXES:
            share, worst, rows = scene.compare(axis)
            values[f"det_{axis}"], values[f"det_{axis}_max_rel"] = share, worst
            counts[f"det_{axis}"] = rows
            cause = "none" if share == 1.0 else _cause(scene, axis, worst)
            if cause is not None:
                values[f"det_{axis}_cause"] = cause
    return Outcome(values, _notes(scene, values), counts)


def _inputs(subject: Subject, seed: int) -> tuple[Tensor, Tensor]:
    """Return a batch and companions of its shape.

    Companions stand around another mean of a norm like a token's; ids are those of an eighth of the vocabulary.
    """
    case, layer = subject.case, subject.layer
    batch = case.batch if case.batch > 1 else BATCH_OF_ONE
    x, others = draw_input(case, layer, seed, batch=batch), draw_input(case, layer, seed + 3, batch=batch)
    if not x.is_floating_point():
        return x, others % max(1, (case.vocabulary or 1) // 8)
    return x, others + draw_input(case, layer, seed + 2, batch=1)[:, :1]  # [1, 1, D]


class _Scene:
    """A layer, a batch and its companions; what several axes need is computed once."""

    def __init__(self, layer: Layer, forward: Callable[[Tensor], Tensor], x: Tensor, others: Tensor) -> None:
        self.layer, self.forward, self.x, self.others = layer, forward, x, others
        with tapping(layer) as taps:
            self.full = forward(x)  # [B, m, D], or as `output_shape` says
        self.shown = {name for seen in taps for name in seen}
        if layer.case.compile:  # what was observed is the eager layer
            self.full = forward(x)

    @cached_property
    def in_float64(self) -> _Scene | None:
        """The same scene, played by the reference; None for a black box that has no copy in float64."""
        try:
            reference = reference_of(self.layer)
        except NoReference:
            return None
        wide = (x.double() if x.is_floating_point() else x for x in (self.x, self.others))
        return _Scene(reference, reference, *wide)

    @cached_property
    def is_random(self) -> bool:
        """Whether the same input gives another output in float64 too: the layer draws random numbers."""
        return self.in_float64 is not None and self.in_float64.compare("run")[1] > DESIGN_EPS

    def compare(self, axis: str) -> tuple[float, float, int]:
        """Return the share of rows bit-equal, the largest change in eps, and the number of rows compared."""
        equal = rows = 0
        worst, eps = 0.0, torch.finfo(self.full.dtype).eps
        for before, after in _PAIRS[axis](self):
            same = equal_rows(before, after)
            equal, rows = equal + int(same.sum()), rows + same.numel()
            worst = max(worst, float(scaled_change(before, after, eps).max()))
        return equal / rows, worst, rows


def _run(scene: _Scene) -> Pairs:
    for _ in range(REPEATS):
        yield scene.full, scene.forward(scene.x)


def _batch_size(scene: _Scene) -> Pairs:
    for i in _probed(len(scene.x)):
        yield scene.full[i : i + 1], scene.forward(scene.x[i : i + 1])


def _position(scene: _Scene) -> Pairs:
    batch = len(scene.x)
    order = torch.arange(batch, device=scene.x.device).roll(1 + batch // 3)  # a rotation moves every sequence
    yield scene.full[order], scene.forward(scene.x[order])


def _composition(scene: _Scene) -> Pairs:
    for i in (0, len(scene.x) - 1):
        mixed = scene.others.clone()
        mixed[i] = scene.x[i]
        yield scene.full[i], scene.forward(mixed)[i]


_PAIRS: dict[str, Callable[[_Scene], Pairs]] = {
    "run": _run,
    "batch_size": _batch_size,
    "position": _position,
    "composition": _composition,
}


def _notes(scene: _Scene, values: dict[str, Measured]) -> list[str]:
    """Return what a reader of a black box's causes must know."""
    causes = {values.get(f"det_{axis}_cause") for axis in AXES}
    if None in causes and scene.in_float64 is None:
        return ["why rows differ is not known: this layer has no copy in float64 to tell rounding from design"]
    if None in causes:
        return ["why rows differ is not known: the layer draws random numbers, and the same input gives other outputs"]
    if "coupling" in causes and is_plugin(scene.layer.case.layer):
        return ["coupling or drops: from outside, tokens that push each other out of an expert look like coupled ones"]
    return []


def _probed(batch: int) -> list[int]:
    """Return the sequences of a batch that are run alone."""
    count = min(PROBED, batch)
    return sorted({round(i * (batch - 1) / max(1, count - 1)) for i in range(count)})


def _cause(scene: _Scene, axis: str, worst: float) -> str | None:
    """Return why rows differ along `axis`, by at most `worst` eps; None where it cannot be told."""
    half = scene.full.element_size() < torch.float32.itemsize
    if worst <= (HALF_ROUNDING_EPS if half else ROUNDING_EPS):
        return "rounding"
    if scene.in_float64 is None or scene.is_random:
        return None
    _, design, _ = scene.in_float64.compare(axis)
    if design > DESIGN_EPS:
        return "drop" if "kept" in scene.shown else "coupling"
    return "routing_flip" if "choice" in scene.shown else "rounding"
