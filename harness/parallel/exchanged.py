"""What ranks send each other in one pass: each message counted, and held to the closed form to the byte."""

from __future__ import annotations

from itertools import chain

from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from harness.case import Case
from harness.declare.costs_exchange import Messages, exchange_bytes, has_fixed_messages, messages
from harness.layers.spread import replicated
from harness.parallel.link import TURNS
from harness.parallel.overlap import overlap
from harness.parallel.together import Together
from harness.probes.outcome import Measured, Outcome

UNKNOWN_OVERLAP = (
    "exchange_overlap is not known: nobody tells the time of gloo's messages from that of the layer's own threads"
)
UNKNOWN_LINK = "the link between the ranks is not known: many bytes took no longer than next to none"
NO_KERNELS = "exchange_overlap is not known: the profiler saw no kernel that exchanges on some rank"


def exchange(together: Together) -> Outcome:
    """Return the bytes that ranks sent each other in one pass; incorrect where they are not the closed form's."""
    case = together.case
    sent, summed = _count(together)
    _, seen = together.forward()
    expected = messages(case, None if has_fixed_messages(case) else rows_between(seen["choice"], case))
    if sent != expected:
        return Outcome(incorrect=f"ranks sent {sent} bytes to each other, the closed form says {expected}")
    of_rows = sent if has_fixed_messages(case) else sent[1:]  # the first one says how many rows are to come
    values: dict[str, Measured] = {
        "exchange_bytes": sum(map(sum, chain(*sent))),
        "exchange_predicted_bytes": exchange_bytes(case),
        "exchange_imbalance": max(_uneven(list(map(sum, one))) for one in of_rows),
        "exchange_message_imbalance": max(_uneven(_between(one)) for one in of_rows),
        "exchange_summed_bytes": summed,
    }
    series = {"exchange_sent": [float(size) for one in sent for size in _between(one)]}
    shared, notes = _overlap(together)
    link, why = _link(together)
    return Outcome(values | shared | link, notes + why, dict.fromkeys(link, TURNS), series)


def _count(together: Together) -> tuple[list[Messages], int]:
    """Return the messages of one pass, exchange by exchange, and the bytes of gradients that a rank sums."""
    subject, way = together.subject, together.subject.exchange
    subject.run()
    way.sent = []
    subject.run()
    of_ranks: list[list[list[int]]] = together.collect(way.sent)  # type: ignore[assignment]
    way.sent = None
    summed = (own.grad for own in replicated(subject.layer) if own.grad is not None)
    total = sum(grad.numel() * grad.element_size() for grad in summed)
    subject.drop_gradients()
    return [list(one) for one in zip(*of_ranks, strict=True)], total


def _overlap(together: Together) -> tuple[dict[str, Measured], list[str]]:
    """Return the least overlap of any rank, by the profiler's kernels; on a CPU why it is not known."""
    if together.device.kind != "cuda":
        return {}, [UNKNOWN_OVERLAP]
    with profile(activities=[ProfilerActivity.CUDA]) as profiler:
        together.subject.run()
        together.device.synchronize()
    together.subject.drop_gradients()
    events = [event for event in profiler.events() or () if event.device_type.name == "CUDA"]
    own = overlap((event.name, (event.time_range.start, event.time_range.end)) for event in events)
    of_ranks: list[float | None] = together.collect(own)  # type: ignore[assignment]
    known = [share for share in of_ranks if share is not None]
    return ({"exchange_overlap": min(known)}, []) if len(known) == len(of_ranks) else ({}, [NO_KERNELS])


def _link(together: Together) -> tuple[dict[str, Measured], list[str]]:
    """Return the latency and the bytes a second of the link between the ranks, or why it is not known."""
    link = together.link()
    if link is None:
        return {}, [UNKNOWN_LINK]
    return {"link_latency_us": 1e6 * link.latency_s, "link_gb_per_s": 1e-9 * link.bytes_per_s}, []


def _between(sent: Messages) -> list[int]:
    """Return the messages of one exchange, each from one rank to another."""
    return [size for i, own in enumerate(sent) for j, size in enumerate(own) if i != j]


def _uneven(sizes: list[int]) -> float:
    """Return the largest over the mean; 1 where nothing is sent."""
    return max(sizes) * len(sizes) / sum(sizes) if any(sizes) else 1.0


def rows_between(choice: Tensor, case: Case) -> list[list[int]]:
    """Return the assignments by rank of the token and rank of the expert, of `choice` [T, K] of the whole batch."""
    n = case.expert_parallel
    owner = (choice // ((case.experts or 0) // n)).view(n, -1)  # [n, T K / n]
    return [own.bincount(minlength=n).tolist() for own in owner]
