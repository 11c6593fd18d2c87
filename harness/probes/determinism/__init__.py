"""Batch-determinism: does a row's output depend on anything but the row.

Each axis varies one thing and holds the rest (Thinking Machines 2025 and vLLM's permutation test are the models):

- `run`: nothing; the control below which no other axis means anything.
- `batch_size`: the sequence alone against the sequence in its batch.
- `position`: the batch in another order, one in which every sequence has moved (a derangement).
- `composition`: other companions, at the same place in a batch of the same size. They are drawn around another mean,
  as the tokens of another text are, so that they load other experts.
- `padding`: pad tokens behind every sequence, and pad sequences behind the batch; masked where the layer takes `mask`,
  else plain tokens, which route.
- `drops`: twice the capacity, and another order of service; companions are held. Only where a case has a capacity.
- `environment`: one thread against several on a CPU; deterministic kernels that sum in full precision on CUDA.
- `causal`: other tokens at the end of the sequence; the earlier ones are compared.

The layer is in eval mode: noise belongs to training. Rows (tokens, or what comes out of an image) are compared bit for
bit, and by their largest error in eps of the row. Why a row changed is told by what the layer shows at its taps and
confirmed by a counterfactual: by the same change in float64, where rounding goes away and design stays, or by replaying
the routing. `docs/method.md` has the table.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from harness.declare.assignments import is_assigned
from harness.declare.plugins import is_plugin
from harness.devices.interface import Device
from harness.layers.interface import evaluating
from harness.probes.determinism import ties
from harness.probes.determinism.axes import AXES
from harness.probes.determinism.causes import CAUSE_OF, DETAILS, EQUAL, LABELS, UNKNOWN, tell
from harness.probes.determinism.differences import Difference
from harness.probes.determinism.margins import METRICS as FLIPS
from harness.probes.determinism.margins import Flips, error_series
from harness.probes.determinism.scene import Scene
from harness.probes.outcome import Measured, Outcome, Settings
from harness.probes.subject import Subject

__all__ = ["AXES", "DETAILS", "METRICS", "measure"]

METRICS = (
    *(f"det_{axis}{end}" for axis in AXES
      for end in ("", "_max_rel", "_changed", "_cause", "_detail", "_proof", "_bound")),
    *FLIPS,
    *ties.METRICS,
)  # fmt: skip

CONFIDENCE = 0.95
"""Of the upper bound on the share of rows that differ, where none did."""
UNVARIED = "padding, drops and environment are not varied: torch.compile would compile the layer anew for each"
ASSIGNED = (
    "batch-determinism is not measured: the routing is assigned to rows of the batch, and would not follow a sequence "
    "to another place"
)
ROUNDINGS = LABELS[1 : LABELS.index("routing_flip")]


def measure(subject: Subject, device: Device, settings: Settings) -> Outcome:
    """Return for each axis the share of rows bit-equal, the largest change, and its cause; without gradients."""
    outcome = Outcome()
    if is_assigned(subject.case):
        return Outcome(notes=[ASSIGNED])
    with torch.no_grad(), evaluating(subject.layer):
        scene, flips = Scene.of(subject, settings.seed), Flips()
        repeats = True
        for axis in AXES:
            seen = _axis(scene, axis, flips, told=repeats)
            _add(outcome, seen)
            repeats &= axis != "run" or seen.equal == seen.rows
        _add_flips(outcome, scene, flips, settings.seed)
    outcome.notes.extend(_notes(scene, outcome.values, repeats=repeats))
    return outcome


def _add(outcome: Outcome, seen: _Seen) -> None:
    if seen.vacuous:
        outcome.notes.append(f"{seen.vacuous}; this axis has no number")
    elif seen.rows:
        outcome.values.update(seen.values())
        outcome.n[f"det_{seen.axis}"] = seen.rows
        outcome.series.update(seen.series())


def _add_flips(outcome: Outcome, scene: Scene, flips: Flips, seed: int) -> None:
    values, series = flips.values(scene)
    tied, rows = ties.measure(scene, seed + 4)
    outcome.values.update(values | tied)
    outcome.series.update(series)
    outcome.n.update(dict.fromkeys(tied, rows))


@dataclass(slots=True)
class _Seen:
    """What one axis showed, over all its changes."""

    axis: str
    told: bool
    """Whether causes may be told: the control held, and the layer draws no random numbers."""
    limit: float
    sizes: list[Tensor] = field(default_factory=list)
    labels: list[Tensor] = field(default_factory=list)
    proof: dict[str, str] = field(default_factory=dict)
    equal: int = 0
    rows: int = 0
    vacuous: str | None = None

    def values(self) -> dict[str, Measured]:
        """Return the axis's metrics."""
        size, name = torch.cat(self.sizes), f"det_{self.axis}"
        found: dict[str, Measured] = {
            name: self.equal / self.rows,
            f"{name}_max_rel": float(size.max()),
            f"{name}_changed": float((size > self.limit).double().mean()),
        }
        if self.equal == self.rows:
            return found | {f"{name}_cause": "none", f"{name}_bound": bound(self.rows)}
        label = self._label() if self.told else UNKNOWN
        if label == UNKNOWN:
            return found
        detail = {f"{name}_detail": label} if label in DETAILS else {}
        return found | detail | {f"{name}_cause": CAUSE_OF[label], f"{name}_proof": self.proof.get(label, "none")}

    def _label(self) -> str:
        """Return the label of the rows that changed most: among roundings, the most frequent one."""
        counts = self.counts()
        serious = [label for label in LABELS if counts[label] and label not in (EQUAL, *ROUNDINGS)]
        return serious[-1] if serious else max(ROUNDINGS, key=lambda label: counts[label])

    def counts(self) -> dict[str, int]:
        """Return the number of rows of each label."""
        counted = torch.cat(self.labels).bincount(minlength=len(LABELS)).tolist()
        return dict(zip(LABELS, counted, strict=True))

    def series(self) -> dict[str, list[float]]:
        """Return the number of rows of each label in `DETAILS`, and how large errors are; nothing if none differ."""
        if self.equal == self.rows or not self.told:
            return {}
        counts, labels = self.counts(), torch.cat(self.labels)
        decided = labels >= LABELS.index("routing_flip")
        rounded = ~decided & (labels != LABELS.index(EQUAL))
        errors = error_series(self.axis, torch.cat(self.sizes), decided, rounded)
        return {f"det_{self.axis}_rows": [float(counts[label]) for label in DETAILS], **errors}


def _axis(scene: Scene, axis: str, flips: Flips, *, told: bool) -> _Seen:
    """Vary one thing; stop at a change that says nothing about it."""
    seen = _Seen(axis, told, scene.limit)
    for change in AXES[axis](scene):
        play = change.play(scene)
        if why := change.vacuous(scene, play):
            seen.vacuous = why
            return seen
        found = Difference(scene, change, play)
        if axis == "batch_size":
            flips.add(scene, change, play, found)
        seen.sizes.append(found.size)
        seen.equal += int(found.equal.sum())
        seen.rows += found.equal.numel()
        if seen.told and not bool(found.equal.all()):
            seen.told = axis != "run" or not _is_serious(scene, found.size) or not scene.is_random
        if seen.told:
            result = tell(scene, change, play, found, axis)
            seen.labels.append(result.labels)
            seen.proof = _weaker(seen.proof, result.proof)
    return seen


def _weaker(one: dict[str, str], other: dict[str, str]) -> dict[str, str]:
    """Return what confirmed each label in two changes: a flip that one replay has not healed is no more than seen."""
    both = other | one
    return both | {"routing_flip": "taps"} if "taps" in (one.get("routing_flip"), other.get("routing_flip")) else both


def _is_serious(scene: Scene, size: Tensor) -> bool:
    return bool((size > scene.limit).any())


def bound(rows: int, confidence: float = CONFIDENCE) -> float:
    """Return the upper bound of the share of rows that differ where none of `rows` did.

    Clopper and Pearson's, one-sided; 3 / n is near it (the rule of three). Rows are taken for independent draws.
    """
    from scipy.special import betaincinv  # here, since a worker that only times need not wait for it

    return float(betaincinv(1, rows, confidence))


def _notes(scene: Scene, values: dict[str, Measured], *, repeats: bool) -> list[str]:
    """Return what a reader of the causes must know."""
    if scene.compiled:
        return [*_why_untold(scene, values, repeats=repeats), UNVARIED]
    return _why_untold(scene, values, repeats=repeats)


def _why_untold(scene: Scene, values: dict[str, Measured], *, repeats: bool) -> list[str]:
    causes = {values.get(f"det_{axis}_cause") for axis in AXES if f"det_{axis}" in values}
    if "coupling" in causes and is_plugin(scene.layer.case.layer):
        return ["coupling or drops: from outside, tokens that push each other out of an expert look like coupled ones"]
    if None not in causes:
        return []
    if scene.in_float64 is None:
        return ["why rows differ is not known: this layer has no copy in float64 to tell rounding from design"]
    if scene.is_random:
        return ["why rows differ is not known: the layer draws random numbers, and the same input gives other outputs"]
    if not repeats:
        return ["why rows differ is not told: the same input does not give the same output twice"]
    return []
