"""Expert parallelism: how a layer's experts and tokens are spread over ranks, and which cases can be spread.

After GShard (Lepikhin et al. 2020, arXiv 2006.16668, section 3.2): of n ranks each holds E / n experts and B / n
sequences. Routers, Soft MoE's Phi and shared experts stand on every rank. Each rank routes its own tokens; their rows
travel to the ranks of their experts and back (`costs_exchange.py` counts them). It is the mathematics of the layer on
one device where nothing competes across ranks. So capacity and expert choice must have the sequence for their group: a
batch that lies on several ranks would have to be ordered as a whole before anybody knows who is dropped.
"""

from __future__ import annotations

from dataclasses import replace

from harness.case import Case

BACKENDS = {"token_choice": "grouped", "expert_choice": "batched", "soft": "batched"}
"""The layers that can be spread over ranks, and the backend that does it."""


def unsupported(case: Case) -> str | None:
    """Return why `case` cannot be spread over its ranks, in words, or None."""
    n = case.expert_parallel
    if n == 1:
        return None
    if case.layer not in BACKENDS:
        return f"{case.layer} has no experts to spread over ranks; {', '.join(BACKENDS)} have"
    if case.scope != "layer":
        return f"scope = {case.scope!r} is measured on one device: expert_parallel spreads a layer alone"
    if case.compile:
        return "torch.compile is applied on one device alone, and this layer is spread over ranks"
    if case.backend not in ("best", BACKENDS[case.layer]):
        return f"expert_parallel runs {case.layer} by the backend {BACKENDS[case.layer]}, not by {case.backend}"
    return _uneven(case) or _competing(case) or _of_the_whole_batch(case)


def on_one_device(case: Case) -> Case:
    """Return the same layer on one device, by the backend that its ranks run."""
    return replace(case, expert_parallel=1, backend=BACKENDS[case.layer])


def of_rank(case: Case) -> Case:
    """Return what one rank is given: its part of the sequences."""
    return replace(case, batch=case.batch // case.expert_parallel)


def _uneven(case: Case) -> str | None:
    n = case.expert_parallel
    for name, count in (("experts", case.experts or 0), ("batch", case.batch)):
        if count % n:
            return f"{name} = {count} cannot be shared evenly by {n} ranks"
    return None


def _competing(case: Case) -> str | None:
    if case.group == "batch" and case.capacity_factor is not None:
        return (
            'group = "batch" lets tokens of all ranks compete for an expert, which takes one order over all of them: '
            'give group = "sequence"'
        )
    return None


def _of_the_whole_batch(case: Case) -> str | None:
    """Return what a training pass would need of all ranks' tokens at once, or of one stream of random numbers."""
    if case.trains and case.balance not in (None, "none"):
        return f"balance = {case.balance!r} is a loss over the whole batch, which is spread over ranks"
    if case.trains and case.noise not in (None, "none"):
        return f"noise = {case.noise!r} is drawn for the whole batch, which is spread over ranks"
    return None
