"""Roofs: rates between what was measured, and what is not known."""

from __future__ import annotations

import math
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.declare.roofs import Roofs, at
from harness.devices.ceilings import Ceilings

CURVE = [[1.0, 1e9], [16.0, 1.6e10], [256.0, 4e10]]
BANKS = [[4e6, CURVE], [4e8, [[1.0, 1e8], [16.0, 1.6e9], [256.0, 4e10]]]]
ROOFS = Roofs({"float32": 5e10}, 1e10, products={"float32": BANKS}, copies=[[1e6, 1e11], [1e9, 1e10]])


def test_between_two_sizes_the_line_is_logarithmic() -> None:
    assert at(CURVE, 4) == pytest.approx(4e9)
    assert at(CURVE, 64) == pytest.approx(math.sqrt(1.6e10 * 4e10))
    assert [at(CURVE, size) for size in (0.1, 1, 256, 1e6)] == [1e9, 1e9, 4e10, 4e10]


def test_products_of_few_rows_are_slow_and_slower_where_no_cache_holds_the_weights() -> None:
    assert ROOFS.flops_rate("float32", 16, 1e6) == pytest.approx(1.6e10)
    assert ROOFS.flops_rate("float32", 16, 1e10) == pytest.approx(1.6e9)
    assert ROOFS.flops_rate("float32", 16, 4e7) == pytest.approx(math.sqrt(1.6e10 * 1.6e9))


def test_what_a_cache_holds_moves_faster() -> None:
    assert ROOFS.bytes_rate(1e3) == pytest.approx(1e11)
    assert ROOFS.bytes_rate(1e12) == pytest.approx(1e10)


def test_what_was_not_measured_is_the_best_rate() -> None:
    bare = Roofs({"float32": 5e10}, 1e10)
    assert (bare.flops_rate("float32", 1, 1e9), bare.bytes_rate(1)) == (5e10, 1e10)
    with pytest.raises(KeyError):
        bare.flops_rate("bfloat16", 1, 1)


@given(st.floats(0.5, 1e6), st.floats(1, 1e12))
def test_no_rate_is_above_the_best(rows: float, num_bytes: float) -> None:
    assert 0 < ROOFS.flops_rate("float32", rows, num_bytes) <= 5e10
    assert ROOFS.bytes_rate(num_bytes) >= 1e10


def test_ceilings_of_an_older_version_are_roofs_too() -> None:
    old = Ceilings("a device", {"float32": 1e11}, 1e10, 2 << 30, "2025-01-01T00:00:00Z", "2.13.0")
    found = Roofs.read(asdict(old), "cpu")
    assert (found.launch_s, found.overlaps, found.products, found.copies) == (0.0, False, {}, ())
    assert Roofs.read(asdict(old), "cuda").overlaps
