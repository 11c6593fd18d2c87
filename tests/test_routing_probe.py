"""What the routing probe counts, and the random router beside it, held to published numbers and closed forms."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from harness.case import Case
from harness.declare.letters import room
from harness.declare.loads import distinct_experts, rule_of_thumb
from harness.devices import open_device
from harness.layers import build
from harness.layers.token_choice import TokenChoice
from harness.probes import PROBES, Outcome, Settings, make_subject
from harness.probes.null_router import draw_loads, drop_rate, null_of
from harness.probes.routing import QUANTILES
from harness.probes.subject import Subject
from tests.cases import block, dense, expert_choice, soft, stack, token_choice

DEVICE = open_device("cpu")


def subject_of(case: Case) -> Subject:
    return make_subject(case, build(case))


def run(subject: Subject, probe: str = "routing") -> Outcome:
    return PROBES[probe].measure(subject, DEVICE, Settings())


def number(subject: Subject, metric: str) -> float:
    value = run(subject).values[metric]
    assert isinstance(value, float)
    return value


# the null model


@pytest.mark.parametrize(
    ("experts", "top_k", "tokens", "published"),
    [(8, 2, 8, 7.2), (64, 8, 8, 42), (64, 8, 32, 63), (128, 8, 8, 52), (128, 8, 32, 112), (256, 8, 8, 57)],
    ids=str,
)
def test_distinct_experts_are_the_published_ones(experts: int, top_k: int, tokens: int, published: float) -> None:
    """Mixtral, OLMoE, Qwen3 and DeepSeek-V3 at decode sizes."""
    assert distinct_experts(tokens, top_k, experts) == pytest.approx(published, abs=0.55 if published > 8 else 0.05)


RANDOM_ROUTERS = [(1024, 8, 1, 3.03), (1024, 64, 1, 9.69), (4096, 64, 1, 4.88), (4096, 64, 8, 1.60),
                  (16384, 128, 8, 1.18), (1568, 32, 1, 5.67), (256, 256, 1, 36.7)]  # fmt: skip
"""Tokens, experts, experts a token, and the drop rate that one draw of somebody else's gave, in per cent, at c = 1."""


@pytest.mark.parametrize(("tokens", "experts", "top_k", "published"), RANDOM_ROUTERS, ids=str)
def test_the_drop_rate_is_exact_and_the_rule_of_thumb_near(
    tokens: int, experts: int, top_k: int, published: float
) -> None:
    C, draws = room(tokens, top_k, experts, 1.0), 6 if tokens > 4096 else 40
    drawn = np.array([(loads - C).clip(min=0).sum() for loads in draw_loads(tokens, top_k, experts, 1, draws)])
    shares, exact = drawn / (top_k * tokens), drop_rate(tokens, top_k, experts, C)
    one = shares.std(ddof=1)
    assert abs(shares.mean() - exact) < 4 * one / math.sqrt(draws)
    assert abs(published / 100 - exact) < 3 * one
    assert rule_of_thumb(tokens, top_k, experts) == pytest.approx(exact, rel=0.1)


@pytest.mark.parametrize(("tokens", "top_k"), [(1024, 1), (4096, 1), (1024, 2)])
def test_a_random_router_of_the_harness_drops_what_the_rule_says(tokens: int, top_k: int) -> None:
    case = token_choice(routing="iid", experts=64, top_k=top_k, batch=1, tokens=tokens, capacity_factor=1.0)
    outcome, null = run(subject_of(case)), null_of(case)
    assert null is not None
    sampling = float(np.std(null.draws["drop_rate_null"], ddof=1))
    measured = outcome.values["drop_rate"]
    assert isinstance(measured, float)
    assert abs(measured - rule_of_thumb(tokens, top_k, 64)) < 3 * sampling
    assert abs(measured - null.values["drop_rate_null"]) < 3 * sampling
    assert sampling < measured / 5  # it could have missed


def test_the_variation_of_a_random_routers_load_is_the_closed_form() -> None:
    for top_k in (1, 2, 8):
        null = null_of(token_choice(experts=16, top_k=top_k, batch=8))
        assert null is not None
        drawn = np.array(null.draws["load_cv_null"])
        expected = math.sqrt((1 - top_k / 16) * 16 / (top_k * 128))
        mean_square = (drawn**2).mean()
        error = (drawn**2).std(ddof=1) / math.sqrt(len(drawn))
        assert abs(mean_square - expected**2) < 4 * error


def test_groups_that_compete_alone_drop_more() -> None:
    batch = token_choice(experts=8, batch=8, capacity_factor=1.0)
    one, many = (null_of(replace(batch, group=group)) for group in ("batch", "sequence"))
    assert one is not None
    assert many is not None
    assert many.values["drop_rate_null"] > 1.5 * one.values["drop_rate_null"]
    for null in (one, many):
        drawn = np.array(null.draws["drop_rate_null"])
        assert abs(drawn.mean() - null.values["drop_rate_null"]) < 4 * drawn.std(ddof=1) / math.sqrt(len(drawn))


def test_where_the_load_is_even_by_design_there_is_no_null() -> None:
    assert null_of(expert_choice()) is None
    assert not [name for name in run(subject_of(soft())).values if name.endswith("_null")]


# what is measured


def test_a_collapsed_router_is_beyond_every_draw_and_a_random_one_is_not() -> None:
    collapsed = token_choice(experts=16, top_k=1, batch=8)
    subject = subject_of(collapsed)
    assert isinstance(subject.layer, TokenChoice)
    with torch.no_grad():
        subject.layer.router[:, 3] += 3 * subject.x.flatten(0, 1).mean(0).sign()
    outcome = run(subject)
    for metric in ("load_cv", "load_max_over_mean"):
        value = outcome.values[metric]
        assert isinstance(value, float)
        assert value > max(outcome.series[f"{metric}_null"])
    even = run(subject_of(replace(collapsed, routing="iid")))
    cv = even.values["load_cv"]
    assert isinstance(cv, float)
    assert min(even.series["load_cv_null"]) < cv < max(even.series["load_cv_null"])


def test_the_histogram_is_the_load_and_sums_to_all_assignments() -> None:
    outcome = run(subject_of(token_choice(routing="hot:1", experts=8)))
    load = outcome.series["expert_load"]
    assert len(load) == 8
    assert sum(load) == 64
    assert max(load) == 32
    assert outcome.values["load_max_over_mean"] == 4
    assert outcome.values["distinct_experts"] == sum(count > 0 for count in load)


def test_tokens_of_which_every_assignment_is_dropped_are_counted() -> None:
    subject = subject_of(token_choice(capacity_factor=1.0))  # room for 16 of 32 tokens an expert
    subject.layer.replay = torch.tensor([[0, 1]] * 32)
    values = run(subject).values
    assert values["drop_rate"] == 0.5
    assert values["fully_dropped"] == 0.5
    subject.layer.replay = torch.tensor([[0, 1]] * 16 + [[0, 2]] * 16)  # the second half keeps its second choice
    assert number(subject, "fully_dropped") == 0
    assert number(subject, "drop_rate") == 0.25


def test_tokens_that_no_expert_takes_are_counted() -> None:
    subject = subject_of(expert_choice())  # 4 experts take 8 of 32 tokens each
    subject.layer.replay = torch.arange(8).expand(1, 4, 8)
    outcome = run(subject)
    assert outcome.values["fully_dropped"] == 24 / 32
    assert outcome.n["fully_dropped"] == 32


def test_the_margin_is_that_of_the_last_chosen_over_the_first_that_was_not() -> None:
    subject = subject_of(token_choice(d_model=32, top_k=2))
    assert isinstance(subject.layer, TokenChoice)
    outcome = run(subject)
    logits = (subject.x.flatten(0, 1) @ subject.layer.router).detach().double().sort(-1, descending=True).values
    margins = (logits[:, 1] - logits[:, 2]).numpy()
    assert outcome.values["router_margin"] == pytest.approx(float(np.median(margins)))
    assert outcome.series["router_margin_quantiles"] == pytest.approx(np.quantile(margins, QUANTILES).tolist())
    with torch.no_grad():  # a planted tie: two experts that score alike
        subject.layer.router[:, 1] = subject.layer.router[:, 0]
    assert run(subject).series["router_margin_quantiles"][0] == 0


def test_there_is_no_margin_where_nothing_is_left_to_choose_or_the_router_does_not() -> None:
    for case in (token_choice(top_k=4), token_choice(routing="iid"), expert_choice(), soft()):
        assert "router_margin" not in run(subject_of(case)).values


def test_an_adapters_router_has_the_same_metrics() -> None:
    pytest.importorskip("transformers")
    case = token_choice(backend="transformers-eager", activation="silu", gated=True)
    ours = run(subject_of(replace(case, backend="loop"))).values
    theirs = run(subject_of(case)).values
    for metric in ("load_cv", "distinct_experts", "load_cv_null", "router_margin"):
        assert theirs[metric] == pytest.approx(ours[metric], rel=1e-4)


def test_of_a_model_the_most_uneven_layers_load_is_kept() -> None:
    subject = subject_of(stack(token_choice(experts=8, top_k=1), moe_layers="all"))
    subject.layer.parts[1].replay = torch.zeros(32, 1, dtype=torch.long)
    assert run(subject).series["expert_load"] == [32] + [0] * 7


@pytest.mark.parametrize("case", [token_choice(), expert_choice(), soft(), dense(), block(token_choice())])
def test_shares_say_on_how_many_they_stand(case: Case) -> None:
    outcome = run(subject_of(case))
    assert set(outcome.n) <= set(outcome.values)
    assert all(count in (32, 64) for count in outcome.n.values())


@pytest.mark.parametrize("axes", [{}, {"capacity_factor": 1.0, "backend": "onehot"}], ids=str)
def test_which_expert_is_which_changes_neither_loads_nor_flops_nor_the_output(axes: dict[str, object]) -> None:
    case = token_choice(experts=8, dtype="float64", **axes)
    plain, renamed = subject_of(case), subject_of(case)
    order = torch.randperm(8, generator=torch.Generator().manual_seed(0))
    weights = {name: weight.clone() for name, weight in plain.layer.state_dict().items()}
    for name, weight in weights.items():
        weights[name] = weight[:, order] if name == "router" else weight[order]
    renamed.layer.load_state_dict(weights)
    one, two = run(plain), run(renamed)
    assert two.series["expert_load"] == [one.series["expert_load"][e] for e in order.tolist()]
    assert one.series["expert_load"] != two.series["expert_load"]
    for metric in ("load_cv", "load_max_over_mean", "drop_rate", "distinct_experts", "router_margin"):
        assert one.values[metric] == pytest.approx(two.values[metric], rel=1e-12)
    counted = [run(subject, "flops").values["flops_counted"] for subject in (plain, renamed)]
    assert counted[0] == counted[1]
    torch.testing.assert_close(plain.run(), renamed.run(), rtol=1e-9, atol=1e-12)
