"""The catalogue against published tables: the paper's number on one side, ours on the other."""

from __future__ import annotations

import re

import pytest

from harness.declare.counts import CannotCount, count, forward_flops, parameters, training_macs
from harness.declare.published import NAMES, published
from harness.declare.published_vision import PATTERNS

UNITS = {"M": 1e6, "B": 1e9, "T": 1e12}


def as_printed(value: float, printed: str) -> bool:
    """Return whether `value`, in the unit and digits of `printed`, is that very text."""
    number, unit = printed[:-1], printed[-1]
    decimals = len(number.partition(".")[2])
    return f"{value / UNITS[unit]:.{decimals}f}" == number


def near(value: float, printed: str, tolerance: float) -> bool:
    return abs(value / (float(printed[:-1]) * UNITS[printed[-1]]) - 1) <= tolerance


BATCH = 4096
TABLE_8 = [
    ("vit-s16", "33M", 4, 227.1, 9.2),
    ("soft-moe-s16-128e", "933M", 4, 211.9, 8.6),
    ("soft-moe-s16-128e", "933M", 10, 529.8, 8.6),
    ("soft-moe-s14-256e", "1.8B", 4, 325.7, 13.2),
    ("soft-moe-s14-256e", "1.8B", 10, 814.2, 13.2),
    ("vit-b16", "108M", 4, 864.1, 35.1),
    ("soft-moe-b16-128e", "3.7B", 4, 786.4, 32.0),
    ("soft-moe-b16-128e", "3.7B", 9, 1769.5, 32.0),
    ("vit-h14", "669M", 1, 2060.2, 334.2),
    ("vit-h14", "669M", 2, 4120.3, 334.2),
    ("soft-moe-h14-128e", "27.3B", 1, 1754.6, 284.6),
    ("soft-moe-h14-128e", "27.3B", 2, 3509.2, 284.6),
    ("soft-moe-h14-256e", "54.1B", 1, 2110.1, 342.4),
    ("soft-moe-h14-256e", "54.1B", 2, 4220.3, 342.4),
]
"""Puigcerver et al. 2023, tables 1 and 8: parameters, million steps of 4096, training exaFLOP, GFLOP an image."""


@pytest.mark.parametrize(("name", "params", "steps", "exaflop", "gigaflop"), TABLE_8)
def test_table_8_of_soft_moe(name: str, params: str, steps: int, exaflop: float, gigaflop: float) -> None:
    """FLOPs come out low, since elementwise work is left out, and never high."""
    model = published(name)
    counted = count(model)
    assert near(counted.params, params, 0.006) or as_printed(counted.params, params)
    assert counted.flops is not None
    assert 0.99 * gigaflop <= counted.flops / 1e9 <= gigaflop
    assert 0.99 * exaflop <= training_macs(model) * steps * 1e6 * BATCH / 1e18 <= exaflop


TABLE_9 = [
    ("vit-s16", 17.0),
    ("soft-moe-s16-128e", 15.9),
    ("soft-moe-s16-256e", 19.9),
    ("expert-choice-s16-32e", 17.5),
    ("expert-choice-s16-32e-g8", 21.5),
    ("token-choice-s16-32e-g8", 21.5),
    ("token-choice-s16-32e-k2-g8", 31.0),
    ("token-choice-s16-32e-k2-c2-g8", 50.0),
]
"""Table 9, rows 20, 22, 36, 26, 35, 37, 45, 49: training exaFLOP of 300k steps."""


@pytest.mark.parametrize(("name", "exaflop"), TABLE_9)
def test_table_9_of_soft_moe(name: str, exaflop: float) -> None:
    assert 0.99 * exaflop <= training_macs(published(name)) * 300e3 * BATCH / 1e18 <= exaflop


def test_both_conventions_of_flops_stand_in_one_table() -> None:
    """Training counts a multiply-add once and three passes, evaluation twice and one: 1.5, where one would say 3."""
    for name in ("vit-s16", "soft-moe-h14-256e"):
        model = published(name)
        assert training_macs(model) / sum(forward_flops(model).values()) == pytest.approx(1.5)


def test_where_the_flops_of_soft_moe_s14_go() -> None:
    giga = {part: flops / 1e9 for part, flops in forward_flops(published("soft-moe-s14-256e")).items() if flops}
    expected = {
        "input embedding": 0.116, "attention": 3.624, "attention scores": 1.208, "dense FFN": 3.624, "router": 0.302,
        "dispatch": 0.302, "experts": 3.624, "combine": 0.302, "head": 0.023,
    }  # fmt: skip
    assert giga == pytest.approx(expected, abs=5e-4)


@pytest.mark.parametrize(
    ("name", "share"),
    [
        ("soft-moe-s16-128e", 4.05), ("soft-moe-s14-256e", 6.90), ("soft-moe-b16-128e", 2.18),
        ("soft-moe-l16-128e", 1.67), ("soft-moe-h14-128e", 1.42), ("soft-moe-h14-256e", 2.36),
    ],
)  # fmt: skip
def test_the_share_of_mixing_in_a_whole_model(name: str, share: float) -> None:
    spent = forward_flops(published(name))
    mixing = spent["router"] + spent["dispatch"] + spent["combine"]
    assert 100 * mixing / sum(spent.values()) == pytest.approx(share, abs=0.006)


@pytest.mark.parametrize(
    ("name", "params", "active"),
    [
        ("mistral-7b", 7_241_732_096, 7_241_732_096),
        ("mixtral-8x7b", 46_702_792_704, 12_879_925_248),
        ("qwen3-30b-a3b", 30_532_122_624, 3_353_032_704),
    ],
)
def test_language_models_exactly(name: str, params: int, active: int) -> None:
    counted = count(published(name))
    assert (counted.params, counted.params_active) == (params, active)


@pytest.mark.parametrize(
    ("name", "total", "active"),
    [
        ("mistral-7b", "7.24B", "7.24B"),
        ("mixtral-8x7b", "46.7B", "12.9B"),
        ("mixtral-8x22b", "141B", "39B"),
        ("qwen3-235b-a22b", "235B", "22B"),
        ("qwen1.5-moe-a2.7b", "14.3B", "2.7B"),
        ("olmoe-1b-7b", "6.9B", "1.3B"),
        ("deepseek-moe-16b", "16.4B", "2.8B"),
        ("glam-64b-64e", "1.2T", "96.6B"),
    ],
)
def test_language_models_to_the_printed_digit(name: str, total: str, active: str) -> None:
    """Active counts here include both embeddings."""
    counted = count(published(name))
    assert as_printed(counted.params, total)
    assert as_printed(counted.params_active, active)


def test_qwen3_counts_without_embeddings_too() -> None:
    """30.5 B; active 3.3 B, which it cuts and does not round (3.353); 29.9 B without embeddings."""
    counted = count(published("qwen3-30b-a3b"))
    assert as_printed(counted.params, "30.5B")
    assert 3.3e9 <= counted.params_active < 3.4e9
    assert as_printed(counted.params_non_embedding, "29.9B")


@pytest.mark.parametrize(("name", "total", "active"), [("20b", "20.91B", "3.61B"), ("120b", "116.83B", "5.13B")])
def test_gpt_oss_leaves_the_input_embedding_out(name: str, total: str, active: str) -> None:
    counted = count(published(f"gpt-oss-{name}"))
    assert as_printed(counted.params, total)
    assert as_printed(counted.params_active_no_input_embedding, active)


def test_deepseek_v3_as_published() -> None:
    """671 B, of which 37 B active: either convention of the embeddings gives it, rounded or cut."""
    counted = count(published("deepseek-v3"))
    assert as_printed(counted.params, "671B")
    assert as_printed(counted.params_active_no_input_embedding, "37B")
    assert int(counted.params_active / 1e9) == 37


@pytest.mark.parametrize(
    ("name", "total"),
    [
        ("t5-base", "223M"), ("switch-base-16e", "1.1B"), ("switch-base-32e", "2.0B"), ("switch-base-64e", "3.8B"),
        ("switch-base-128e", "7.4B"), ("switch-base-256e", "14.7B"), ("switch-xxl-128e", "395B"),
    ],
)  # fmt: skip
def test_table_7_and_9_of_switch_transformers(name: str, total: str) -> None:
    assert as_printed(count(published(name)).params, total)


def test_switch_xxl_is_not_what_its_table_prints() -> None:
    """Table 9 prints 64 experts beside 395 B; that many have half of it, and the note says so."""
    model = published("switch-xxl-64e")
    assert as_printed(count(model).params, "201.3B")
    assert "395 B are those of 128 experts" in model.note
    assert as_printed(count(published("switch-xxl-128e")).params, "394.5B")


def test_every_listed_model_counts_and_says_where_it_comes_from() -> None:
    for name in (*NAMES, *PATTERNS.values()):
        model = published(name)
        counted = count(model)
        assert model.name == name
        assert model.source
        assert counted.params >= counted.params_active >= counted.params_active_no_input_embedding
        assert counted.params_active_no_input_embedding >= counted.params_active_non_embedding > 0
        assert counted.bytes["bfloat16"] == 2 * counted.params == 2 * sum(parameters(model).values())


def test_any_size_patch_and_number_of_experts_has_a_name() -> None:
    assert published("Soft-MoE-Ti8-4096e").d_model == 192
    assert len(published("vit-l32").stacks[0].expert_blocks) == 0
    assert published("soft-moe-l16-3e").stacks[0].expert_blocks == tuple(range(12, 24))
    layer = published("token-choice-b16-64e-k2-c1.25-g4").stacks[0].experts
    assert layer is not None
    assert (layer.experts, layer.top_k, layer.capacity_factor, layer.group) == (64, 2, 1.25, 4)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("mixtral-8x7", "mixtral-8x7b"), ("Qwen3-30B", "qwen3-30b-a3b"), ("soft-moe-l61-128e", "soft-moe-l16-128e"),
        ("vit-l15", "vit-l16"), ("vit-s16-8e", "vit-s16"), ("token-choice-s16-2e-k4", None), ("banana", None),
        ("", None), ("vit-l0", "vit-l"), ("switch-base-0e", "switch-base-"),
    ],
)  # fmt: skip
def test_an_unknown_name_gets_the_list_and_the_nearest(name: str, nearest: str | None) -> None:
    with pytest.raises(CannotCount) as error:
        published(name)
    text = str(error.value)
    assert repr(name) in text
    assert "switch-xxl-64e" in text
    assert "soft-moe-<size><patch>-<experts>e" in text
    if nearest:
        assert re.search(rf"did you mean: {re.escape(nearest)}", text)
