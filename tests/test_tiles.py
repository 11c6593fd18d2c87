"""The fixed tile: the same mathematics, every row by the same product, and the filling paid for and counted."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.case import Case
from harness.declare.costs import cost, unsupported
from harness.declare.letters import TILE_ROWS, expert_tiles, letters
from harness.devices.cpu import CpuDevice
from harness.layers import build, reference_of, tiles
from harness.layers.interface import replaying
from harness.probes.flop_formulas import count_flops
from harness.probes.rows import scaled_error, tapping
from harness.probes.subject import make_subject
from tests.cases import dense, token_choice

TILED = [
    dense(backend="fixed_tile"),
    dense(backend="fixed_tile", gated=True, activation="silu"),
    token_choice(backend="fixed_tile"),
    token_choice(backend="fixed_tile", shared_experts=1, top_k=1),
    token_choice(backend="fixed_tile", capacity_factor=1.0),
    token_choice(backend="fixed_tile", capacity_factor=0.5, group="sequence", drop="priority", gated=True),
]


@pytest.mark.parametrize("case", TILED, ids=lambda case: case.id)
@pytest.mark.parametrize(("batch", "tokens"), [(1, 1), (2, 16), (3, 50)])
def test_it_computes_what_the_reference_computes(case: Case, batch: int, tokens: int) -> None:
    subject = make_subject(own := replace(case, batch=batch, tokens=tokens), build(own))
    with tapping(subject.layer) as (seen,):
        y = subject.run()
    reference = reference_of(subject.layer)
    replay = replaying(reference, seen["choice"], seen.get("order")) if "choice" in seen else nullcontext()
    with torch.no_grad(), replay:
        right = reference(subject.x.double())
    assert float(scaled_error(y, right, torch.finfo(y.dtype).eps).max()) < 32


@pytest.mark.parametrize("case", TILED, ids=lambda case: case.id)
@pytest.mark.parametrize(("batch", "tokens"), [(1, 1), (2, 16), (3, 50)])
def test_the_count_is_the_closed_form_with_the_filling_in_it(case: Case, batch: int, tokens: int) -> None:
    subject = make_subject(own := replace(case, batch=batch, tokens=tokens), build(own))
    price, plain = cost(own), cost(replace(own, backend="reference"))
    assert count_flops(subject.run) == price.flops_executed
    assert price.flops_executed > plain.flops_executed
    assert price.flops_model == plain.flops_model
    assert letters(own).R % TILE_ROWS == 0


@pytest.mark.parametrize("case", TILED, ids=lambda case: case.id)
def test_the_predicted_peak_is_near_the_allocators(case: Case) -> None:
    subject = make_subject(own := replace(case, batch=4, tokens=196, d_model=64, d_ff=256), build(own))
    subject.run()
    measured = CpuDevice().peak(subject.run).peak_bytes
    assert cost(own).memory_predicted == pytest.approx(measured, rel=0.25)


@given(load=st.lists(st.integers(0, 300), min_size=1, max_size=9))
@settings(max_examples=60, deadline=None)
def test_tiles_hold_any_load_and_no_two_experts_share_one(load: list[int]) -> None:
    loads = torch.tensor(load)
    starts, owners = tiles.starts(loads), tiles.owners(loads)
    assert len(owners) == expert_tiles(sum(load), len(load))
    for expert, (start, count) in enumerate(zip(starts.tolist(), load, strict=True)):
        rows = range(start, start + count)
        assert {owners[row // TILE_ROWS] for row in rows} <= {expert}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("layer", ["dense", "token_choice"])
def test_a_row_keeps_its_bits_in_any_company(layer: str, dtype: str) -> None:
    """At a width where the fused product does not; see `test_determinism.py`."""
    wide: dict[str, Any] = {"d_model": 512, "d_ff": 1024, "backend": "fixed_tile", "dtype": dtype, "tokens": 1}
    built = build(dense(**wide) if layer == "dense" else token_choice(**wide))
    x = torch.randn(300, 1, 512, generator=torch.Generator().manual_seed(0)).to(getattr(torch, dtype))
    with torch.no_grad():
        full = built(x)
        for start, stop in ((0, 1), (7, 8), (3, 20), (100, 164), (299, 300)):
            assert torch.equal(built(x[start:stop]), full[start:stop])


def test_it_says_what_it_cannot_do() -> None:
    for change in ({"pass_": "train"}, {"compile": True}):
        assert "control of determinism" in str(unsupported(dense(backend="fixed_tile", **change)))
    assert "has no backend" in str(
        unsupported(replace(dense(), layer="soft", experts=4, slots=1, backend="fixed_tile"))
    )
    assert build(token_choice(backend="fixed_tile")).remarks == [tiles.WAITS_REMARK]
