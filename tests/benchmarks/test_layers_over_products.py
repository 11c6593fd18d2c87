"""How much longer a layer takes than its matrix products alone: products of the same shapes, bare, in turns with it.

`ratio` in the extra information is the median over turns of layer over products, so that a neighbour who takes the
cores for a while slows both. The bound for Soft MoE is 1.15. What is above 1: norms, softmaxes, activations, biases,
and turning slots to experts and back.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from statistics import median
from typing import Any

import pytest
import torch

from harness.case import Case
from harness.declare.letters import letters
from harness.layers import build
from harness.layers.interface import torch_dtype
from harness.probes import make_subject
from tests.cases import dense_moe, expert_choice, soft

TURNS = 9
SHAPES = [
    (case, dtype, pass_, batch)
    for case in (soft(experts=8, slots=32), soft(experts=128, slots=2), expert_choice(experts=8), dense_moe(experts=4))
    for dtype in ("float32", "bfloat16")
    for pass_ in ("forward", "forward_backward")
    for batch in (1, 4, 16)
]
"""256, 1024 and 4096 tokens in sequences of 256, which have 256 slots."""
WIDTH: dict[str, Any] = {"d_model": 384, "d_ff": 1536, "tokens": 256}

Shape = tuple[int, int, int, int]
"""Batch, rows, inner and outer width of a product."""


def shapes(case: Case) -> list[Shape]:
    """Return the products of one forward pass of an ungated layer."""
    n = letters(case)
    if case.layer == "dense_moe":
        return [(1, n.T, n.D, n.E), (1, n.T, n.D, n.E * n.F), (1, n.T, n.E, n.D), (1, n.T, n.E * n.F, n.D)]
    experts = [(n.E, n.R // n.E, n.D, n.F), (n.E, n.R // n.E, n.F, n.D)]
    if case.layer == "soft":
        return [(1, n.T, n.D, n.S), (n.B, n.S, n.m, n.D), (n.B, n.m, n.S, n.D), *experts]
    return [(1, n.T, n.D, n.E), *experts]


def products(case: Case) -> Callable[[], None]:
    """Return what does the products of the case's pass and nothing else."""
    calls = [product for shape in shapes(case) for product in _of(shape, case)]

    def run() -> None:
        for call in calls:
            call()

    return run


def _of(shape: Shape, case: Case) -> list[Callable[[], torch.Tensor]]:
    batch, rows, inner, outer = shape
    a, b, c = (torch.randn(batch, *s).to(torch_dtype(case)) for s in ((rows, inner), (inner, outer), (rows, outer)))
    if batch == 1:
        a, b, c = a[0], b[0], c[0]
    backward = [lambda: c @ b.mT, lambda: a.mT @ c] if case.trains else []
    return [lambda: a @ b, *backward]


@pytest.mark.benchmark(group="layers over their products")
@pytest.mark.parametrize(
    ("case", "dtype", "pass_", "batch"),
    SHAPES,
    ids=[f"{case.layer}-e{case.experts}-T{256 * batch}-{dtype}-{pass_}" for case, dtype, pass_, batch in SHAPES],
)
def test_layer(benchmark: Any, case: Case, dtype: str, pass_: str, batch: int) -> None:
    case = replace(case, dtype=dtype, pass_=pass_, batch=batch, **WIDTH)
    subject, bare = make_subject(case, build(case)), products(case)
    subject.run()
    ratios = [_seconds(subject.run) / _seconds(bare) for _ in range(TURNS)]
    benchmark.extra_info["ratio"] = round(median(ratios), 3)
    print(f"\n{case.id}: {median(ratios):.3f} times its products")
    benchmark.pedantic(subject.run, rounds=3)


def _seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start
