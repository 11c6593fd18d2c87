"""The probes on blocks and models, each with a fault planted in one of their layers."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from harness.case import Case
from harness.declare.costs import cost
from harness.devices import open_device
from harness.layers import build
from harness.layers.token_choice import TokenChoice
from harness.metrics import METRICS
from harness.probes import PROBES, Outcome, Settings, make_subject
from harness.probes.subject import Subject
from tests.cases import block, decoder, dense, encoder, families, scopes, soft, stack, token_choice

DEVICE = open_device("cpu")
SETTINGS = Settings(seconds_per_visit=0.002, min_samples=2)


def subject_of(case: Case) -> Subject:
    return make_subject(case, build(case))


def run(probe: str, subject: Subject) -> Outcome:
    return PROBES[probe].measure(subject, DEVICE, SETTINGS)


WHOLES = [each for case in families() for each in scopes(case)]
DIAGONAL = [scopes(case)[index % len(scopes(case))] for index, case in enumerate(families())]
"""Each scope, and each family once."""


@pytest.mark.parametrize(("pass_", "dtype"), [("forward", "bfloat16"), ("train", "float32")])
@pytest.mark.parametrize("case", DIAGONAL, ids=lambda case: case.id)
def test_every_probe_measures_every_scope(case: Case, pass_: str, dtype: str) -> None:
    subject = subject_of(replace(case, pass_=pass_, dtype=dtype))
    for name, probe in PROBES.items():
        outcome = probe.measure(subject, DEVICE, SETTINGS)
        assert outcome.incorrect is None, f"{name}: {outcome.incorrect}"
        assert set(outcome.values) <= set(probe.METRICS) <= set(METRICS)


@pytest.mark.parametrize("case", WHOLES[1::2], ids=lambda case: case.id)
@pytest.mark.parametrize("pass_", ["forward", "train"])
def test_the_count_is_the_closed_form(case: Case, pass_: str) -> None:
    subject = subject_of(replace(case, pass_=pass_))
    assert run("flops", subject).values["flops_counted"] == cost(subject.case).flops_executed


def test_ids_need_no_gradient_and_patches_do() -> None:
    for case, does in ((decoder(dense(pass_="train")), False), (encoder(dense(pass_="train")), True)):
        subject = subject_of(case)
        subject.run()
        assert subject.x.requires_grad is does
        assert (subject.x.grad is not None) is does


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("wrap", [block, stack, encoder, decoder], ids=lambda wrap: wrap.__name__)
def test_a_wrong_expert_in_one_block_is_incorrect(wrap: object, dtype: str) -> None:
    subject = subject_of(wrap(token_choice(dtype=dtype)))  # type: ignore[operator]
    assert run("check", subject).incorrect is None
    routed = next(part for part in subject.layer.parts if isinstance(part, TokenChoice))
    sound = routed.ffn.grouped

    def forgetful(rows: Tensor, expert: Tensor, ends: Tensor) -> Tensor:
        return sound(rows, expert, ends) * torch.where(expert == 0, 0.5, 1.0).to(rows.dtype)[:, None]

    routed.ffn.grouped = forgetful  # type: ignore[method-assign]
    assert "differs from the float64 reference" in str(run("check", subject).incorrect)


def test_a_router_of_one_block_that_picks_the_worst_expert_is_incorrect() -> None:
    subject = subject_of(decoder(token_choice(top_k=1), moe_layers="all"))
    subject.layer.parts[1].replay = torch.arange(32).remainder(4)[:, None]
    assert "not the best" in str(run("check", subject).incorrect)


def test_attention_that_looks_ahead_is_incorrect() -> None:
    subject = subject_of(block(dense(), causal=True))
    subject.layer.attention.causal = False  # type: ignore[union-attr]
    assert "differs from the float64 reference" in str(run("check", subject).incorrect)


def test_a_wrong_shape_names_the_right_one() -> None:
    subject = subject_of(encoder(dense()))
    subject.layer.forward = lambda x: x  # type: ignore[method-assign]
    assert run("check", subject).incorrect == "the output is [2, 16, 48] float32, expected [2, 11] float32"


def test_routing_of_a_model_is_the_mean_over_its_layers() -> None:
    subject = subject_of(decoder(token_choice(top_k=1), moe_layers="all"))
    even, all_on_one = torch.arange(32).remainder(4)[:, None], torch.zeros(32, 1, dtype=torch.long)
    for part, choice in zip(subject.layer.parts, (even, all_on_one, even), strict=True):
        part.replay = choice
    outcome = run("routing", subject)
    assert outcome.values["load_max_over_mean"] == pytest.approx((1 + 4 + 1) / 3)
    assert outcome.values["distinct_experts"] == pytest.approx((4 + 1 + 4) / 3)
    assert outcome.notes == [
        "routing is the mean over 3 layers; the most uneven, in block 2, has 4.00 times the mean load on one expert"
    ]


def test_layers_that_are_even_by_design_have_no_most_uneven() -> None:
    notes = run("routing", subject_of(stack(soft(), moe_layers="all"))).notes
    assert notes == ["routing is the mean over 3 layers, each of them even"]
    assert run("routing", subject_of(block(soft()))).notes == []
    assert "no router" in run("routing", subject_of(encoder(dense()))).notes[0]


def test_phases_are_those_of_the_layers_and_attention_is_other() -> None:
    shares = run("phases", subject_of(stack(token_choice(), moe_layers="all"))).values
    assert shares.pop("phase_overhead") > 0  # type: ignore[operator]
    assert sum(shares.values()) == pytest.approx(1.0)  # type: ignore[arg-type]
    assert all(share > 0 for share in shares.values())  # type: ignore[operator]
    alone = run("phases", subject_of(token_choice())).values
    assert shares["phase_other_share"] > alone["phase_other_share"]  # type: ignore[operator]
