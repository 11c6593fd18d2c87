"""Token choice's own part of the closed forms: what its backends can do, which one is best, and its noise."""

from __future__ import annotations

from harness.case import Case
from harness.declare.letters import Letters, filled

GROUPED_ALIGNMENT = 16
"""Bytes that every row of an operand of torch's grouped_mm must be a multiple of."""

FEW_PER_EXPERT = 1.0
"""Assignments an expert up to which `batched` is best on a GPU, in the dtypes that grouped_mm has no kernel for.

There grouped_mm waits for the device and loops over all experts, two launches each; a copy of the weights of every
assignment then moves no more than a few times all experts' weights. Measured elsewhere on an A100, 60 experts, 16
tokens to 4 each: 52 ms batched, 64 ms grouped (transformers PR 42697). In bfloat16 the kernel of compute capability 9.x
and 10.x reads each expert once and waits for nothing, where copies are read, written and read again.

On a CPU `batched` is best nowhere: 1.1 to 6.8 times the CPU time of `grouped` for 1 to 8 tokens (size S, 8 experts
top-2 and 64 top-8, float32 and bfloat16, interleaved blocks on one thread).
"""


def best(case: Case, device: str) -> str:
    """Return the backend that `best` means for a token-choice `case` on `device` (cpu, cuda)."""
    if case.capacity_factor is not None:
        return "grouped"
    if device == "cuda" and case.dtype != "bfloat16" and _assignments_per_expert(case) <= FEW_PER_EXPERT:
        return "batched"
    return "loop" if unaligned(case) else "grouped"


def _assignments_per_expert(case: Case) -> float:
    return case.sequence_tokens * (case.top_k or 1) / (case.experts or 1)


def unsupported(case: Case, backend: str) -> str | None:
    """Return why a token-choice `case` cannot run by `backend`, in words, or None."""
    if case.balance == "load" and case.noise == "none":
        return 'balance = "load" is the chance of being chosen under noise, and there is none: give noise = "vmoe"'
    if case.compile and (reason := _uncompilable(case, backend)):
        return reason
    if case.capacity_factor is None:
        if backend == "onehot":
            return "one-hot dispatch needs a capacity: give capacity_factor, or use the grouped backend"
        return unaligned(case) if backend == "grouped" else None
    if backend in ("loop", "batched"):
        return f"the {backend} backend is dropless: leave capacity_factor out, or use the grouped or onehot backend"
    return None


def _uncompilable(case: Case, backend: str) -> str | None:
    """Return why torch.compile cannot take this backend, in words, or None (torch 2.11 to 2.13)."""
    if backend == "grouped" and case.capacity_factor is None and case.dtype not in ("bfloat16", "float64"):
        return (
            f"torch.compile takes grouped_mm in bfloat16 alone, and this is {case.dtype}: use bfloat16, "
            'a capacity_factor, or backend = "batched"'
        )
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


def rows(case: Case, n: Letters) -> int:
    """Return the rows that the router and the shared experts run: the tokens, in `fixed_tile` filled up to tiles."""
    return filled(n.T) if case.backend == "fixed_tile" else n.T


def router_flops(case: Case, n: Letters, rows: int) -> int:
    """Return the forward FLOPs of a router of `rows`: 2 R D E, and again for the width of learned noise in training."""
    return 2 * rows * n.D * n.E * (2 if case.noise == "shazeer" and case.trains else 1)
