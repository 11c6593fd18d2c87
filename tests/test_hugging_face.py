"""A config.json: transformers' own models against the catalogue's closed forms and torch's counter."""

from __future__ import annotations

import builtins
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from harness.declare.architecture import Architecture, Attention
from harness.declare.counts import CannotCount, Count, count
from harness.declare.published import NAMES, published
from harness.hugging_face.count import count_config
from harness.hugging_face.experts import banks
from harness.hugging_face.file import config_file

hf: Any = pytest.importorskip("transformers", reason="the extra hf is not installed")


def t5(**changes: Any) -> Any:
    return hf.T5Config(**{"d_model": 768, "d_ff": 2048, "num_layers": 12, "num_heads": 12, **changes})


def switch(experts: int, **changes: Any) -> Any:
    """Return Google's: its FFNs have two matrices, so they are half again as wide as three of the same size."""
    shape = {"d_model": 768, "d_ff": 3072, "num_layers": 12, "num_heads": 12, **changes}
    sparse = shape["num_layers"] // 2
    return hf.SwitchTransformersConfig(
        **shape, num_decoder_layers=shape["num_layers"], num_experts=experts,
        num_sparse_encoder_layers=sparse, num_sparse_decoder_layers=sparse,
    )  # fmt: skip


def qwen3(width: int, depth: int, heads: int, d_ff: int) -> Any:
    return hf.Qwen3MoeConfig(
        hidden_size=width, num_hidden_layers=depth, num_attention_heads=heads, num_key_value_heads=4, head_dim=128,
        moe_intermediate_size=d_ff, num_experts=128, num_experts_per_tok=8, vocab_size=151_936,
    )  # fmt: skip


def vit(name: str) -> Any:
    """Return a ViT as the library has it: with a class token, without the scales of queries and keys."""
    model = published(name)
    stack, patches = model.stacks[0], model.embedding
    assert isinstance(stack.attention, Attention)
    assert stack.ffn
    return hf.ViTConfig(
        hidden_size=model.d_model, num_hidden_layers=stack.depth, num_attention_heads=stack.attention.heads,
        intermediate_size=stack.ffn.d_ff, patch_size=patches.patch, num_labels=29_593,  # type: ignore[union-attr]
    )  # fmt: skip


CONFIGS: dict[str, Callable[[], Any]] = {
    "mistral-7b": lambda: hf.MistralConfig(),
    "mixtral-8x7b": lambda: hf.MixtralConfig(),
    "mixtral-8x22b": lambda: hf.MixtralConfig(
        hidden_size=6144, num_hidden_layers=56, intermediate_size=16_384, num_attention_heads=48
    ),
    "qwen3-30b-a3b": lambda: qwen3(2048, 48, 32, 768),
    "qwen3-235b-a22b": lambda: qwen3(4096, 94, 64, 1536),
    "qwen1.5-moe-a2.7b": lambda: hf.Qwen2MoeConfig(),
    "olmoe-1b-7b": lambda: hf.OlmoeConfig(intermediate_size=1024),
    "deepseek-moe-16b": lambda: hf.Glm4MoeConfig(  # the library has not DeepSeek's first, but this is built alike
        hidden_size=2048, num_hidden_layers=28, num_attention_heads=16, num_key_value_heads=16, head_dim=128,
        n_routed_experts=64, n_shared_experts=2, num_experts_per_tok=6, moe_intermediate_size=1408,
        intermediate_size=10_944, first_k_dense_replace=1, vocab_size=102_400, attention_bias=False, use_qk_norm=False,
    ),
    "deepseek-v3": lambda: hf.DeepseekV3Config(),
    "gpt-oss-20b": lambda: hf.GptOssConfig(num_hidden_layers=24, num_local_experts=32),
    "gpt-oss-120b": lambda: hf.GptOssConfig(),
    "t5-base": lambda: t5(feed_forward_proj="gated-gelu"),
    **{f"switch-base-{n}e": lambda n=n: switch(n) for n in (16, 32, 64, 128, 256)},  # type: ignore[misc]
    **{
        f"switch-xxl-{n}e": lambda n=n: switch(n, d_model=4096, d_ff=15_360, num_layers=24, num_heads=64)  # type: ignore[misc]
        for n in (64, 128)
    },
}  # fmt: skip


def saved(folder: Path, config: Any, **changes: Any) -> Path:
    """Return the path of `config` as a file, with some of its keys changed."""
    config.save_pretrained(folder)
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **changes}), "utf-8")
    return path


def numbers(counted: Count) -> Count:
    return replace(counted, model="")


@pytest.mark.parametrize("name", CONFIGS)
def test_the_catalogue_has_what_the_library_builds(name: str, tmp_path: Path) -> None:
    """Every count, to the last digit."""
    assert numbers(count_config(saved(tmp_path, CONFIGS[name]()))) == numbers(count(published(name)))


@pytest.mark.parametrize("name", ["vit-s16", "vit-b16", "vit-l16", "vit-h14"])
def test_a_vision_transformer_differs_by_what_the_paper_changed(name: str, tmp_path: Path) -> None:
    model, theirs = published(name), count_config(saved(tmp_path, vit(name)))
    attention = model.stacks[0].attention
    assert isinstance(attention, Attention)
    scales, class_token = model.stacks[0].depth * 2 * attention.head_dim, 2 * model.d_model
    assert theirs.params == count(model).params - scales + class_token
    assert theirs.per == "image"
    assert theirs.flops is not None
    assert theirs.flops == pytest.approx(count(model).flops, rel=0.01)  # a token more


def test_what_the_library_cannot_express_is_known() -> None:
    """GLaM mixes gated and plain FFNs; Soft MoE is nowhere in it."""
    rest = set(NAMES) - set(CONFIGS) - {name for name in NAMES if name.startswith("vit")}
    assert rest == {"glam-64b-64e"} | {name for name in NAMES if name.startswith("soft")}


def shallow(model: Architecture, depth: int) -> Architecture:
    """Return `model` with its first blocks alone."""
    stacks = (
        replace(stack, depth=depth, expert_blocks=tuple(n for n in stack.expert_blocks if n < depth))
        for stack in model.stacks
    )
    return replace(model, stacks=tuple(stacks))


@pytest.mark.parametrize(
    ("name", "depth"), [("mixtral-8x7b", 1), ("qwen3-30b-a3b", 2), ("gpt-oss-20b", 2), ("deepseek-v3", 4)]
)
def test_attention_over_a_context_is_what_torch_counts(name: str, depth: int, tmp_path: Path) -> None:
    """gpt-oss has a window in every second block, which saves the plain product nothing."""
    config = CONFIGS[name]()
    changes = {"layer_types": config.layer_types[:depth]} if name == "gpt-oss-20b" else {}
    path = saved(tmp_path, config, num_hidden_layers=depth, **changes)
    assert numbers(count_config(path, 1000)) == numbers(count(shallow(published(name), depth), 1000))


def test_an_encoder_decoder_attends_three_times(tmp_path: Path) -> None:
    path = saved(tmp_path, t5(feed_forward_proj="gated-gelu", num_layers=3, num_decoder_layers=3))
    assert numbers(count_config(path, 512)) == numbers(count(shallow(published("t5-base"), 3), 512))


@pytest.mark.parametrize("kind", ["MixtralConfig", "GPT2Config", "BertConfig", "OlmoeConfig", "PhimoeConfig"])
def test_flops_of_a_token_are_what_torch_counts(kind: str, tmp_path: Path) -> None:
    """Two for each active weight of a matrix, with attention over one token: the counter sees the same."""
    from harness.hugging_face.flops import _counted, _read
    from harness.hugging_face.load import load

    path = saved(tmp_path, getattr(hf, kind)(num_hidden_layers=2))
    assert count_config(path, 1).flops == _counted(lambda: _read(load(path), 1))


def test_a_folder_and_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path, hf.MixtralConfig(num_hidden_layers=1))
    monkeypatch.chdir(tmp_path)
    assert config_file("config.json").absolute() == config_file("./").absolute() == config_file(str(tmp_path)) == path
    assert numbers(count_config(Path("config.json"))) == numbers(count_config(path))


def test_a_dense_model_is_all_active(tmp_path: Path) -> None:
    counted = count_config(saved(tmp_path, hf.GPT2Config()))
    assert counted.params == counted.params_active == 124_439_808  # Radford et al. 2019, as released


@pytest.mark.parametrize(
    ("config", "experts", "layers"),
    [("MixtralConfig", 8, 2), ("NllbMoeConfig", 128, 1), ("JetMoeConfig", 8, 4), ("Llama4TextConfig", 16, 2)],
)
def test_experts_are_found_stacked_and_in_lists(config: str, experts: int, layers: int, tmp_path: Path) -> None:
    """JetMoe has experts in its attention too."""
    from harness.hugging_face.load import load

    shape = {"encoder_layers": 4, "decoder_layers": 0} if config == "NllbMoeConfig" else {"num_hidden_layers": 2}
    found = list(banks(load(saved(tmp_path, getattr(hf, config)(**shape)))))
    assert {bank.experts for bank in found} == {experts}
    assert len({bank.name.rpartition(".")[0] if config == "JetMoeConfig" else bank.name for bank in found}) == layers


def test_shared_experts_are_no_bank() -> None:
    model = nn.ModuleDict({"shared_experts": nn.ModuleList([nn.Linear(2, 2)]), "experts": nn.ModuleList([])})
    assert [(bank.name, bank.experts) for bank in banks(model)] == [("experts", 0)]


@pytest.mark.parametrize("kind", ["LlavaConfig", "WhisperConfig"])
def test_flops_are_not_made_up_where_not_all_input_is_text(kind: str, tmp_path: Path) -> None:
    counted = count_config(saved(tmp_path, getattr(hf, kind)()))
    assert counted.flops is None
    assert counted.params > 0


def test_a_model_without_an_input_embedding_counts(tmp_path: Path) -> None:
    """ResNet-50 (He et al. 2016): 23,508,032 and a classifier."""
    counted = count_config(saved(tmp_path, hf.ResNetConfig()))
    assert counted.params_non_embedding == 23_508_032
    assert counted.params == counted.params_active_no_input_embedding == 23_508_032 + 2 * 2048 + 2


def test_the_class_that_the_file_names_is_built(tmp_path: Path) -> None:
    config = hf.MistralConfig(num_hidden_layers=1)
    whole = count_config(saved(tmp_path, config, architectures=["MistralForCausalLM"]))
    bare = count_config(saved(tmp_path, config, architectures=["MistralModel"]))
    elsewhere = count_config(saved(tmp_path, config, architectures=["os", "pipeline", "NobodysModel"]))
    assert whole.params - bare.params == 32_000 * 4096
    assert numbers(elsewhere) == numbers(whole)


# what is wrong with a file


def fails(path: Path, *words: str, tokens: int | None = None) -> None:
    with pytest.raises(CannotCount) as error:
        count_config(config_file(str(path)), tokens)
    for word in words:
        assert word in str(error.value), str(error.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ("config.json:1", "no JSON from column 1 on")),
        ('{"model_type":\n', ("config.json:2", "no JSON")),
        ("[]", ("no model is described here: it holds []", '"model_type": "mixtral"')),
        ("{}", ("model_type is None", "expected: an object with")),
        ('{"model_type": 7}', ("model_type is 7",)),
        ('{"model_type": "banana"}', ("cannot build this model", "banana", "expected: a config.json that")),
        ('{"model_type": "mixtral", "hidden_size": "wide"}', ("hidden_size", "expected int")),
        ('{"model_type": "mixtral", "hidden_size": -4}', ("negative dimension -4",)),
        ('{"model_type": "mixtral", "num_experts_per_tok": 9}', ("num_experts_per_tok is 9", "from 1 to 8")),
        ('{"model_type": "mixtral", "num_experts_per_tok": 0}', ("num_experts_per_tok is 0", "from 1 to 8")),
        ('{"model_type": "banana", "auto_map": {"AutoConfig": "evil.Config"}}', ("code that a repository brings",)),
        ('{"model_type": "mixtral", "num_hidden_layers": 1000000000}', ("num_hidden_layers is", "at most 100,000")),
        ("[" * 100_000, ("nested too deeply",)),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_a_file_that_describes_no_model(text: str, words: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(text, "utf-8")
    fails(path, str(path), *words)


def test_no_file_a_folder_without_one_and_no_text(tmp_path: Path) -> None:
    fails(tmp_path / "none.json", "No such file", "harness count --list")
    fails(tmp_path, str(tmp_path / "config.json"), "No such file")
    (tmp_path / "config.json").write_bytes(b"\xff\xfe\x00")
    fails(tmp_path / "config.json", "no text in UTF-8")


def test_experts_of_which_nothing_says_how_many_a_token_uses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.hugging_face.experts.TOP_K_TYPES", {})
    fails(saved(tmp_path, switch(8)), "8 experts a layer", "expected: num_experts_per_tok")


def test_experts_that_are_not_found_are_not_taken_for_a_dense_model(tmp_path: Path) -> None:
    """Doge's experts are rows of two tables."""
    config = hf.DogeConfig(num_hidden_layers=1, num_experts=16, num_experts_per_tok=4, is_moe=True)
    fails(saved(tmp_path, config), "num_experts is 16", "no experts are found", "stacked weights")


def test_what_a_checkpoint_brings_along_is_neither_needed_nor_run(tmp_path: Path) -> None:
    """DeepSeek's own file names code of its repository, and weights in 8 bits."""
    config, depth = hf.DeepseekV3Config(), 4
    extra = {
        "auto_map": {"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model"},
        "quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]},
        "architectures": ["DeepseekV3ForCausalLM"],
        "torch_dtype": "bfloat16",
    }
    counted = count_config(saved(tmp_path, config, num_hidden_layers=depth, **extra))
    assert numbers(counted) == numbers(count(shallow(published("deepseek-v3"), depth)))


def test_attention_that_cannot_be_counted_without_data(tmp_path: Path) -> None:
    fails(saved(tmp_path, switch(8)), "needs data", "leave --tokens out", tokens=10)
    mixed = hf.Qwen3NextConfig(num_hidden_layers=4, num_experts=8, num_experts_per_tok=2)
    fails(saved(tmp_path, mixed), "no sum of a linear and a quadratic", tokens=10)
    fails(saved(tmp_path, vit("vit-s16")), "reads images", tokens=10)


def test_without_the_library_the_error_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path, hf.MixtralConfig())
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "transformers":
            raise ModuleNotFoundError("No module named 'transformers'")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    fails(path, "No module named 'transformers'", "moe-harness[hf]")


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CannotCount, match="no file, or one above 16 MB"):
        config_file(str(tmp_path / "pipe"))
