"""`harness count` as a user types it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from harness.declare.published import NAMES
from tests.test_cli import ends, harness

FIELDS = {
    "schema", "model", "params", "params_active", "params_active_no_input_embedding", "params_non_embedding", "bytes",
}  # fmt: skip


def test_the_document_of_a_language_model() -> None:
    data = json.loads(harness("count", "mixtral-8x7b", "--json").stdout)
    assert FIELDS | {"flops_per_token"} <= data.keys()
    assert data["schema"] == 1
    assert (data["params"], data["params_active"]) == (46_702_792_704, 12_879_925_248)
    assert data["bytes"]["bfloat16"] == 2 * data["params"]
    assert data["tokens"] is None


def test_the_document_of_an_image_model() -> None:
    data = json.loads(harness("count", "soft-moe-l16-128e", "--json").stdout)
    assert FIELDS | {"flops_per_image"} <= data.keys()
    assert "flops_per_token" not in data
    assert data["tokens"] == 196


def test_a_context_adds_attention() -> None:
    alone, within = (
        json.loads(harness("count", "mixtral-8x7b", "--json", *more).stdout) for more in ((), ("--tokens", "4096"))
    )
    assert within["flops_per_token"] - alone["flops_per_token"] == 32 * 4 * 4096 * 32 * 128
    assert within["tokens"] == 4096


def test_the_table_names_every_convention_and_its_users() -> None:
    done = harness("count", "gpt-oss-120b")
    assert done.returncode == 0, done.stderr
    assert re.search(r"^parameters +116,829,156,672 +117 B", done.stdout, re.MULTILINE)
    assert re.search(r"^active, no input +5,132,849,472 +5\.13 B .*gpt-oss", done.stdout, re.MULTILINE)
    for words in ("active ", "active, neither", "non-embedding", "Mixtral, Qwen3", "scaling laws", "FLOPs per token"):
        assert words in done.stdout
    assert re.search(r"^experts +115 B +3\.58 B +7\.17 G", done.stdout, re.MULTILINE)
    assert "attention scores left out: --tokens N" in done.stdout
    assert done.stderr == ""


def test_notes_and_pairs_are_said() -> None:
    text = harness("count", "switch-xxl-64e").stdout
    assert "395 B are those of 128 experts" in text
    assert "one token in and one out" in text
    assert "196 patches" in harness("count", "vit-b16").stdout


def test_the_list_has_every_name_with_its_source() -> None:
    lines = harness("count", "--list").stdout.splitlines()
    assert [line.split()[0] for line in lines[: len(NAMES)]] == list(NAMES)
    assert all(re.search(r" active  \S", line) for line in lines[: len(NAMES)])
    assert any("soft-moe-<size><patch>-<experts>e" in line for line in lines)
    assert json.loads(harness("count", "--list", "--json").stdout)["models"] == list(NAMES)


def test_a_name_loads_neither_torch_nor_transformers() -> None:
    done = harness("count", "deepseek-v3", PYTHONPROFILEIMPORTTIME="1")
    assert re.search(r"\|\s+harness.declare.published\b", done.stderr)
    assert not re.search(r"\|\s+(torch|transformers)\b", done.stderr)


def test_a_config_counts_as_its_name_does(tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason="the extra hf is not installed")
    path = tmp_path / "config.json"
    path.write_text('{"model_type": "mixtral"}')  # the library's defaults are Mixtral 8x7B
    ours = json.loads(harness("count", "mixtral-8x7b", "--json").stdout)
    done = harness("count", path, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ours | {"model": str(path)}
    assert done.stderr == ""


def test_what_is_no_model_ends_in_2(tmp_path: Path) -> None:
    ends(2, harness("count"), "harness count --list")
    ends(2, harness("count", "mixtral-8x7"), "'mixtral-8x7'", "did you mean: mixtral-8x7b")
    ends(2, harness("count", "vit-s16", "--tokens", "8"), "--tokens 8", "196 patches")
    ends(2, harness("count", "mixtral-8x7b", "--tokens", "0"), "--tokens")
    ends(2, harness("count", tmp_path / "none.json"), "none.json", "No such file")
