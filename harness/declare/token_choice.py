"""Token choice's own part of the closed forms: what its backends can do, which one is best, and its noise."""

from __future__ import annotations

from harness.case import Case
from harness.declare.letters import Letters

GROUPED_ALIGNMENT = 16
"""Bytes that every row of an operand of torch's grouped_mm must be a multiple of."""

FEW_PER_EXPERT = {"cuda": 1.0}
"""Up to so many assignments an expert, `batched` is best on a device; it is nowhere on the others.

On a GPU the grouped products of few rows cost their launches, and where grouped_mm is no kernel a wait and a loop over
all experts as well; a copy of the weights of each assignment then moves no more than all experts' weights. Measured on
an A100, 60 experts, 16 tokens to 4 each: 52 ms batched, 64 ms grouped (Hugging Face, transformers PR 42697).
"""


def best(case: Case, device: str) -> str:
    """Return the backend that `best` means for a token-choice `case` on `device` (cpu, cuda)."""
    if case.capacity_factor is not None:
        return "grouped"
    assert case.experts is not None
    assert case.top_k is not None
    if case.sequence_tokens * case.top_k <= FEW_PER_EXPERT.get(device, 0.0) * case.experts:
        return "batched"
    return "loop" if unaligned(case) else "grouped"


def unsupported(case: Case, backend: str) -> str | None:
    """Return why a token-choice `case` cannot run by `backend`, in words, or None."""
    if case.balance == "load" and case.noise == "none":
        return 'balance = "load" is the chance of being chosen under noise, and there is none: give noise = "vmoe"'
    if case.capacity_factor is None:
        if backend == "onehot":
            return "one-hot dispatch needs a capacity: give capacity_factor, or use the grouped backend"
        return unaligned(case) if backend == "grouped" else None
    if backend in ("loop", "batched"):
        return f"the {backend} backend is dropless: leave capacity_factor out, or use the grouped or onehot backend"
    return None


def unaligned(case: Case) -> str | None:
    """Return what keeps torch's grouped_mm from these widths; in float64, which it does not take, a loop stands in."""
    multiple = GROUPED_ALIGNMENT // case.itemsize
    for name, width in (("d_model", case.d_model), ("d_ff", case.d_ff)):
        if case.dtype != "float64" and width % multiple:
            return f"grouped_mm needs {name} to be a multiple of {multiple} in {case.dtype}, and {width} is not"
    return None


def router_params(case: Case, n: Letters) -> int:
    """Return the parameters of the router: D E, and as many again for the width of learned noise."""
    return n.D * n.E * (2 if case.noise == "shazeer" else 1)


def router_flops(case: Case, n: Letters) -> int:
    """Return the forward FLOPs of the router: 2 T D E, and as many again for the width of learned noise in training."""
    return 2 * n.T * n.D * n.E * (2 if case.noise == "shazeer" and case.trains else 1)
