"""Costs: each closed form against the built layer, torch's counter and the allocator.

Published numbers stand in test_published.py; test_counts.py holds these forms to the layers of those models.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from harness.case import Case
from harness.declare.costs import BACKENDS, capacity, cost, resolve_backend, unsupported
from harness.layers import build
from harness.layers.interface import Phase, observing, torch_dtype
from harness.probes.flop_formulas import FORMULAS, count_flops, grouped_mm_flops
from harness.probes.rows import Taps
from harness.probes.subject import Subject, make_subject
from tests.cases import dense, dense_moe, expert_choice, families, soft, token_choice
from tests.test_layers import any_case


def _subject(case: Case) -> Subject:
    return make_subject(case, build(case))


@settings(max_examples=80, deadline=None)
@given(case=any_case())
def test_parameters_and_flops_are_those_of_the_built_layer(case: Case) -> None:
    for pass_ in ("forward", "forward_backward", "train"):
        subject = _subject(replace(case, pass_=pass_))
        forms = cost(subject.case)
        assert forms.params == sum(w.numel() for w in subject.layer.parameters())
        assert forms.weight_bytes == sum(w.nbytes for w in subject.layer.parameters())
        assert forms.flops_executed == count_flops(subject.run)


@pytest.mark.parametrize("backend", ["reference", "best", "onehot", "loop", "batched"])
def test_flops_by_phase_are_those_of_the_phases(backend: str) -> None:
    class ByPhase(Taps):
        now: str = "other"

        def enter(self, phase: Phase) -> None:
            self.now = phase
            self.before = total()

        def leave(self, phase: Phase) -> None:
            spent[phase] = spent.get(phase, 0) + total() - self.before

    for case in families():
        case = replace(case, backend=backend)
        if unsupported(case):
            continue
        spent: dict[str, int] = {}
        layer = build(case)
        with FlopCounterMode(display=False, custom_mapping=FORMULAS) as counter, torch.no_grad():
            total: Callable[[], int] = counter.get_total_flops
            with observing(layer, ByPhase()):
                layer(torch.randn(case.batch, case.tokens, case.d_model))
        assert {phase: flops for phase, flops in cost(case).phases.items() if flops} == {
            phase: flops for phase, flops in spent.items() if flops
        }


TINY: dict[str, Any] = {"d_model": 32, "d_ff": 128, "batch": 4, "tokens": 64}


@pytest.mark.parametrize(
    ("case", "forward", "backward"),
    [
        (dense(**TINY), 4_194_304, 8_388_608),
        (soft(experts=8, slots=8, **TINY), 7_340_032, 14_680_064),
        (token_choice(experts=8, capacity_factor=1.0, backend="onehot", **TINY), 25_296_896, 42_205_184),
        (token_choice(experts=8, **TINY), 8_519_680, 17_039_360),
        (expert_choice(experts=8, capacity_factor=2.0, **TINY), 8_519_680, 17_039_360),
    ],
    ids=["dense", "soft", "onehot", "grouped", "ec"],
)
def test_flops_counted_once_by_hand(case: Case, forward: int, backward: int) -> None:
    assert cost(case).flops_executed == forward
    assert cost(replace(case, pass_="forward_backward")).flops_executed == forward + backward


@pytest.mark.parametrize(
    ("tokens", "experts", "top_k", "factor", "rows"),
    [(4096, 64, 2, 1.25, 160), (196, 128, 1, 1.0, 2), (100, 16, 8, 1.0, 50), (4, 64, 1, 1.0, 1), (8, 2, 2, 4.0, 8)],
)
def test_capacity_is_vmoes(tokens: int, experts: int, top_k: int, factor: float, rows: int) -> None:
    case = token_choice(batch=1, tokens=tokens, experts=experts, top_k=top_k, capacity_factor=factor)
    assert capacity(case) == rows
    assert capacity(replace(case, batch=3, group="sequence")) == rows


def test_capacity_pads_what_is_executed_and_not_what_is_asked_for() -> None:
    dropless, padded = (cost(token_choice(capacity_factor=factor)) for factor in (None, 1.25))
    assert padded.flops_model == dropless.flops_model == dropless.flops_executed
    assert padded.phases["experts"] == 1.25 * dropless.phases["experts"]


def test_active_parameters_by_their_conventions() -> None:
    """Router and K experts, router and c experts, or everything."""
    ffn, router = cost(dense()).params, 32 * 4
    assert cost(token_choice()).params_active == router + 2 * ffn
    assert cost(token_choice(shared_experts=1)).params_active == router + 3 * ffn
    assert cost(expert_choice(capacity_factor=1.5)).params_active == router + ffn * 3 // 2
    assert cost(soft()).params_active == cost(soft()).params
    assert cost(dense()).params_active == ffn
    assert cost(dense_moe()).params_active == cost(dense_moe()).params == router + 4 * ffn


@pytest.mark.parametrize(
    ("mixing", "products", "router"),
    [("soft", 3, True), ("soft_dispatch", 2, True), ("soft_combine", 2, True), ("uniform", 0, False),
     ("identity", 0, False)],
)  # fmt: skip
def test_an_ablation_costs_what_it_runs(mixing: str, products: int, router: bool) -> None:
    """Each learned mixing takes one product, and both need the router's; the experts see the same slots."""
    case = soft(mixing=mixing, slots=4)
    forms, whole = cost(case), cost(soft(slots=4))
    one = 2 * 2 * 16 * 16 * 32
    assert forms.flops_executed == forms.flops_model == forms.phases["experts"] + products * one
    assert forms.phases["experts"] == whole.phases["experts"]
    assert whole.params - forms.params == (0 if router else 32 * 16 + 1)


def test_traffic_counts_what_is_touched_once() -> None:
    """One token reaches 2 of 64 experts; AdamW still visits all."""
    case = token_choice(batch=1, tokens=1, experts=64)
    ffn, router, x = cost(dense()).params, 32 * 64, 32
    used = 2 * ffn + router
    assert cost(case).bytes == 4 * (used + 2 * x)
    assert cost(replace(case, pass_="forward_backward")).bytes == 4 * (3 * used + 4 * x)
    assert cost(replace(case, pass_="train")).bytes == 4 * (3 * used + 4 * x + 7 * (64 * ffn + router))
    assert cost(replace(case, capacity_factor=1.0)).bytes == 4 * (64 * ffn + router + 2 * x)


def test_what_must_fit_is_weights_input_state_and_peak() -> None:
    forward, both, train = (cost(dense(pass_=p)) for p in ("forward", "forward_backward", "train"))
    x = 2 * 16 * 32 * 4
    assert forward.memory_needed == forward.weight_bytes + x + forward.memory_predicted
    assert both.memory_needed == both.weight_bytes + 2 * x + both.memory_predicted
    assert train.memory_needed == both.memory_needed + 2 * train.weight_bytes
    assert forward.memory_saved is None


@pytest.mark.parametrize(
    ("case", "words"),
    [
        (dense(layer="mystery"), "no layer of kind 'mystery'"),
        (soft(mixing="identity"), "4 slots a sequence (experts * slots) are fewer than 16 tokens"),
        (soft(mixing="identity", slots=4), None),
        (token_choice(routing="zipf:1.2"), None),
        (expert_choice(routing="zipf:1.2"), 'routing = "zipf:1.2" says which experts each token goes to'),
        (token_choice(compile=True), "torch.compile takes grouped_mm in bfloat16 alone, and this is float32"),
        (token_choice(compile=True, dtype="bfloat16"), None),
        (token_choice(compile=True, capacity_factor=1.0), None),
        (soft(backend="grouped"), "soft has no backend 'grouped'"),
        (token_choice(top_k=5), "top_k = 5 is above experts = 4"),
        (token_choice(backend="onehot"), "needs a capacity"),
        (token_choice(d_model=36, dtype="bfloat16", backend="grouped"), "d_model to be a multiple of 8 in bfloat16"),
        (token_choice(d_model=36, dtype="float64", backend="grouped"), None),
        (token_choice(backend="loop", capacity_factor=1.0), "the loop backend is dropless"),
        (token_choice(backend="batched", capacity_factor=1.0), "the batched backend is dropless"),
        (token_choice(balance="load"), 'give noise = "vmoe"'),
        (token_choice(balance="load", noise="shazeer"), None),
        (token_choice(d_model=33, capacity_factor=1.0), None),
        *[(case, None) for case in families()],
    ],
)
def test_what_cannot_run_says_why(case: Case, words: str | None) -> None:
    reason = unsupported(case)
    assert reason is None if words is None else words in (reason or "")


def test_best_is_a_backend_of_its_kind() -> None:
    for case, device in itertools.product(families(), ("cpu", "cuda")):
        assert resolve_backend(case, device) in BACKENDS[case.layer]
        assert unsupported(case, device) is None
        assert resolve_backend(replace(case, backend="reference"), device) == "reference"


def test_best_of_token_choice_follows_device_and_shape() -> None:
    few, many = token_choice(batch=1, tokens=4, experts=8), token_choice(batch=1, tokens=5, experts=8)
    assert [resolve_backend(case, "cuda") for case in (few, many)] == ["batched", "grouped"]
    assert resolve_backend(replace(few, dtype="bfloat16"), "cuda") == "grouped"  # a kernel, on some
    assert resolve_backend(few, "cpu") == "grouped"
    assert resolve_backend(replace(few, capacity_factor=1.0), "cuda") == "grouped"
    for device in ("cpu", "cuda"):
        assert resolve_backend(replace(many, d_ff=66), device) == "loop"  # grouped_mm does not take it


def test_learned_noise_is_a_second_router_while_it_trains() -> None:
    router = 32 * 4
    plain, noisy = token_choice(), token_choice(noise="shazeer")
    assert cost(noisy).params - cost(plain).params == cost(noisy).params_active - cost(plain).params_active == router
    assert cost(noisy).flops_model == cost(plain).flops_model
    training = [cost(replace(case, pass_="train")).flops_model for case in (noisy, plain)]
    assert training[0] - training[1] == 3 * 2 * 32 * router
    assert cost(token_choice(noise="vmoe", pass_="train")).flops_model == training[1]


def test_flops_of_a_layer_that_would_not_fit_are_counted_without_it() -> None:
    """3.4 B parameters on fake tensors: one layer of Soft MoE H/14 with 256 experts."""
    case = soft(d_model=1280, d_ff=5120, experts=256, tokens=256, batch=8, dtype="bfloat16", pass_="forward_backward")
    with FakeTensorMode():
        layer = build(case)
        x = torch.empty(8, 256, 1280, dtype=torch_dtype(case), requires_grad=True)
        assert count_flops(lambda: layer(x).sum().backward()) == cost(case).flops_executed
        assert sum(w.numel() for w in layer.parameters()) == cost(case).params


@pytest.mark.parametrize(
    ("a", "b", "flops"),
    [((6, 4), (2, 4, 8), 384), ((4, 6), (6, 8), 384), ((2, 6, 4), (4, 8), 384), ((2, 6, 4), (2, 4, 8), 768)],
    ids=["forward", "weight gradient", "3d by 2d", "batched"],
)
def test_the_formula_of_grouped_mm(a: tuple[int, ...], b: tuple[int, ...], flops: int) -> None:
    assert grouped_mm_flops(a, b) == flops
