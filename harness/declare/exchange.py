"""Exchange: what expert parallelism sends between ranks, and how long that takes by an alpha-beta model; pure numbers.

Sequences and experts are both shared out over n ranks: each token's rows go to the ranks that hold its experts (one
all-to-all), and come back (another); the gradients of both go the same ways. A rank lays B bytes into an all-to-all,
rows to itself among them, and an n-th of them stays. Sent at once to all others, a message of b bytes takes
`alpha + b / beta` (Hockney 1994), a rank's own messages one after another:

    alpha (n - 1) + B (n - 1) / n / beta

Over nodes of g ranks the (g - 1) messages inside the node and the (n - g) to other nodes go over links of their own at
the same time (`direct`, as NCCL sends them), or in two steps (`hierarchical`; Tutel's 2DH, Hwang et al. 2022, arXiv
2206.03382, section 3.2): first in the node, then between nodes, where n / g - 1 larger messages are left.

Loads are taken as even: what is said of dropless token choice is the mean, and a crowded expert's rank receives more.
Gradients of weights that stand on every rank, which a training step sums over ranks, are left out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from harness.case import Case
from harness.declare.costs_traffic import ID_BYTES
from harness.declare.letters import letters
from harness.declare.scopes import layers_of

Algorithm = Literal["direct", "hierarchical"]


@dataclass(frozen=True, slots=True)
class Link:
    """What joins two ranks."""

    latency_s: float
    """Alpha: seconds that a message takes however short it is."""
    bytes_per_s: float
    """Beta: bytes a second that one rank sends, the other way at the same time."""

    def seconds(self, messages: int, num_bytes: float) -> float:
        """Return how long so many messages of so many bytes in all take, one after another."""
        return messages * self.latency_s + num_bytes / self.bytes_per_s


@dataclass(frozen=True, slots=True)
class Network:
    """How ranks are joined."""

    ranks_per_node: int
    node: Link
    """Between ranks of one node."""
    network: Link | None = None
    """Between ranks of different nodes; None where there is one node."""
    algorithm: Algorithm = "direct"


@dataclass(frozen=True, slots=True)
class Split:
    """Where the bytes of one rank's buffer go; they sum to the buffer."""

    stays: float
    node: float
    """To the other ranks of its node."""
    network: float
    """To ranks of other nodes."""

    @property
    def sent(self) -> float:
        """Bytes that leave the rank."""
        return self.node + self.network


@dataclass(frozen=True, slots=True)
class Exchange:
    """What one rank sends in one pass of a case, and the time of it."""

    sent_bytes: float
    network_bytes: float
    """Of those, bytes to other nodes."""
    seconds: float


def rows_exchanged(case: Case) -> int:
    """Return the rows of width D that the tokens of `case`, one layer, send to experts; the same number comes back.

    Dropless token choice: K a token. With a capacity, and in expert choice, all places, E C a group, empty ones too; in
    Soft MoE all slots, S a sequence: as many whatever the data. A dense mixture: E a token; a dense FFN: none.
    """
    return 0 if case.layer == "dense" else letters(replace(case, backend="reference")).R


def buffer_bytes(case: Case) -> int:
    """Return the bytes that a rank which has the sequences of `case`, one layer, lays into each all-to-all."""
    return rows_exchanged(case) * case.d_model * case.itemsize


def count_bytes(case: Case) -> int:
    """Return the bytes of the rows' counts that go first where the data decides how many: dropless token choice."""
    dropless = case.layer == "token_choice" and case.capacity_factor is None
    return (case.experts or 0) * ID_BYTES if dropless else 0


def own_ranks(case: Case) -> int:
    """Return over how many ranks `case` itself is spread: its axis `expert_parallel`, where cases have one, else 1."""
    return int(getattr(case, "expert_parallel", 1))


def on_one_rank(case: Case) -> Case:
    """Return `case` as it is before it is spread."""
    alone: dict[str, Any] = {"expert_parallel": 1}
    return case if own_ranks(case) == 1 else replace(case, **alone)


def share_of(case: Case, ranks: int) -> Case:
    """Return the case of the rank that has most sequences of `case`: whole ones, as even as they can be."""
    return case if ranks == 1 else replace(case, batch=-(-case.batch // ranks))


def split(num_bytes: float, ranks: int, per_node: int) -> Split:
    """Return where a buffer goes that has as many bytes for each of `ranks`, `per_node` of them in a node."""
    local = min(ranks, per_node)
    return Split(num_bytes / ranks, num_bytes * (local - 1) / ranks, num_bytes * (ranks - local) / ranks)


def all_to_all_seconds(num_bytes: float, ranks: int, over: Network) -> float:
    """Return how long an all-to-all takes in which each rank has a buffer of so many bytes."""
    if ranks == 1:
        return 0.0
    local, goes = min(ranks, over.ranks_per_node), split(num_bytes, ranks, over.ranks_per_node)
    if ranks == local:
        return over.node.seconds(local - 1, goes.node)
    assert over.network is not None  # a cluster file with more ranks than a node has gives one
    if over.algorithm == "direct":
        return max(over.node.seconds(local - 1, goes.node), over.network.seconds(ranks - local, goes.network))
    inside = over.node.seconds(local - 1, num_bytes * (local - 1) / local)
    return inside + over.network.seconds(ranks // local - 1, goes.network)


def exchange(case: Case, ranks: int, over: Network) -> Exchange:
    """Return what a pass of `case` over `ranks` sends from one of them, and how long it takes.

    There and back in the forward pass, and the gradients of both in the backward pass.
    """
    turns, found = 4 if case.trains else 2, Exchange(0.0, 0.0, 0.0)
    for own in layers_of(share_of(case, ranks)):
        rows, counts = buffer_bytes(own), count_bytes(own)
        for times, num_bytes in ((turns, rows), (1, counts)):
            if num_bytes and ranks > 1:
                goes = split(num_bytes, ranks, over.ranks_per_node)
                found = Exchange(
                    found.sent_bytes + times * goes.sent,
                    found.network_bytes + times * goes.network,
                    found.seconds + times * all_to_all_seconds(num_bytes, ranks, over),
                )
    return found


def on_own_ranks(case: Case, link: Link) -> Exchange:
    """Return what a pass of `case` over its own ranks, all joined by one `link`, sends and takes."""
    ranks = own_ranks(case)
    return exchange(on_one_rank(case), ranks, Network(ranks, link))
