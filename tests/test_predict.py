"""Predict: the roofline by phase written out again in float64, what each term does, and what ranks share."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.case import Case
from harness.declare.costs import cost
from harness.declare.costs_launches import launches
from harness.declare.exchange import Link, Network, exchange
from harness.declare.predict import predict
from harness.declare.roofs import Roofs
from harness.declare.work import HELD, work
from tests.cases import block, dense, expert_choice, families, soft, stack, token_choice

PLAIN = Roofs({"float32": 2e9, "bfloat16": 8e9}, 1e9)
OVER = Network(8, Link(1e-6, 1e9))
WIDE = {"d_model": 64, "d_ff": 256, "experts": 8, "batch": 8, "tokens": 16}
PASSES = ("forward", "forward_backward", "train")


def written_out(case: Case, roofs: Roofs) -> float:
    """Return the forward time of one layer by numpy's float64, straight from the docstring's equation."""
    price = cost(case)
    flops = np.array([price.phases[phase] for phase in ("router", "dispatch", "experts", "combine")], np.float64)
    moved = np.array([price.phase_bytes[phase] for phase in ("router", "dispatch", "experts", "combine")], np.float64)
    rooflines = np.maximum(flops / roofs.flops_per_s[case.dtype], moved / roofs.bytes_per_s)
    rows = price.phases["experts"] / (4 * case.d_model * case.d_ff)  # of an FFN that is not gated
    activation = 2 * rows * case.d_ff * case.itemsize / roofs.bytes_per_s
    return float(rooflines.sum() + activation + launches(case) * roofs.launch_s)


@pytest.mark.parametrize("case", families(), ids=lambda case: case.variant)
@pytest.mark.parametrize("roofs", [PLAIN, replace(PLAIN, launch_s=1e-5), replace(PLAIN, bytes_per_s=1e12)])
def test_the_equation_holds(case: Case, roofs: Roofs) -> None:
    assert predict(case, roofs).seconds == pytest.approx(written_out(case, roofs))


def test_by_hand() -> None:
    # 32 tokens of 32, hidden 64: 4 * 32 * 32 * 64 FLOPs; 2 * 32 * 64 + 96 weights, rows in and out, hidden rows twice
    found = predict(dense(), PLAIN)
    products, moved = 262_144 / 2e9, (4192 + 2 * 32 * 32) * 4 / 1e9
    assert found.phases["experts"] == pytest.approx(max(products, moved) + 2 * 32 * 64 * 4 / 1e9)
    assert found.compute_s == pytest.approx(products)
    assert found.bound == "compute"
    assert (found.launch_s, found.exchange.seconds) == (0, 0)


def test_a_host_that_launches_ahead_costs_only_what_the_device_waits_for() -> None:
    slow = replace(PLAIN, launch_s=1.0)
    count = launches(soft())
    bare = predict(soft(), PLAIN).seconds
    assert predict(soft(), slow).seconds == pytest.approx(bare + count)
    assert predict(soft(), replace(slow, overlaps=True)).seconds == pytest.approx(count)
    assert predict(soft(), replace(PLAIN, launch_s=1e-12, overlaps=True)).seconds == pytest.approx(bare)
    assert predict(soft(), slow).bound == "launch"


def test_products_of_few_rows_are_slower_than_the_best() -> None:
    curve = [[1.0, 1e8], [1024.0, 2e9]]
    few = replace(PLAIN, products={"float32": [[1.0, curve]]})
    case = soft(batch=1, experts=32, slots=1)  # one row an expert
    assert predict(case, few).phases["experts"] > 4 * predict(case, PLAIN).phases["experts"]
    assert predict(case, few).bound == predict(case, PLAIN).bound == "memory"  # its intensity is what it was


def test_bandwidth_bounds_few_tokens_and_products_bound_many() -> None:
    assert predict(dense(batch=1, tokens=1), PLAIN).bound == "memory"
    assert predict(dense(batch=64, tokens=64), PLAIN).bound == "compute"


@pytest.mark.parametrize("pass_", PASSES)
@pytest.mark.parametrize("case", [*families(), block(soft()), stack(token_choice())], ids=lambda case: case.id)
def test_no_better_device_is_slower(case: Case, pass_: str) -> None:
    case = replace(case, pass_=pass_)
    before = predict(case, PLAIN).seconds
    assert predict(case, replace(PLAIN, bytes_per_s=2e9)).seconds <= before
    assert predict(case, replace(PLAIN, flops_per_s={"float32": 4e9})).seconds <= before
    assert predict(case, replace(PLAIN, copies=[[1.0, 5e9], [1e12, 1e9]])).seconds <= before


@pytest.mark.parametrize("case", [*families(), stack(soft())], ids=lambda case: case.id)
def test_a_longer_pass_takes_longer(case: Case) -> None:
    forward, both, train = (predict(replace(case, pass_=pass_), PLAIN).seconds for pass_ in PASSES)
    assert forward < both < train


def test_work_has_the_flops_that_the_closed_form_executes() -> None:
    for case in (*families(), token_choice(capacity_factor=1.0, backend="onehot")):
        for pass_ in PASSES[:2]:
            own = replace(case, pass_=pass_)
            assert sum(work(own).flops.values()) == pytest.approx(cost(own).flops_executed)


# ranks


@given(st.sampled_from([1, 2, 4, 8]), st.sampled_from(PASSES))
def test_ranks_share_the_rows_and_the_experts(ranks: int, pass_: str) -> None:
    for case in (soft(**WIDE, pass_=pass_), expert_choice(**WIDE, group="sequence", pass_=pass_)):
        alone, mine = work(case), work(case, ranks)
        assert mine.flops["experts"] * ranks == pytest.approx(alone.flops["experts"])
        assert mine.moved["experts"] * ranks == pytest.approx(alone.moved["experts"])


def test_every_rank_reads_its_experts_for_the_tokens_of_all() -> None:
    case = token_choice(**WIDE, top_k=2)
    weights = 8 * (2 * 64 * 256 + 256 + 64) * 4
    rows = 2 * (2 * 128) * 64 * 4
    assert work(case, 4).moved["experts"] == pytest.approx((weights + rows) / 4)
    assert work(case, 4).rows["experts"] == work(case).rows["experts"] == 2 * 128 / 8


def test_a_router_stands_on_every_rank() -> None:
    case = token_choice(**WIDE)
    assert work(case, 8).moved["router"] > work(case).moved["router"] / 8


@pytest.mark.parametrize("pass_", PASSES)
def test_memory_shrinks_by_the_experts_that_stand_elsewhere(pass_: str) -> None:
    case = soft(**WIDE, pass_=pass_)
    quarter = replace(case, batch=2)
    elsewhere = 6 * (2 * 64 * 256 + 256 + 64) * 4
    assert work(case, 4).memory == cost(quarter).memory_needed - HELD[pass_] * elsewhere
    assert work(case).memory == cost(case).memory_needed


def test_dense_layers_are_shared_by_tokens_alone() -> None:
    assert work(dense(batch=8), 8).weights == work(dense(batch=8)).weights
    assert work(dense(batch=8), 8).flops["experts"] * 8 == work(dense(batch=8)).flops["experts"]


def test_the_exchange_comes_on_top() -> None:
    case = soft(**WIDE)
    found, sent = predict(case, PLAIN, ranks=4, over=OVER), exchange(case, 4, OVER)
    assert found.exchange == sent
    assert found.phases["exchange"] == sent.seconds > 0
    assert found.seconds == pytest.approx(sum(found.phases.values()))
    slow = predict(case, PLAIN, ranks=4, over=Network(8, Link(1.0, 1e9)))
    assert slow.bound == "exchange"


def test_one_rank_is_the_layer_alone() -> None:
    for case in (*families(), block(token_choice()), stack(soft())):
        assert predict(case, PLAIN, ranks=1, over=OVER) == predict(case, PLAIN)


def test_a_missing_ceiling_is_no_time() -> None:
    with pytest.raises(KeyError):
        predict(dense(dtype="float16"), PLAIN)
