"""Check: is the layer's output right on the very input that is timed.

The reference is the plain backend in float64 with the same weights (cast up, so exactly the same numbers). Routing is
discrete: where two experts score within rounding of each other, both choices are right. So the layer's own choice is
judged on its own (is it a best choice, to rounding, by the float64 scores?), then replayed in the reference, and the
outputs must agree; the order of service by priority likewise. In a model each block's choice is judged and replayed.
What the case's `routing` assigns is no best choice: the layer must follow it to the last token, and its gates must be
the reference's for those experts. Of a compiled case the eager layer makes the choice, and the compiled output must
agree with the reference that follows it: both take their logits from the same product. Method after SonicMoE's
benchmark and flashinfer-bench: performance exists only if this passes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor

from harness.case import Case
from harness.declare.plugins import is_plugin
from harness.declare.scopes import output_shape
from harness.devices.interface import Device
from harness.layers import reference_of
from harness.layers.interface import Layer, NoReference, replaying, torch_dtype
from harness.probes.outcome import Measured, Outcome, Settings
from harness.probes.rows import scaled_error, tapping
from harness.probes.subject import Subject

METRICS: tuple[str, ...] = ("params",)

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
    """Return an outcome without numbers, or an incorrect one that says what is wrong; with notes on flipped choices.

    Of a black box, whose closed forms nobody knows, it counts the parameters.
    """
    if fault := _fault(subject):
        return Outcome(incorrect=fault)
    with tapping(subject.layer) as taps:
        y = subject.run().detach()
    if subject.compiled is not None:  # what was observed is the eager layer
        y = subject.run().detach()
    subject.drop_gradients()
    if not bool(torch.isfinite(y).all()):
        return Outcome(incorrect="the output holds NaN or infinity")
    if is_plugin(subject.case.layer):
        return _against_itself(subject, y)
    return against_reference(subject, y, taps)


def _fault(subject: Subject) -> str | None:
    """Return in what the layer's output is none for its input; seen before a backward pass stumbles over it."""
    x, written = subject.x, subject.x._version
    shape, dtype = output_shape(subject.case), torch_dtype(subject.case)
    with torch.no_grad():
        y: object = subject.layer(x)
    if not isinstance(y, Tensor):
        return f"the layer returned a {type(y).__name__}, expected a tensor {list(shape)}"
    if tuple(y.shape) != shape or y.dtype != dtype:
        return f"the output is {list(y.shape)} {_name(y.dtype)}, expected {list(shape)} {_name(dtype)}"
    return "the layer writes into its input" if x._version != written else None


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _against_itself(subject: Subject, y: Tensor) -> Outcome:
    """Return what is known of a black box: its parameters, and a note on how far it is from its own float64 copy.

    A note only: rows that differ by more than rounding may be discrete choices that flipped, which is no error.
    """
    values: dict[str, Measured] = {"params": sum(weight.numel() for weight in subject.layer.parameters())}
    try:
        copy = reference_of(subject.layer)
    except NoReference as error:
        return Outcome(values, [f"the output was compared with nothing: {error}"])
    with torch.no_grad():
        expected = copy(subject.x.detach().double())
    off = scaled_error(y, expected, torch.finfo(y.dtype).eps).flatten()
    beyond = int((off > allowed(subject.case)[0]).sum())
    notes = ["the output was compared with the layer's own copy in float64 alone, not with its mathematics"]
    if beyond:
        notes.append(
            f"{beyond} of {len(off)} rows differ from that copy by more than rounding (by {off.max():.3g} eps): "
            "choices that flipped, or random numbers, or errors; from outside these look alike"
        )
    return Outcome(values, notes)


def against_reference(subject: Subject, y: Tensor, seen: Sequence[dict[str, Tensor]]) -> Outcome:
    """Return what there is to say of the output `y`, for which each part has decided as its taps have `seen`."""
    case, eps = subject.case, torch.finfo(torch_dtype(subject.case)).eps
    reference, x = reference_of(subject.layer), subject.x.detach()
    with torch.no_grad(), tapping(reference) as own, _replaying(reference, seen):
        expected = reference(x.double() if x.is_floating_point() else x)
    flipped = 0
    for part, shown, right in zip(subject.layer.parts, seen, own, strict=True):
        fault, differing = _routing_fault(subject, part, shown, right, eps)
        if fault:
            return Outcome(incorrect=fault)
        flipped += differing
    notes = [_flips(flipped)] if flipped else []
    in_row, in_all = errors(y, expected, eps)
    row_limit, all_limit = allowed(case)
    if in_row > row_limit or in_all > all_limit:
        return Outcome(
            incorrect=f"the output differs from the float64 reference by {in_row:.3g} eps in its worst row "
            f"(allowed {row_limit:.3g}) and {in_all:.3g} eps in all (allowed {all_limit:.3g})"
        )
    return Outcome(notes=notes)


def _flips(flipped: int) -> str:
    if flipped == 1:
        return "1 choice differs from float64's, between scores equal to rounding"
    return f"{flipped} choices differ from float64's, each between scores equal to rounding"


def _routing_fault(
    subject: Subject, part: Layer, seen: dict[str, Tensor], right: dict[str, Tensor], eps: float
) -> tuple[str | None, int]:
    """Return what is wrong with what one `part` decided, by the float64 taps, and how many choices differ."""
    flipped = 0
    if part.assigned is not None:
        if strayed := int((seen["choice"] != part.assigned.choice).any(-1).sum()):
            return f"{strayed} of {len(seen['choice'])} tokens do not go to the experts that the routing assigns", 0
    elif "choice" in seen:
        worst, flipped = choice_fault(right["scores"], seen["choice"], eps)
        if worst > LOGIT_ERROR_EPS:
            return f"the router's choice is not the best: a chosen score lies {worst:.3g} eps below", flipped
    if "order" in seen:
        worst = order_fault(right["priority"][seen["order"]].view(_groups(subject), -1), eps)
        if worst > LOGIT_ERROR_EPS:
            return f"tokens are not served by priority: one is {worst:.3g} eps above an earlier one", flipped
    return None, flipped


@contextmanager
def _replaying(layer: Layer, seen: Sequence[dict[str, Tensor]]) -> Iterator[None]:
    """Force on each part what it was seen to decide."""
    with ExitStack() as stack:
        for part, shown in zip(layer.parts, seen, strict=True):
            if "choice" in shown:
                stack.enter_context(replaying(part, shown["choice"], shown.get("order")))
        yield


def _groups(subject: Subject) -> int:
    """Return how many groups of tokens compete for capacity."""
    return len(subject.x) if subject.case.group == "sequence" else 1


def errors(y: Tensor, expected: Tensor, eps: float) -> tuple[float, float]:
    """Return the worst row's error and the root mean square of all errors over that of the output, both in eps."""
    rms = (y.double() - expected).square().mean().sqrt() / (eps * expected.square().mean().sqrt())
    return float(scaled_error(y, expected, eps).max()), float(rms)


def allowed(case: Case) -> tuple[float, float]:
    """Return the errors that `case` may have, in eps, in its worst row and in all.

    A model may have no more than a layer: the stream that its blocks add to grows as their errors do (24 blocks: 11 and
    6 eps measured in float32, 4 and 1.4 in bfloat16).
    """
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
