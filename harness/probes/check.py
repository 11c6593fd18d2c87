"""Check: is the layer's output right on the very input that is timed.

The reference is the plain backend in float64 with the same weights (cast up, so exactly the same numbers). Routing is
discrete: where two experts score within rounding of each other, both choices are right. So the layer's own choice is
judged on its own (is it a best choice, to rounding, by the float64 scores?), then replayed in the reference, and the
outputs must agree; the order of service by priority likewise. Method after SonicMoE's benchmark and flashinfer-bench:
performance exists only if this passes.
"""

from __future__ import annotations

import math
from contextlib import nullcontext

import torch
from torch import Tensor

from harness.case import Case
from harness.devices.interface import Device
from harness.layers import reference_of
from harness.layers.interface import observing, replaying, torch_dtype
from harness.probes.outcome import Outcome, Settings
from harness.probes.rows import Taps, scaled_error
from harness.probes.subject import Subject

METRICS: tuple[str, ...] = ()

ROW_EPS, ALL_EPS = 32.0, 4.0
"""Error allowed in any row, and in root mean square over the output, in eps of the dtype: what a few roundings make.
A wrong weight or a missed row shows in the second long before it reaches the limit of a single row."""
ROW_GROWTH, ALL_GROWTH = 4.0, 0.5
"""What a long sum adds to that, times the square root of its length: the probabilistic bound of Higham and Mary 2019
("A new approach to probabilistic rounding error analysis"). Half-precision products are summed in float32, where this
is nothing beside their own eps."""
LOGIT_ERROR_EPS = 32.0
"""How far below the best a chosen score may lie, in eps times the row's largest score."""


def measure(subject: Subject, device: Device, settings: Settings) -> Outcome:
    """Return an empty outcome, or an incorrect one that says what is wrong; with notes on flipped choices."""
    with observing(subject.layer, taps := Taps()):
        y = subject.run().detach()
    if subject.compiled is not None:  # what was observed is the eager layer
        y = subject.run().detach()
    subject.drop_gradients()
    if not bool(torch.isfinite(y).all()):
        return Outcome(incorrect="the output holds NaN or infinity")
    if y.shape != subject.x.shape or y.dtype != subject.x.dtype:
        return Outcome(incorrect=f"the output is {list(y.shape)} {y.dtype}, expected {list(subject.x.shape)}")
    return _against_reference(subject, y, taps.seen)


def _against_reference(subject: Subject, y: Tensor, seen: dict[str, Tensor]) -> Outcome:
    case, choice, order, notes = subject.case, seen.get("choice"), seen.get("order"), []
    eps = torch.finfo(torch_dtype(case)).eps
    reference = reference_of(subject.layer)
    forced = nullcontext() if choice is None else replaying(reference, choice, order)
    with torch.no_grad(), observing(reference, own := Taps()), forced:
        expected = reference(subject.x.detach().double())
    if choice is not None:
        worst, flipped = choice_fault(own.seen["scores"], choice, eps)
        if worst > LOGIT_ERROR_EPS:
            return Outcome(incorrect=f"the router's choice is not the best: a chosen score lies {worst:.3g} eps below")
        if flipped:
            notes.append(f"{flipped} choices differ from float64's, each between scores equal to rounding")
    if order is not None:
        worst = order_fault(own.seen["priority"][order].view(_groups(subject), -1), eps)
        if worst > LOGIT_ERROR_EPS:
            return Outcome(incorrect=f"tokens are not served by priority: one is {worst:.3g} eps above an earlier one")
    in_row, in_all = errors(y, expected, eps)
    row_limit, all_limit = allowed(case)
    if in_row > row_limit or in_all > all_limit:
        return Outcome(
            incorrect=f"the output differs from the float64 reference by {in_row:.3g} eps in its worst row "
            f"(allowed {row_limit:.3g}) and {in_all:.3g} eps in all (allowed {all_limit:.3g})"
        )
    return Outcome(notes=notes)


def _groups(subject: Subject) -> int:
    """Return how many groups of tokens compete for capacity."""
    return len(subject.x) if subject.case.group == "sequence" else 1


def errors(y: Tensor, expected: Tensor, eps: float) -> tuple[float, float]:
    """Return the worst row's error and the root mean square of all errors over that of the output, both in eps."""
    rms = (y.double() - expected).square().mean().sqrt() / (eps * expected.square().mean().sqrt())
    return float(scaled_error(y, expected, eps).max()), float(rms)


def allowed(case: Case) -> tuple[float, float]:
    """Return the errors that `case` may have, in eps, in its worst row and in all."""
    root = math.sqrt(max(case.d_model, case.d_ff, case.tokens)) if case.itemsize >= 4 else 0.0
    return ROW_EPS + ROW_GROWTH * root, ALL_EPS + ALL_GROWTH * root


def choice_fault(scores: Tensor, choice: Tensor, eps: float) -> tuple[float, int]:
    """Return how far the worst chosen score lies below the k-th best, and how many choices differ.

    Args:
        scores: Float64 scores that the choice is the top-k of: [T, E], or [G, E, n] where experts choose tokens.
        choice: Indices into the last dimension of `scores`, [..., k].
        eps: Of the dtype that chose.

    Returns:
        The gap in units of eps times the row's largest score (0 where the choice is a best one), and the number of
        indices that float64 would not have chosen.
    """
    chosen = scores.gather(-1, choice).amin(dim=-1)
    best = scores.topk(choice.shape[-1], dim=-1)
    gap = (best.values[..., -1] - chosen).clamp(min=0) / (eps * scores.abs().amax(dim=-1))
    flipped = int((~(choice.unsqueeze(-1) == best.indices.unsqueeze(-2)).any(dim=-1)).sum())
    return float(gap.max()), flipped


def order_fault(served: Tensor, eps: float) -> float:
    """Return how far a token's priority rises above an earlier one's, in eps times the largest of its group.

    `served` [G, n] are float64 priorities in the order of service; 0 where they fall all along.
    """
    rises = (served - served.cummin(dim=-1).values).amax(dim=-1)
    return float((rises / (eps * served.amax(dim=-1))).max())
