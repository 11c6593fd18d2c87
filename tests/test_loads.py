"""The closed forms of loads against draws of the same routing, and what plan makes of them."""

from __future__ import annotations

import numpy as np
import pytest

from harness.case import Case
from harness.declare.costs import cost
from harness.declare.letters import letters
from harness.declare.loads import busiest, inclusion, touched
from harness.devices import open_device
from harness.layers import build
from harness.probes import make_subject
from harness.probes.assignment import draw
from tests.cases import token_choice

DECODE = {"experts": 32, "top_k": 2, "batch": 8, "tokens": 2}
LOADS = ("balanced", "iid", "zipf:1.2", "zipf:2", "hot", "hot:0.25", "hot:1")


def counts(case: Case, draws: int = 200) -> list[list[int]]:
    generator = np.random.default_rng(0)
    found = (np.bincount(draw(case, generator).ravel(), minlength=case.experts or 1).tolist() for _ in range(draws))
    return list(found)


@pytest.mark.parametrize("routing", LOADS)
def test_as_many_experts_are_touched_as_draws_touch(routing: str) -> None:
    case = token_choice(routing=routing, **DECODE)
    drawn = np.mean([sum(load > 0 for load in loads) for loads in counts(case)])
    assert touched(case, letters(case)) == pytest.approx(drawn, abs=1.0)


@pytest.mark.parametrize("routing", LOADS)
def test_the_busiest_expert_gets_what_it_gets_in_draws(routing: str) -> None:
    case = token_choice(routing=routing, experts=32, top_k=2, batch=8, tokens=64)
    drawn = np.mean([max(loads) for loads in counts(case, 20)])
    assert busiest(case, letters(case)) == pytest.approx(drawn, rel=0.1)


def test_inclusion_sums_to_k_and_falls_with_the_rank() -> None:
    for top_k, exponent in ((1, 1.2), (2, 0.8), (8, 2.0), (16, 1.0)):
        shares = inclusion(16, top_k, exponent)
        assert sum(shares) == pytest.approx(top_k)
        assert list(shares) == sorted(shares, reverse=True)
    assert inclusion(16, 1, 0.0) == pytest.approx([1 / 16] * 16)


def test_plan_prices_the_weights_that_a_load_touches() -> None:
    case = token_choice(routing="learned", **DECODE)
    random, even, steep = (cost(token_choice(routing=load, **DECODE)).bytes for load in ("iid", "balanced", "zipf:2"))
    assert cost(case).bytes == random
    assert steep < random < even  # one sequence of few tokens: an even load is the one that reads most weights


@pytest.mark.parametrize("routing", ["balanced", "zipf:1.2", "hot", "hot:1"])
@pytest.mark.parametrize(("backend", "within"), [("grouped", 0.05), ("loop", 0.1)])
def test_the_predicted_peak_follows_the_load(routing: str, backend: str, within: float) -> None:
    case = token_choice(routing=routing, backend=backend, experts=16, d_model=192, d_ff=768, batch=8, tokens=64)
    subject = make_subject(case, build(case))
    subject.run()
    measured = open_device("cpu").peak(subject.run).peak_bytes
    assert measured == pytest.approx(cost(case).memory_predicted, rel=within)
