"""The worst case over routing: found where memory grows with imbalance, and nowhere else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from harness.case import Case
from harness.declare.costs import cost
from harness.devices import open_device
from harness.layers import build, mixing, routing
from harness.layers.experts import Ffn
from harness.layers.interface import Layer
from harness.layers.mixing import Routed
from harness.probes import PROBES, Outcome, Settings, make_subject
from harness.probes.subject import Subject
from harness.probes.worst_case import even, fewest
from tests.cases import block, dense, expert_choice, soft, stack, token_choice

DEVICE = open_device("cpu")
WIDE = token_choice(experts=16, d_model=64, d_ff=128, batch=8)


def subject_of(case: Case) -> Subject:
    return make_subject(case, build(case))


def run(subject: Subject) -> Outcome:
    return PROBES["memory"].measure(subject, DEVICE, Settings())


def over_peak(case: Case) -> float:
    values = run(subject_of(case)).values
    worst, peak = values["memory_worst_bytes"], values["memory_peak_bytes"]
    assert isinstance(worst, int)
    assert isinstance(peak, int)
    return worst / peak


def test_the_two_loads() -> None:
    loads = [np.bincount(load(WIDE).ravel(), minlength=16).tolist() for load in (even, fewest)]
    assert loads == [[16] * 16, [128] * 2 + [0] * 14]


def padded_to_the_busiest(layer: Layer, ffn: Ffn, tokens: Tensor, routed: Routed) -> Tensor:
    """A planted fault: dropless by one batched product over [E, busiest load, D], as Tutel's and MegaBlocks' c = 0."""
    busiest = int(routing.load(routed.choice, len(ffn.w1)).max())
    return mixing.slotted(layer, ffn, tokens, routed._replace(room=busiest))


def test_a_layer_that_pads_to_its_busiest_expert_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = over_peak(replace(WIDE, backend="batched"))
    monkeypatch.setitem(mixing.MIXES, "batched", padded_to_the_busiest)
    subject = subject_of(replace(WIDE, backend="batched", routing="balanced"))
    values = run(subject).values
    buffer = 16 * 128 * 64 * 4  # E x T x D: each expert has room for all tokens
    worst, peak = values["memory_worst_bytes"], values["memory_peak_bytes"]
    assert isinstance(worst, int)
    assert isinstance(peak, int)
    assert worst > max(2 * buffer, 4 * peak)
    assert sound == 1.0


@pytest.mark.parametrize(("backend", "grows"), [("loop", True), ("grouped", True), ("batched", False)])
def test_which_of_our_dropless_backends_depend_on_the_load(backend: str, grows: bool) -> None:
    """On a CPU, `grouped` also goes expert by expert in its forward pass."""
    ratio = over_peak(replace(WIDE, backend=backend))
    assert ratio > 1.2 if grows else ratio == 1.0


def test_a_capacity_bounds_the_memory_whatever_the_router_says() -> None:
    assert over_peak(replace(WIDE, capacity_factor=1.0)) == 1.0
    assert over_peak(replace(WIDE, capacity_factor=1.0, backend="onehot", pass_="forward_backward")) == 1.0


def test_it_is_never_below_the_cases_own_peak() -> None:
    for load in ("learned", "hot:1", "zipf:1.2"):
        assert over_peak(replace(WIDE, backend="loop", routing=load)) >= 1.0


@pytest.mark.parametrize("case", [WIDE, replace(WIDE, routing="hot"), block(token_choice(routing="iid")), stack(WIDE)])
def test_the_layer_is_left_as_its_case_has_it(case: Case) -> None:
    subject = subject_of(case)
    with torch.no_grad():
        before = subject.run()
        run(subject)
        assert torch.equal(subject.run(), before)
    assert [part.assigned for part in subject.layer.parts] == list(subject.assigned)


def test_an_assigned_routing_keeps_the_same_for_the_backward_pass() -> None:
    for load in ("learned", "balanced", "hot"):
        case = replace(WIDE, routing=load, pass_="forward_backward")
        assert run(subject_of(case)).values["memory_saved_bytes"] == cost(case).memory_saved


@pytest.mark.parametrize("case", [dense(), soft(), expert_choice()], ids=lambda case: case.layer)
def test_where_the_load_is_even_by_design_there_is_none(case: Case) -> None:
    outcome = run(subject_of(case))
    assert "memory_worst_bytes" not in outcome.values
    assert outcome.notes == []


def test_somebody_elses_router_is_left_out_in_words() -> None:
    pytest.importorskip("transformers")
    outcome = run(subject_of(token_choice(backend="transformers-eager", activation="silu", gated=True)))
    assert "memory_worst_bytes" not in outcome.values
    assert any("nobody can say for transformers-eager who goes where" in note for note in outcome.notes)
