"""The zero-FLOP audit: operators that a count passes over in silence.

`FlopCounterMode` counts 0 for an operator that it has no formula for, and says nothing. So every dispatched operator
without one is looked at: by its name (mm, mv, dot, conv, attention and the like), by where it comes from (nobody can
see into an operator that is not torch's own), and by its operands (two of them that share a width and cannot be laid
over each other are summed along it, or one is moved into the other, which the operators that do that are known for).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from harness.probes.flop_formulas import FORMULAS

_CONTRACTION = re.compile(r"(^|_)(\w*mm|b?mv|v?dot|conv\w*|attention|einsum|linear|matmul|bilinear|inner)(_|$)")
OWN = frozenset(("aten", "prim", "prims", "profiler"))
"""The namespaces of torch's own operators."""
COLLECTIVES = "c10d"
"""That of rows sent between ranks, or summed over them: as free as moves within one."""
FREE = frozenset((
    "_embedding_bag", "_embedding_bag_dense_backward", "_embedding_bag_forward_only", "_index_put_impl", "bucketize",
    "_embedding_bag_per_sample_weights_backward", "diagonal_scatter", "index_add", "index_copy", "index_put",
    "index_reduce", "masked_scatter", "scatter", "scatter_add", "scatter_reduce", "searchsorted", "select_scatter",
    "slice_scatter",
))  # fmt: skip
"""Operators that move rows, or add them up, between operands of unlike shapes: as free as elementwise work."""
_NORM = re.compile(r"(batch|group|instance|layer|rms)_norm")
"""Norms, whose weights lie along a dimension that need not be the last."""


def uncounted(run: Callable[[], object]) -> list[str]:
    """Return the operators in `run` that may be contractions and that the counter has no formula for, by name."""
    with _Audit() as audit:
        run()
    return sorted(audit.unknown)


class _Audit(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.unknown: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        packet = getattr(func, "overloadpacket", func)
        known = packet in flop_registry or packet in FORMULAS
        if not known and _is_suspect(func, packet.__name__, (*args, *(kwargs or {}).values())):
            self.unknown.add(str(packet))
        return func(*args, **(kwargs or {}))


def _is_suspect(func: Any, name: str, operands: Iterable[object]) -> bool:
    if func.namespace == COLLECTIVES:
        return False
    if func.namespace not in OWN or looks_like_contraction(name):
        return True
    return name.rstrip("_") not in FREE and not _NORM.search(name) and contracts(_shapes(operands))


def looks_like_contraction(name: str) -> bool:
    """Return whether an operator of this name multiplies and adds along a shared dimension, by the words in it."""
    return _CONTRACTION.search(name.strip("_")) is not None


def contracts(shapes: Iterable[tuple[int, ...]]) -> bool:
    """Return whether two of `shapes` share a width above 1 and cannot be laid over each other."""
    before: list[tuple[int, ...]] = []
    for shape in shapes:
        if any(set(shape) & set(other) - {1} and not _fit(shape, other) for other in before):
            return True
        before.append(shape)
    return False


def _fit(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    """Return whether one can be broadcast to the other."""
    return all(m == n or 1 in (m, n) for m, n in zip(reversed(a), reversed(b), strict=False))


def _shapes(operands: Iterable[object]) -> Iterator[tuple[int, ...]]:
    """Yield the shapes of the operands that hold real numbers, not indices; those in lists are only joined."""
    for operand in operands:
        if isinstance(operand, Tensor) and operand.is_floating_point() and operand.dim() > 0:
            yield tuple(operand.shape)
