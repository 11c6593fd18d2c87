"""FLOPs of the operators that torch's counter knows nothing of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

Shape = tuple[int, ...]


def grouped_mm_flops(a: Shape, b: Shape, *_: Any, **__: Any) -> int:
    """Return the FLOPs of one grouped product from its operands' shapes; every row counts, as if `offs` covers all.

    [R, D] x [E, D, F] is the forward product and the input's gradient, [D, R] x [R, F] the weight's gradient.
    """
    if len(a) == 2:
        return 2 * a[0] * a[1] * b[-1]
    if len(b) == 2:
        return 2 * a[1] * a[2] * b[1]
    return 2 * a[0] * a[1] * a[2] * b[2]


def attention_flops(query: Shape, key: Shape, value: Shape, *_: Any, **__: Any) -> int:
    """Return the FLOPs of one fused attention [B, h, m, d_h], as torch has them for CUDA's: masks save nothing."""
    return int(sdpa_flop_count(query, key, value))  # type: ignore[no-untyped-call]


def attention_backward_flops(upstream: Shape, query: Shape, key: Shape, value: Shape, *_: Any, **__: Any) -> int:
    """Return the FLOPs of its backward pass: five products, one of which computes the scores again."""
    return int(sdpa_backward_flop_count(upstream, query, key, value))  # type: ignore[no-untyped-call]


def mv_flops(matrix: Shape, *_: Any, **__: Any) -> int:
    """Return the FLOPs of a matrix [m, k] times a vector, as a batch of one token takes it."""
    return 2 * matrix[0] * matrix[1]


def addmv_flops(added: Shape, matrix: Shape, *_: Any, **__: Any) -> int:
    """Return those of one with something added."""
    return mv_flops(matrix)


def dot_flops(a: Shape, *_: Any, **__: Any) -> int:
    """Return the FLOPs of two vectors' inner product."""
    return 2 * a[0]


def int_mm_flops(a: Shape, b: Shape, *_: Any, **__: Any) -> int:
    """Return the FLOPs of a product of integers, [m, k] x [k, n]."""
    return 2 * a[0] * a[1] * b[1]


FORMULAS: dict[Any, Callable[..., int]] = {
    torch.ops.aten._grouped_mm: grouped_mm_flops,
    torch.ops.aten._int_mm: int_mm_flops,
    torch.ops.aten.mv: mv_flops,
    torch.ops.aten.addmv: addmv_flops,
    torch.ops.aten.dot: dot_flops,
    torch.ops.aten.vdot: dot_flops,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: attention_flops,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: attention_backward_flops,
}
"""Formula by operator; torch 2.13 counts 0 for each of them."""


def count_flops(run: Callable[[], object]) -> int:
    """Return the matmul FLOPs of one call of `run`, backward passes inside it included."""
    with FlopCounterMode(display=False, custom_mapping=FORMULAS) as counter:
        run()
    return int(counter.get_total_flops())
