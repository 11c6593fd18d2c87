"""Routing: queues and drops, replay, who depends on whom, and the maps between tokens and rows."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from harness.case import Case
from harness.declare.costs import capacity
from harness.layers import build, routing
from harness.layers.interface import Layer, observing, replaying
from harness.probes.rows import Taps
from tests.cases import dense, expert_choice, families, soft, token_choice

CAPACITY = [
    token_choice(variant="capacity", capacity_factor=1.0, backend=backend, batch=4)
    for backend in ("reference", "onehot", "grouped")
]

CHOOSING = [case for case in families() if case.layer in ("token_choice", "expert_choice")]


def _input(case: Case, seed: int = 0) -> Tensor:
    return torch.randn(case.batch, case.tokens, case.d_model, generator=torch.Generator().manual_seed(seed))


def _run(layer: Layer, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    with torch.no_grad(), observing(layer, taps := Taps()):
        return layer(x), taps.seen


def test_first_choices_are_served_before_second_ones_and_tokens_in_order() -> None:
    choice = torch.tensor([[0, 1], [0, 2], [1, 0], [0, 1]])  # 4 tokens, 2 choices
    places = [[0, 1], [1, 0], [0, 3], [2, 2]]
    assert routing.positions(choice, experts=3, groups=1).tolist() == places
    assert routing.positions(choice, experts=3, groups=2).tolist() == [[0, 0], [1, 0], [0, 1], [0, 1]]


@settings(max_examples=60, deadline=None)
@given(
    tokens=st.integers(1, 12),
    groups=st.integers(1, 3),
    experts=st.integers(1, 5),
    room=st.integers(1, 6),
    seed=st.integers(0, 99),
)
def test_sorting_serves_the_queues_as_counting_does(
    tokens: int, groups: int, experts: int, room: int, seed: int
) -> None:
    scores = torch.rand(tokens * groups, experts, generator=torch.Generator().manual_seed(seed))
    choice = scores.topk(min(2, experts), dim=-1).indices
    token = torch.arange(len(choice))[:, None].expand_as(choice)
    place = routing.positions(choice, experts, groups)
    to = routing.slot(choice, experts, groups, room)
    assert torch.equal(to.kept, place < room)
    rows = ((choice * groups + token // tokens) * room + place)[to.kept]
    assert torch.equal(to.row[to.kept], rows)
    assert torch.equal(to.token[rows], token[to.kept])
    flat = routing.sort(choice, experts)
    assert torch.equal(flat.token[flat.row], token)
    assert torch.equal(flat.expert[flat.row], choice)
    assert flat.ends.tolist() == [int((choice <= e).sum()) for e in range(experts)]
    assert flat.ends.dtype == torch.int32


@pytest.mark.parametrize("case", CAPACITY, ids=lambda case: str(case.backend))
def test_a_token_dropped_by_all_its_experts_gets_exactly_zero(case: Case) -> None:
    layer = build(replace(case, capacity_factor=0.5))
    y, seen = _run(layer, _input(case))
    lost = ~seen["kept"].any(-1)
    assert 0 < int(lost.sum()) < len(lost)
    assert not y.flatten(0, 1)[lost].any()
    assert y.flatten(0, 1)[~lost].any(-1).all()
    assert not seen["expert_output"][~seen["kept"]].any()


@pytest.mark.parametrize("case", CAPACITY, ids=lambda case: str(case.backend))
def test_no_expert_keeps_more_than_its_room(case: Case) -> None:
    _, seen = _run(build(case), _input(case))
    kept = torch.bincount(seen["choice"][seen["kept"]], minlength=4)
    assert torch.equal(kept, seen["load"].clamp(max=capacity(case)))


def test_the_taps_agree_between_backends() -> None:
    for group in ("batch", "sequence"):
        taps = [_run(build(replace(case, group=group)), _input(case))[1] for case in CAPACITY]
        for other in taps[1:]:
            assert other.keys() == taps[0].keys()
            for name, value in taps[0].items():
                torch.testing.assert_close(other[name], value, rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.parametrize("case", CHOOSING, ids=lambda case: str(case.variant))
@pytest.mark.parametrize("backend", ["best", "reference"])
def test_replaying_a_layers_own_choice_changes_nothing(case: Case, backend: str) -> None:
    layer, x = build(replace(case, backend=backend)), _input(case)
    y, seen = _run(layer, x)
    with replaying(layer, seen["choice"]):
        again, replayed = _run(layer, x)
    assert torch.equal(again, y)
    assert torch.equal(replayed["choice"], seen["choice"])


@pytest.mark.parametrize("case", CHOOSING, ids=lambda case: str(case.variant))
def test_replaying_another_choice_moves_the_rows(case: Case) -> None:
    fast, plain, x = build(case), build(replace(case, backend="reference")), _input(case)
    y, seen = _run(fast, x)
    other = (seen["choice"] + 1) % (case.tokens * case.batch if case.layer == "expert_choice" else 4)
    with replaying(fast, other), replaying(plain, other):
        moved, taps = _run(fast, x)
        torch.testing.assert_close(moved, _run(plain, x)[0], rtol=1e-4, atol=1e-5)
    assert torch.equal(taps["logits"], seen["logits"])
    assert not torch.allclose(moved, y, atol=1e-3)


def test_replay_means_nothing_to_layers_that_do_not_choose() -> None:
    for case in (dense(), soft()):
        layer, x = build(case), _input(case)
        y, _ = _run(layer, x)
        with replaying(layer, torch.zeros(1, dtype=torch.long)):
            assert torch.equal(_run(layer, x)[0], y)


def _companions_matter(case: Case) -> bool:
    """Whether sequence 2 gets another output, beyond rounding, when its companions load other experts."""
    layer, x = build(replace(case, dtype="float64")), _input(case).double()
    mean = torch.randn(case.d_model, generator=torch.Generator().manual_seed(5)).double()
    others = _input(case, 1).double() + mean
    others[2] = x[2]
    return not torch.allclose(_run(layer, x)[0][2], _run(layer, others)[0][2], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("backend", ["reference", "best"])
@pytest.mark.parametrize(
    ("case", "coupled"),
    [
        (dense(batch=4), False),
        (token_choice(batch=4), False),
        (token_choice(batch=4, capacity_factor=1.0, group="batch"), True),
        (token_choice(batch=4, capacity_factor=1.0, group="sequence"), False),
        (expert_choice(batch=4, group="batch"), True),
        (expert_choice(batch=4, group="sequence"), False),
        (soft(batch=4, slots=2), False),
    ],
    ids=["dense", "dropless", "capacity-batch", "capacity-sequence", "ec-batch", "ec-sequence", "soft"],
)
def test_only_what_competes_over_the_batch_depends_on_its_companions(case: Case, coupled: bool, backend: str) -> None:
    assert _companions_matter(replace(case, backend=backend)) is coupled


def test_softmax_of_half_precision_is_taken_in_float32() -> None:
    logits = torch.tensor([[1.0, 2.0]], dtype=torch.bfloat16)
    assert routing.softmax(logits, -1).dtype == torch.float32
    assert routing.softmax(logits.double(), -1).dtype == torch.float64


def test_expert_choice_gives_every_expert_as_many_tokens() -> None:
    case = expert_choice(capacity_factor=2.0)
    _, seen = _run(build(case), _input(case))
    assert seen["choice"].shape == (1, 4, capacity(case))
    assert seen["load"].tolist() == [capacity(case)] * 4
