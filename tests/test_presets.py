"""Presets: every recipe by name, where it stands between sweep and variant, and what is wrong with a wrong one."""

from __future__ import annotations

from typing import get_args

import pytest

from harness.case import Case
from harness.declare.plan import plan
from harness.declare.presets import PRESETS, PresetName
from harness.declare.suite import SuiteError, parse_suite
from harness.layers import build
from harness.layers.gates import GATES

HEAD = 'title = "Presets"\n[base]\nsize = "S"\npass = "train"\n'


def _variant(preset: str, more: str = "", layer: str = "token_choice") -> str:
    return f'[[variant]]\nname = "{preset}"\nlayer = "{layer}"\npreset = "{preset}"\n{more}\n'


def _cases(text: str) -> list[Case]:
    return [planned.case for planned in plan(parse_suite(HEAD + text)).cases]


def test_every_preset_is_a_case_that_can_be_built() -> None:
    cases = _cases("".join(map(_variant, PRESETS)))
    assert [case.variant for case in cases] == list(PRESETS) == list(get_args(PresetName))
    for case in cases:
        assert case.gate in GATES
        assert build(case, device="meta").case == case


def test_every_preset_cites_its_paper() -> None:
    for preset in PRESETS.values():
        assert "arXiv" in preset.source


@pytest.mark.parametrize(
    ("preset", "experts", "top_k", "factor", "gate", "drop", "gated"),
    [
        ("switch", 128, 1, 1.25, "softmax", "position", True),
        ("gshard", 128, 2, 2.0, "renormalised", "position", False),
        ("glam", 64, 2, 2.0, "renormalised", "position", False),
        ("st-moe", 64, 2, 1.25, "renormalised", "position", True),
        ("v-moe", 32, 2, 1.05, "softmax", "priority", False),
        ("mixtral", 8, 2, None, "renormalised", None, True),
        ("deepseek-moe", 64, 6, None, "softmax", None, True),
        ("olmoe-like", 64, 8, None, "softmax", None, True),
    ],
)
def test_a_preset_is_what_its_paper_says(
    preset: str, experts: int, top_k: int, factor: float | None, gate: str, drop: str | None, gated: bool
) -> None:
    (case,) = _cases(_variant(preset))
    assert (case.experts, case.top_k, case.capacity_factor) == (experts, top_k, factor)
    assert (case.gate, case.drop, case.gated) == (gate, drop, gated)


def test_fine_grained_experts_are_as_wide_as_published() -> None:
    """Mixtral 8x7B: 14336 of 4096; DeepSeekMoE 16B: 1408 of 2048; OLMoE-1B-7B: 1024 of 2048."""
    for preset, width, expert in (("mixtral", 4096, 14336), ("deepseek-moe", 2048, 1408), ("olmoe-like", 2048, 1024)):
        (case,) = _cases(_variant(preset, f"d_model = {width}"))
        assert case.d_ff == expert


def test_a_preset_stands_between_the_sweep_and_the_variant() -> None:
    swept = "[sweep]\nexperts = [4, 16]\nbatch = [1, 2]\n"
    assert {case.experts for case in _cases(swept + _variant("mixtral"))} == {8}
    own = _cases(swept + _variant("mixtral", "top_k = 1\nsweep.experts = [2, 4]"))
    assert {(case.experts, case.top_k, case.batch) for case in own} == {(e, 1, b) for e in (2, 4) for b in (1, 2)}


def test_where_a_preset_counts() -> None:
    """Blocks in scope model alone, balance in training alone."""
    (trained,) = _cases(_variant("switch"))
    (inference,) = _cases(_variant("switch", 'pass = "forward"'))
    assert (trained.balance, trained.moe_layers, inference.balance) == ("switch", None, "none")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (_variant("olmoe"), "did you mean: olmoe-like"),
        (_variant("mixtral", "experts = 8\nslots = 1", "soft"), "a recipe of token choice, and this layer is soft"),
        (_variant("mixtral", "top_k = 9"), "top_k = 9 is above experts = 8"),
    ],
)
def test_what_is_wrong_is_said_where_the_preset_is(text: str, words: str) -> None:
    with pytest.raises(SuiteError, match=words) as raised:
        _cases(text)
    assert "suite.toml:" in str(raised.value)
