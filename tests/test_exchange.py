"""Exchange: messages by hand and against torch's all-to-all as it splits a buffer; the alpha-beta model by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.case import Case
from harness.declare.costs_exchange import exchange_bytes
from harness.declare.exchange import (
    Link,
    Network,
    all_to_all_seconds,
    buffer_bytes,
    count_bytes,
    exchange,
    on_own_ranks,
    rows_exchanged,
    share_of,
    split,
)  # fmt: skip
from tests.cases import block, dense, dense_moe, expert_choice, families, soft, stack, token_choice

NVLINK, NETWORK = Link(3e-6, 450e9), Link(14e-6, 50e9)
NODE = Network(8, NVLINK)
TWO_NODES = Network(8, NVLINK, NETWORK)
HIERARCHICAL = Network(8, NVLINK, NETWORK, "hierarchical")

ranks_and_nodes = st.integers(1, 8).flatmap(
    lambda per_node: st.tuples(
        st.just(per_node), st.one_of(st.integers(1, per_node), st.integers(1, 6).map(lambda k: k * per_node))
    )
)


# messages


def test_a_token_goes_to_k_experts() -> None:
    case = token_choice(batch=2, tokens=16, top_k=2)  # dropless
    assert rows_exchanged(case) == 2 * 32
    assert buffer_bytes(case) == 64 * 32 * 4
    assert buffer_bytes(token_choice(batch=2, tokens=16, top_k=2, dtype="bfloat16")) == 64 * 32 * 2


def test_with_a_capacity_every_place_is_sent_empty_ones_too() -> None:
    assert rows_exchanged(token_choice(batch=2, tokens=16, top_k=2, capacity_factor=0.5)) == 4 * 8
    assert rows_exchanged(token_choice(batch=2, tokens=16, top_k=2, capacity_factor=1.25)) == 4 * 20


def test_expert_choice_fills_every_place_and_soft_every_slot() -> None:
    assert rows_exchanged(expert_choice(batch=2, tokens=16, capacity_factor=2.0)) == 4 * 16
    assert rows_exchanged(soft(batch=2, experts=4, slots=3)) == 2 * 12
    assert rows_exchanged(soft(batch=2, tokens=999, experts=4, slots=3)) == 2 * 12  # whatever the tokens
    assert rows_exchanged(dense_moe(batch=2, tokens=16)) == 4 * 32
    assert rows_exchanged(dense()) == 0


def test_only_dropless_token_choice_must_say_first_how_many_rows_come() -> None:
    assert count_bytes(token_choice(experts=4)) == 4 * 8
    fixed = (soft(), expert_choice(), dense(), token_choice(capacity_factor=1.0))
    assert [count_bytes(case) for case in fixed] == [0, 0, 0, 0]


def test_padding_of_a_backend_is_not_sent() -> None:
    assert rows_exchanged(token_choice(backend="fixed_tile")) == rows_exchanged(token_choice())


@given(st.floats(1, 1e12), ranks_and_nodes)
def test_every_byte_of_a_buffer_goes_somewhere(num_bytes: float, where: tuple[int, int]) -> None:
    per_node, ranks = where
    goes = split(num_bytes, ranks, per_node)
    assert goes.stays + goes.node + goes.network == pytest.approx(num_bytes)
    assert goes.sent == pytest.approx(num_bytes * (ranks - 1) / ranks)
    assert min(goes.stays, goes.node, goes.network) >= 0


@pytest.mark.parametrize("ranks", [2, 4, 8, 16])
def test_what_all_ranks_send_all_ranks_receive(ranks: int) -> None:
    sent = [[1024 if to != own else 0 for to in range(ranks)] for own in range(ranks)]  # 1 KiB to each, as torch splits
    goes = split(1024 * ranks, ranks, 8)
    assert sum(sent[0]) == goes.sent
    assert sum(row[0] for row in sent) == goes.sent
    assert sum(n for to, n in enumerate(sent[0]) if to // 8 == 0) == goes.node


# times


def test_inside_a_node_by_hand() -> None:
    # 8 ranks, 64 MB each: 7 messages of 8 MB at 450 GB/s
    assert all_to_all_seconds(64e6, 8, NODE) == pytest.approx(7 * 3e-6 + 56e6 / 450e9)


def test_over_two_nodes_by_hand() -> None:
    # 16 ranks, 64 MB each: 7 messages of 4 MB inside, 8 of 4 MB outside, at once
    outside = 8 * 14e-6 + 32e6 / 50e9
    assert all_to_all_seconds(64e6, 16, TWO_NODES) == pytest.approx(outside)
    inside = 7 * 3e-6 + 56e6 / 450e9  # in two steps all but an eighth moves inside first, then one message of 32 MB
    assert all_to_all_seconds(64e6, 16, HIERARCHICAL) == pytest.approx(inside + 14e-6 + 32e6 / 50e9)


def test_two_steps_are_better_where_messages_are_small() -> None:
    assert all_to_all_seconds(16e3, 16, HIERARCHICAL) < all_to_all_seconds(16e3, 16, TWO_NODES)
    assert all_to_all_seconds(1e9, 16, HIERARCHICAL) > all_to_all_seconds(1e9, 16, TWO_NODES)


@pytest.mark.parametrize("over", [NODE, TWO_NODES, HIERARCHICAL])
def test_one_rank_exchanges_nothing(over: Network) -> None:
    for case in families():
        found = exchange(case, 1, over)
        assert (found.sent_bytes, found.network_bytes, found.seconds) == (0, 0, 0)


@given(ranks_and_nodes, st.floats(1, 1e10), st.floats(1.0, 100.0), st.sampled_from(["direct", "hierarchical"]))
def test_a_better_link_is_never_slower(where: tuple[int, int], num_bytes: float, times: float, by: str) -> None:
    per_node, ranks = where
    slow = Network(per_node, Link(1e-5, 1e9), Link(1e-4, 1e8), by)  # type: ignore[arg-type]
    for link in (Link(1e-5, 1e9 * times), Link(1e-5 / times, 1e9)):
        fast = Network(per_node, link, slow.network, slow.algorithm)
        assert all_to_all_seconds(num_bytes, ranks, fast) <= all_to_all_seconds(num_bytes, ranks, slow)


# of a case


def test_there_and_back_and_their_gradients() -> None:
    case = soft(batch=8, experts=4, slots=2)
    once = all_to_all_seconds(buffer_bytes(share_of(case, 4)), 4, NODE)
    assert exchange(case, 4, NODE).seconds == pytest.approx(2 * once)
    trained = exchange(soft(batch=8, experts=4, slots=2, pass_="forward_backward"), 4, NODE)
    assert trained.seconds == pytest.approx(4 * once)
    # 2 sequences of 8 slots of 32 floats, three quarters of which leave, twice
    assert exchange(case, 4, NODE).sent_bytes == 2 * (2 * 8 * 32 * 4) * 3 / 4


def test_token_choice_sends_its_counts_once() -> None:
    case = token_choice(batch=4, tokens=16, experts=4, pass_="forward_backward")
    rows, counts = 2 * 16 * 32 * 4, 4 * 8
    assert exchange(case, 4, NODE).sent_bytes == (4 * rows + counts) * 3 / 4


def test_a_dense_ffn_sends_nothing_and_a_stack_what_its_layers_send() -> None:
    assert exchange(dense(), 4, NODE).seconds == 0
    one = exchange(soft(batch=4), 4, NODE)
    assert exchange(block(soft(batch=4)), 4, NODE) == one
    assert exchange(stack(soft(batch=4), depth=4), 4, NODE).sent_bytes == 2 * one.sent_bytes  # every other block


def test_sequences_are_shared_out_whole() -> None:
    assert [share_of(soft(batch=8), n).batch for n in (1, 2, 3, 8, 16)] == [8, 4, 3, 1, 1]
    assert exchange(soft(batch=8), 16, TWO_NODES).network_bytes > 0


@pytest.mark.parametrize("pass_", ["forward", "forward_backward", "train"])
@pytest.mark.parametrize("make", [soft, token_choice])
def test_a_case_over_its_own_ranks_sends_what_they_will_be_seen_to_and_takes_what_the_link_says(
    make: Callable[..., Case], pass_: str
) -> None:
    case = make(batch=8, experts=8, expert_parallel=4, pass_=pass_)
    found = on_own_ranks(case, NVLINK)
    assert 4 * found.sent_bytes == exchange_bytes(case)
    turns = (2 if pass_ == "forward" else 4) + (make is token_choice)
    assert found.seconds == pytest.approx(turns * 3 * 3e-6 + exchange_bytes(case) / 4 / 450e9)
    assert found.seconds == exchange(make(batch=8, experts=8, pass_=pass_), 4, NODE).seconds
