"""Batch-determinism: does a sequence's output depend on anything but the sequence.

Each axis varies one thing and holds the rest (Thinking Machines 2025 and vLLM's permutation test are the models):

- `run`: nothing; the control below which no other axis means anything.
- `batch_size`: the sequence alone against the sequence in its batch.
- `position`: the batch in another order, one in which every sequence has moved (a derangement).
- `composition`: other companions, at the same place in a batch of the same size. They are drawn around another mean,
  as the tokens of another text are, so that they load other experts.

The layer is in eval mode: noise belongs to training. Rows (tokens) are compared bit for bit, and by their largest error
in eps of the row. The cause is settled by float64: a difference that stays there is none of rounding, it is the layer's
design (capacity drops, coupling); one that goes away is a flipped routing choice or plain rounding.
`docs/method.md` has the table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property

import torch
from torch import Tensor

from harness.devices.interface import Device
from harness.layers import reference_of
from harness.layers.interface import Layer, evaluating, observing
from harness.probes.outcome import Measured, Outcome, Settings
from harness.probes.rows import Taps, equal_rows, scaled_change
from harness.probes.subject import Subject, normal

AXES = ("run", "batch_size", "position", "composition")
METRICS = tuple(f"det_{axis}{end}" for axis in AXES for end in ("", "_max_rel", "_cause"))

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
    values: dict[str, Measured] = {}
    counts: dict[str, int] = {}
    with torch.no_grad(), evaluating(subject.layer):
        scene = _Scene(subject.layer, subject.forward, *_inputs(subject, settings.seed))
        for axis in AXES:
            share, worst, rows = scene.compare(axis)
            values[f"det_{axis}"], values[f"det_{axis}_max_rel"] = share, worst
            counts[f"det_{axis}"] = rows
            values[f"det_{axis}_cause"] = "none" if share == 1.0 else _cause(scene, axis, worst)
    return Outcome(values, n=counts)


def _inputs(subject: Subject, seed: int) -> tuple[Tensor, Tensor]:
    """Return the batch [B, m, D] and the companions [B, m, D], around another mean of a norm like a token's."""
    batch = subject.case.batch if subject.case.batch > 1 else BATCH_OF_ONE
    x = normal(subject.case, subject.layer, seed, batch=batch)
    mean = normal(subject.case, subject.layer, seed + 2, batch=1)[:, :1]  # [1, 1, D]
    return x, normal(subject.case, subject.layer, seed + 3, batch=batch) + mean


class _Scene:
    """A layer, a batch and its companions; what several axes need is computed once."""

    def __init__(self, layer: Layer, forward: Callable[[Tensor], Tensor], x: Tensor, others: Tensor) -> None:
        self.layer, self.forward, self.x, self.others = layer, forward, x, others
        self.taps = Taps()
        with observing(layer, self.taps):
            self.full = forward(x)  # [B, m, D]
        if layer.case.compile:  # what was observed is the eager layer
            self.full = forward(x)

    @cached_property
    def in_float64(self) -> _Scene:
        """The same scene, played by the reference."""
        reference = reference_of(self.layer)
        return _Scene(reference, reference, self.x.double(), self.others.double())

    def compare(self, axis: str) -> tuple[float, float, int]:
        """Return the share of rows bit-equal, the largest change in eps, and the number of rows compared."""
        equal = rows = 0
        worst, eps = 0.0, torch.finfo(self.x.dtype).eps
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


def _probed(batch: int) -> list[int]:
    """Return the sequences of a batch that are run alone."""
    count = min(PROBED, batch)
    return sorted({round(i * (batch - 1) / max(1, count - 1)) for i in range(count)})


def _cause(scene: _Scene, axis: str, worst: float) -> str:
    """Return why rows differ along `axis`, by at most `worst` eps."""
    half = scene.x.element_size() < torch.float32.itemsize
    if worst <= (HALF_ROUNDING_EPS if half else ROUNDING_EPS):
        return "rounding"
    _, design, _ = scene.in_float64.compare(axis)
    if design > DESIGN_EPS:
        return "drop" if "kept" in scene.taps.seen else "coupling"
    return "routing_flip" if "choice" in scene.taps.seen else "rounding"
