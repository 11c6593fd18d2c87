"""Layers over ranks: the layer on one device in output and gradients, and to the byte what closed forms say is sent."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from harness.case import Case
from harness.declare.costs import unsupported
from harness.declare.costs_exchange import exchange_bytes, has_fixed_messages, messages
from harness.layers import reference_of
from harness.layers.gates import GATES
from harness.layers.interface import Layer, replaying
from harness.parallel.lines import Ask
from harness.parallel.measure import PROBES
from harness.parallel.ranks import Ranks
from harness.parallel.subject import whole_subject
from harness.probes.outcome import Outcome
from tests.cases import expert_choice, soft, token_choice

ALLOWED = 16.0
"""Error of any tensor in its 2-norm, in eps of the dtype, as in tests/test_equivalence.py."""
SETTINGS: dict[str, float | int] = {"seconds_per_visit": 0.002, "min_samples": 2, "timeout": 100.0}
SECONDS = 100.0


@pytest.fixture(scope="module", params=[2, 4], ids=["2 ranks", "4 ranks"])
def ranks(request: pytest.FixtureRequest) -> Iterator[Ranks]:
    """Ranks that live as long as the tests of one number of them."""
    started = Ranks(request.param, "cpu", 1, 1 << 28, program="tests.spread_rank")
    yield started
    started.end()


def told(ranks: Ranks, case: Case, probe: str, seed: int = 0) -> Outcome:
    assert unsupported(case) is None
    ask = Ask(case.variant, case.as_dict(), probe, {**SETTINGS, "seed": seed})
    return ranks.ask(ask, SECONDS).read_outcome()


@st.composite
def any_spread(draw: st.DrawFn, ranks: int) -> Case:
    """Any layer that can be spread over so many ranks, with a backward pass."""
    shape: dict[str, Any] = {
        "expert_parallel": ranks,
        "experts": ranks * draw(st.integers(1, 3)),
        "batch": ranks * draw(st.integers(1, 2)),
        "tokens": draw(st.integers(4, 12)),
        "d_model": 16,
        "d_ff": 24,
        "dtype": draw(st.sampled_from(["float64", "float32", "bfloat16"])),
        "pass_": "forward_backward",
    }
    activation, gated = draw(st.sampled_from([("gelu", False), ("relu", False), ("silu", True)]))
    shape |= {"activation": activation, "gated": gated}
    kind = draw(st.sampled_from(["dropless", "capacity", "expert choice", "soft"]))
    if kind == "soft":
        return soft(slots=draw(st.integers(1, 3)), mixing=draw(st.sampled_from(["soft", "soft_combine"])), **shape)
    if kind == "expert choice":
        return expert_choice(group="sequence", capacity_factor=draw(st.sampled_from([0.5, 1.0, 2.0])), **shape)
    top_k = draw(st.integers(1, min(3, shape["experts"])))
    routed: dict[str, Any] = {"top_k": top_k, "shared_experts": draw(st.integers(0, 1)), **shape}
    routed["gate"] = draw(st.sampled_from(sorted(GATES) if top_k > 1 else ["softmax"]))
    if kind == "dropless":
        return token_choice(routing=draw(st.sampled_from(["learned", "zipf:1.5", "hot:0.9"])), **routed)
    factor, drop = draw(st.sampled_from([0.5, 1.0])), draw(st.sampled_from(["position", "priority"]))
    return token_choice(group="sequence", capacity_factor=factor, drop=drop, **routed)


@settings(max_examples=24, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), seed=st.integers(0, 9))
def test_output_and_gradients_are_those_of_one_device(ranks: Ranks, data: st.DataObject, seed: int) -> None:
    """Against the float64 reference of the whole layer, with the choices that the ranks made."""
    case = data.draw(any_spread(ranks.count))
    outcome = told(ranks, case, "everything", seed)
    assert outcome.incorrect is None, outcome.incorrect
    eps = torch.finfo(getattr(torch, case.dtype)).eps
    wanted = _on_one_device(case, seed, outcome.series)
    for name, right in wanted.items():
        got = torch.tensor(outcome.series[name], dtype=torch.float64).view_as(right)
        # A scale enters as one product with phi, and its gradient is a sum that may cancel: both are the router's.
        size = torch.hypot(right, wanted["phi"].norm()) if name == "scale" else right.norm()
        error = float((got - right).norm() / size.clamp(min=1e-3))
        assert error < ALLOWED * eps, f"{name} of {case.id}: {error / eps:.1f} eps"


def _on_one_device(case: Case, seed: int, shown: dict[str, list[float]]) -> dict[str, Tensor]:
    """Return output and gradients of the float64 reference, which follows the choice that was `shown`."""
    whole = whole_subject(case, seed)
    reference, x = reference_of(whole.layer), whole.x.detach().double().requires_grad_()
    for weight in reference.parameters():
        weight.requires_grad_()
    with _following(reference, shown):
        y = reference(x)
    names, weights = zip(*reference.named_parameters(), strict=True)
    grads = torch.autograd.grad(y, (x, *weights), whole.upstream.double())
    return {"y": y.detach(), **dict(zip(("x", *names), grads, strict=True))}


def _following(reference: Layer, shown: dict[str, list[float]]) -> AbstractContextManager[None]:
    case = reference.case
    if "tap choice" not in shown:
        return nullcontext()
    choice = torch.tensor(shown["tap choice"]).long()
    lead = (case.batch, case.experts or 0) if case.layer == "expert_choice" else (case.sequence_tokens,)
    order = torch.tensor(shown["tap order"]).long() if "tap order" in shown else None
    return replaying(reference, choice.view(*lead, -1), order)


@settings(max_examples=16, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), seed=st.integers(0, 9), pass_=st.sampled_from(["forward", "forward_backward"]))
def test_bytes_sent_are_the_closed_form(ranks: Ranks, data: st.DataObject, seed: int, pass_: str) -> None:
    """To the byte, by our counter, and by what torch's own operator was handed."""
    case = replace(data.draw(any_spread(ranks.count)), pass_=pass_)
    counted = told(ranks, case, "exchange", seed)
    assert counted.incorrect is None, counted.incorrect
    shown = told(ranks, case, "everything", seed).series
    rows = None if has_fixed_messages(case) else _rows_by_hand(case, shown["tap choice"])
    expected = sum(size for sent in messages(case, rows) for own in sent for size in own)
    assert counted.values["exchange_bytes"] == expected == sum(shown["handed"])
    if has_fixed_messages(case):
        assert exchange_bytes(case) == expected


def _rows_by_hand(case: Case, choice: list[float]) -> list[list[int]]:
    """Count, one assignment after another, from which rank to which it goes."""
    n, rows = case.expert_parallel, [[0] * case.expert_parallel for _ in range(case.expert_parallel)]
    for index, expert in enumerate(map(int, choice)):
        token = index // (case.top_k or 1)
        sequence = token // case.tokens
        rows[sequence * n // case.batch][expert * n // (case.experts or 1)] += 1
    return rows


def test_messages_of_soft_moe_are_equal_whatever_the_data_and_token_choices_are_not(ranks: Ranks) -> None:
    n = ranks.count
    shape: dict[str, Any] = {"expert_parallel": n, "experts": 2 * n, "batch": n, "tokens": 12}
    fixed = [told(ranks, soft(slots=2, **shape), "exchange", seed).series["exchange_sent"] for seed in range(4)]
    assert len({size for sent in fixed for size in sent}) == 1
    routed = [told(ranks, token_choice(**shape), "exchange", seed) for seed in range(4)]
    assert len({tuple(outcome.series["exchange_sent"]) for outcome in routed}) > 1
    assert max(float(str(outcome.values["exchange_message_imbalance"])) for outcome in routed) > 1


@pytest.mark.parametrize("probe", [name for name in PROBES if name != "energy"])
def test_every_probe_measures_over_ranks(ranks: Ranks, probe: str) -> None:
    n = ranks.count
    case = token_choice(expert_parallel=n, experts=2 * n, batch=n, pass_="train", shared_experts=1)
    outcome = told(ranks, case, probe)
    assert outcome.incorrect is None, outcome.incorrect
    assert all(math.isfinite(value) for value in outcome.values.values() if isinstance(value, int | float))
    found = {
        "flops": {"flops_counted"}, "memory": {"memory_peak_bytes"}, "determinism": {"det_run", "det_ranks"},
        "routing": {"load_cv"}, "phases": {"phase_exchange_share", "phase_exchange_backward_share"},
        "exchange": {"exchange_bytes"}, "latency": {"latency_ms"},
    }  # fmt: skip
    assert found.get(probe, set()) <= outcome.values.keys()


def test_an_assigned_load_is_shared_out(ranks: Ranks) -> None:
    """Each rank gets its own tokens' part: the loads together are those of the whole batch, even to within one."""
    n = ranks.count
    case = token_choice(expert_parallel=n, experts=2 * n, batch=n, routing="balanced")
    load = told(ranks, case, "routing").series["expert_load"]
    assert sum(load) == case.sequence_tokens * 2
    assert max(load) - min(load) <= 1
