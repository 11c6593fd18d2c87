"""How long `harness plan` thinks about a suite of 100,000 cases: read, expand, select, match, price and name them."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from harness.declare.plan import plan, plan_document
from harness.declare.suite import parse_suite

SUITE = """
title = "A hundred thousand cases"
[sweep]
size = ["Ti", "S", "B", "L", "H"]
batch = { from = 1, to = 512, times = 2 }
tokens = [64, 128, 196, 256, 512]
dtype = ["float32", "bfloat16"]
pass = ["forward", "forward_backward", "train"]
[[variant]]
name = "sparse"
layer = "token_choice"
sweep.experts = { from = 4, to = 256, times = 2 }
sweep.top_k = [1, 2]
sweep.capacity_factor = [1.0, 1.25, 2.0, "dropless"]
[[variant]]
name = "soft"
layer = "soft"
sweep.experts = [8, 16]
slots = "max(1, tokens // experts)"
[[variant]]
name = "dense"
layer = "dense"
match = { to = "sparse", on = "flops" }
[select]
exclude = ["size == 'H' and batch > 256 and experts > 128"]
"""


def _document() -> dict[str, Any]:
    return plan_document(plan(parse_suite(SUITE), select="batch >= 1 and tokens > 8"))


@pytest.mark.benchmark(group="plan")
def test_plan_of_a_hundred_thousand_cases(benchmark: BenchmarkFixture) -> None:
    document = benchmark.pedantic(_document, rounds=3)  # type: ignore[no-untyped-call]
    keys = {case["key"] for case in document["cases"]}
    assert len(keys) == len({case["id"] for case in document["cases"]}) == len(document["cases"])
    assert len(keys) >= 100_000
    benchmark.extra_info["cases"] = len(keys)
