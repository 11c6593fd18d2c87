"""Closed forms of whole models: against those of one layer, and each convention of counting."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.case import Case
from harness.declare.architecture import (
    Architecture,
    Attention,
    Experts,
    FeedForward,
    Head,
    LatentAttention,
    Stack,
    Tokens,
)
from harness.declare.costs import cost
from harness.declare.counts import (
    CannotCount,
    active_parameters,
    by_part,
    count,
    count_document,
    forward_flops,
    parameters,
    training_macs,
    unit_flops,
)
from harness.declare.counts_flops import experts_flops
from harness.declare.counts_parameters import PARTS, experts_parameters
from harness.declare.published import NAMES, published
from tests.cases import dense, expert_choice, soft, token_choice

ROUTED = (
    *(name for name in NAMES if name.startswith(("soft", "mixtral", "qwen3", "olmoe", "deepseek", "switch"))),
    "expert-choice-s16-32e-c1.5-g8",
    "token-choice-s16-32e-k2-c2-g8",
)


def case_of(layer: Experts, D: int, m: int) -> Case:
    """Return the case that is one group of `layer`."""
    shape: dict[str, Any] = {
        "d_model": D, "d_ff": layer.ffn.d_ff, "experts": layer.experts, "tokens": m, "batch": layer.group,
        "gated": layer.ffn.gated, "activation": "silu" if layer.ffn.gated else "gelu",
    }  # fmt: skip
    if layer.router == "soft":
        return soft(slots=layer.slots, **shape)
    if layer.router == "expert_choice":
        return expert_choice(capacity_factor=layer.capacity_factor, **shape)
    shared = layer.shared.d_ff // layer.ffn.d_ff if layer.shared else 0
    backend = "onehot" if layer.onehot else "best"
    routed: dict[str, Any] = {"top_k": layer.top_k, "shared_experts": shared, "capacity_factor": layer.capacity_factor}
    return token_choice(**routed, backend=backend, **shape)


@pytest.mark.parametrize("name", ROUTED)
def test_a_published_layer_costs_what_the_layer_of_a_suite_costs(name: str) -> None:
    """Two sets of formulas, of which the other is held to built layers and to torch's counter."""
    model = published(name)
    layer, D, m = model.stacks[0].experts, model.d_model, 196
    assert layer is not None
    forms = cost(case_of(layer, D, m))
    assert sum(experts_parameters(layer, D, active=False).values()) == forms.params
    assert sum(experts_parameters(layer, D, active=True).values()) == forms.params_active
    spent = experts_flops(layer, D, m)
    ours = {part: flops * layer.group for part, flops in spent.items()}
    ours["experts"] += ours.pop("shared experts")
    if layer.router == "expert_choice":  # a layer of a suite gathers; the one of the paper takes one-hot products
        assert (
            ours.pop("dispatch") == ours.pop("combine") == 2 * 8 * m * forms.phases["experts"] // (4 * layer.ffn.d_ff)
        )
        assert ours == {part: flops for part, flops in forms.phases.items() if flops}
    else:
        assert ours == forms.phases


def test_training_is_that_of_a_layer_too() -> None:
    """Two models that differ by six layers of experts differ by the executed FLOPs of those, at 1 a multiply-add."""
    routed, plain = published("token-choice-s16-32e-k2-c2-g8"), published("vit-s16")
    layer = routed.stacks[0].experts
    assert layer is not None
    case = replace(case_of(layer, 384, 196), pass_="forward_backward")
    ffn = dense(d_model=384, d_ff=1536, tokens=196, batch=8, pass_="forward_backward")
    added = 6 * (cost(case).flops_executed - cost(ffn).flops_executed)
    assert training_macs(routed) - training_macs(plain) == added / 2 / 8


def decoder(tied: bool = False, positions: int = 0, **changes: Any) -> Architecture:
    """Return a decoder of two blocks at width 8, the second of which has 4 experts, and two run."""
    ffn = FeedForward(d_ff=16, gated=True, biases=False)
    stack = Stack(
        depth=2,
        attention=Attention(heads=2, head_dim=4, kv_heads=1),
        ffn=ffn,
        experts=Experts(experts=4, top_k=2, ffn=ffn),
        expert_blocks=(1,),
    )
    return Architecture(
        name="tiny", d_model=8, form="decoder", stacks=(replace(stack, **changes),), norm="rms",
        embedding=Tokens(vocabulary=10, positions=positions), head=Head(outputs=10, tied=tied),
    )  # fmt: skip


def test_parameters_counted_by_hand() -> None:
    attention = 8 * 8 + 2 * 8 * 4 + 8 * 8
    assert {part: n for part, n in parameters(decoder()).items() if n} == {
        "input embedding": 80, "attention": 2 * attention, "dense FFN": 384, "router": 32, "experts": 4 * 384,
        "norms": 5 * 8, "head": 80,
    }  # fmt: skip
    assert active_parameters(decoder())["experts"] == 2 * 384
    assert list(parameters(decoder())) == list(forward_flops(decoder(), 1)) == list(PARTS)


def test_what_each_convention_leaves_out() -> None:
    counted = count(decoder(positions=3))
    idle, table, positions = 2 * 384, 80, 24
    assert counted.params_active == counted.params - idle
    assert counted.params_active_no_input_embedding == counted.params_active - table - positions
    assert counted.params_active_non_embedding == counted.params_active_no_input_embedding - table
    assert counted.params_non_embedding == counted.params_active_non_embedding + idle


def test_a_tied_table_is_the_outputs_too() -> None:
    counted, apart = count(decoder(tied=True)), count(decoder())
    assert counted.params == apart.params - 80
    assert counted.params_active_no_input_embedding == counted.params_active == apart.params_active_no_input_embedding
    assert counted.params_active_non_embedding == apart.params_active_non_embedding
    assert counted.flops == apart.flops


def test_a_token_costs_two_flops_for_each_active_weight_of_a_matrix() -> None:
    """All but norms and the input's table."""
    for name in ("mixtral-8x7b", "qwen3-30b-a3b", "deepseek-moe-16b", "glam-64b-64e"):
        model, counted = published(name), count(published(name))
        used = active_parameters(model)
        qk_norms = 48 * 256 if name == "qwen3-30b-a3b" else 0
        assert counted.flops == 2 * (counted.params_active_no_input_embedding - used["norms"] - qk_norms)


def test_a_context_adds_attention_scores_and_nothing_else() -> None:
    short, long = unit_flops(decoder()), unit_flops(decoder(), 100)
    assert long.pop("attention scores") == 2 * (4 * 100 * 2 * 4)  # 2 blocks; scores and values of 2 heads of 4
    assert short.pop("attention scores") == 0
    assert short == long
    assert sum(forward_flops(decoder(), 100).values()) == 100 * sum(unit_flops(decoder(), 100).values())


def test_an_image_has_its_own_length() -> None:
    counted = count(published("vit-l16"))
    assert (counted.per, counted.tokens) == ("image", 196)
    with pytest.raises(CannotCount, match=r"--tokens 5: vit-l16 reads images, each of 196 patches"):
        count(published("vit-l16"), 5)
    with pytest.raises(ValueError, match="say how many tokens"):
        forward_flops(decoder())


def test_expert_choice_uses_its_capacity_and_a_mixture_all() -> None:
    ffn = FeedForward(d_ff=16, gated=False, biases=True)
    chosen = Experts(experts=4, ffn=ffn, router="expert_choice", capacity_factor=1.5)
    mixture = Experts(experts=4, ffn=ffn, router="dense_moe")
    each = 2 * 8 * 16 + 16 + 8
    assert active_parameters(decoder(experts=chosen))["experts"] == 1.5 * each
    assert active_parameters(decoder(experts=mixture))["experts"] == 4 * each
    assert forward_flops(decoder(experts=mixture), 10)["experts"] == 10 * 4 * 4 * 8 * 16


def test_latent_attention_counted_by_hand() -> None:
    """A query from rank 3 and one without: heads of 4 + 2 numbers, values of 5, keys and values from rank 6."""
    latent = LatentAttention(heads=2, query_rank=3, kv_rank=6, rope_dim=2, plain_dim=4, value_dim=5)
    keys, out = 8 * (6 + 2) + 6 * 2 * (4 + 5), 2 * 5 * 8
    assert parameters(decoder(attention=latent))["attention"] == 2 * (8 * 3 + 3 * 12 + keys + out + 3 + 6)
    plain = replace(latent, query_rank=None)
    assert parameters(decoder(attention=plain))["attention"] == 2 * (8 * 12 + keys + out + 6)
    assert unit_flops(decoder(attention=latent), 10)["attention scores"] == 2 * 2 * 10 * 2 * (6 + 5)


def test_blocks_alone_have_neither_embedding_nor_head() -> None:
    counted = count(replace(decoder(), embedding=None, head=None))
    assert counted.params_non_embedding == counted.params == count(decoder()).params_non_embedding


def test_the_document_has_the_fields_of_the_design_page() -> None:
    fields = {
        "model", "params", "params_active", "params_active_no_input_embedding", "params_non_embedding", "bytes",
    }  # fmt: skip
    assert fields | {"flops_per_token"} <= count_document(count(decoder())).keys()
    assert fields | {"flops_per_image"} <= count_document(count(published("vit-s16"))).keys()
    assert count_document(count(decoder()))["bytes"]["float32"] == 4 * count(decoder()).params


def test_the_parts_sum_to_the_whole() -> None:
    for name in NAMES:
        counted, parts = count(published(name)), by_part(published(name)).values()
        sums = tuple(sum(column) for column in zip(*parts, strict=True))
        assert sums == (counted.params, counted.params_active, counted.flops)
