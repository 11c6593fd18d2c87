"""The link between ranks: planted links come back from the times that they give; real ranks measure one, once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from harness.case import Case
from harness.declare.exchange import Link, Network, all_to_all_seconds
from harness.devices.interface import Block
from harness.layers.exchange import Exchange
from harness.parallel.device import RankDevice
from harness.parallel.lines import Ask
from harness.parallel.link import CALLS, LARGE_BYTES, TURNS, link_of, measure_link
from harness.parallel.ranks import Ranks
from harness.probes.outcome import Outcome
from tests.cases import soft, token_choice

PLANTED = Link(150e-6, 0.65e9)


@given(st.floats(1e-7, 1e-2), st.floats(1e7, 1e12), st.integers(2, 16), st.floats(1e6, 1e9))
def test_a_link_comes_back_from_the_times_that_it_gives(alpha: float, beta: float, ranks: int, size: float) -> None:
    over = Network(ranks, Link(alpha, beta))
    short, long = (all_to_all_seconds(num_bytes, ranks, over) for num_bytes in (0.0, size))
    assume(long - short > 1e-6 * short)  # below, it is lost in the digits of a float
    found = link_of(short, long, size, ranks)
    assert found is not None
    assert found.latency_s == pytest.approx(alpha)
    assert found.bytes_per_s == pytest.approx(beta, rel=1e-6)


@pytest.mark.parametrize(("short", "long"), [(2e-3, 1e-3), (1e-3, 1e-3), (0.0, 1e-3)])
def test_times_that_no_link_gives_tell_none(short: float, long: float) -> None:
    assert link_of(short, long, 1e6, 2) is None


class Moves:
    """An exchange of two ranks that only counts its bytes."""

    ranks = 2
    moved = 0

    def move(self, rows: Any, send: list[int], receive: list[int]) -> Any:
        assert send == receive == [len(rows) // 2] * 2
        self.moved = rows.nbytes
        return rows


class Timed:
    """A device on which exchanges take what the planted link says, but for the first and a few disturbed turns."""

    kind = torch_name = "cpu"

    def __init__(self, moves: Moves) -> None:
        self._moves, self.calls = moves, list[int]()

    def time(self, run: Callable[[], object], calls: int, *, cold: bool) -> Block:
        assert not cold
        run()
        self.calls.append(calls)
        slowed = 50.0 if len(self.calls) < 8 else 1.0
        seconds = slowed * all_to_all_seconds(self._moves.moved, 2, Network(2, PLANTED))
        return Block(seconds, seconds, calls)


def test_a_few_disturbed_turns_do_not_move_the_median() -> None:
    moves = Moves()
    device = Timed(moves)
    found = measure_link(cast("Exchange", moves), cast("RankDevice", device))
    assert found is not None
    assert found.latency_s == pytest.approx(PLANTED.latency_s, rel=1e-3)  # four bytes are next to nothing
    assert found.bytes_per_s == pytest.approx(PLANTED.bytes_per_s, rel=1e-3)
    assert device.calls == [CALLS, 1] * (1 + TURNS)
    assert moves.moved == LARGE_BYTES["cpu"]


@pytest.fixture(scope="module")
def ranks() -> Iterator[Ranks]:
    started = Ranks(2, "cpu", 1, 1 << 28)
    yield started
    started.end()


def exchanged(ranks: Ranks, case: Case) -> Outcome:
    settings: dict[str, float | int] = {"seconds_per_visit": 0.002, "min_samples": 2, "timeout": 100.0, "seed": 0}
    return ranks.ask(Ask(case.variant, case.as_dict(), "exchange", settings), 100.0).read_outcome()


def test_two_ranks_measure_their_link_once_for_all_cases(ranks: Ranks) -> None:
    first, second = (exchanged(ranks, case) for case in (soft(expert_parallel=2), token_choice(expert_parallel=2)))
    assert first.incorrect is second.incorrect is None
    for name in ("link_latency_us", "link_gb_per_s"):
        value = first.values[name]
        assert isinstance(value, float)
        assert 0 < value < math.inf
        assert second.values[name] == value
        assert first.n[name] == TURNS
    assert "exchange_bytes" in first.values
