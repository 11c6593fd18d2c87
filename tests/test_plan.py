"""Plan: a suite's cases, what they are, what they cost, and that every one has a name of its own."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.case import Case
from harness.declare.adapters import ADAPTERS
from harness.declare.costs import cost
from harness.declare.faults import SuiteError
from harness.declare.plan import Plan, plan, plan_document
from harness.declare.plugins import is_plugin
from harness.declare.shipped import shipped_suites
from harness.declare.suite import load_suite, parse_suite
from harness.devices.ceilings import Ceilings

CEILINGS = Ceilings("a device", {"float32": 1e11}, 1e10, 2 << 20, "2025-01-01T00:00:00Z", "2.13.0")


def plan_of(body: str, **options: Any) -> Plan:
    return plan(parse_suite(f'title = "One"\n{body}', "one.toml"), **options)


def cases_of(body: str, **options: Any) -> list[Case]:
    return [planned.case for planned in plan_of(body, **options).cases]


def column(body: str, *axes: str) -> list[tuple[Any, ...]]:
    return [tuple(getattr(case, axis) for axis in axes) for case in cases_of(body)]


TOP = '[[variant]]\nname = "top"\nlayer = "token_choice"\n'
SOFT = '[[variant]]\nname = "soft"\nlayer = "soft"\n'
DENSE = '[[variant]]\nname = "dense"\nlayer = "dense"\n'
CHOICE = '[[variant]]\nname = "choice"\nlayer = "expert_choice"\n'


def test_a_case_has_its_layers_defaults_and_none_where_an_axis_does_not_apply() -> None:
    dense, top, choice, soft = cases_of(f'base.size = "S"\nsweep.experts = [8]\n{DENSE}{TOP}{CHOICE}{SOFT}')
    common = {
        "size": "S", "d_model": 384, "d_ff": 1536, "heads": None, "batch": 8, "tokens": 196, "dtype": "float32",
        "pass": "forward", "backend": "best", "activation": "gelu", "gated": False, "scope": "layer", "compile": False,
        "causal": None, "depth": None, "moe_layers": None, "vocabulary": None, "patch": None,
    }  # fmt: skip
    own = (
        "experts", "top_k", "slots", "capacity_factor", "group", "routing", "shared_experts",
        "gate", "noise", "drop", "balance", "mixing",
    )  # fmt: skip
    for case, expected in (
        (dense, (None,) * 12),
        (top, (8, 2, None, None, "batch", "learned", 0, "renormalised", "none", None, "none", None)),
        (choice, (8, None, None, 1.0, "batch", "learned", *(None,) * 6)),
        (soft, (8, None, 1, *(None,) * 8, "soft")),
    ):
        assert case.as_dict() == common | {"layer": case.layer} | dict(zip(own, expected, strict=True))


def test_the_product_runs_in_the_order_of_the_axes() -> None:
    assert column(f'[sweep]\nbatch = [8, 1]\nsize = ["S", "Ti"]\n{DENSE}', "size", "batch") == [
        ("S", 8), ("S", 1), ("Ti", 8), ("Ti", 1),
    ]  # fmt: skip


def test_what_is_said_closer_wins() -> None:
    body = f"""
    base.size = "Ti"
    base.batch = 2
    base.tokens = 16
    sweep.tokens = [32, 64]
    sweep.experts = [2, 4]
    {TOP}
    batch = 3
    sweep.experts = [8]
    {TOP.replace('"top"', '"other"')}
    tokens = 8
    """
    assert column(body, "variant", "experts", "batch", "tokens") == [
        ("top", 8, 3, 32), ("top", 8, 3, 64), ("other", 2, 2, 8), ("other", 4, 2, 8),
    ]  # fmt: skip


def test_an_explicit_d_ff_wins_over_the_size() -> None:
    assert column(f'sweep.size = ["Ti", "S"]\nbase.d_ff = 100\n{DENSE}', "d_model", "d_ff") == [(192, 100), (384, 100)]


def test_the_closer_of_size_and_d_model_wins() -> None:
    body = f'base.size = "Ti"\n{DENSE}d_model = 64\nd_ff = 32\n{TOP}experts = 2\n'
    assert column(body, "size", "d_model", "d_ff") == [(None, 64, 32), ("Ti", 192, 768)]
    body = f'base.d_model = 64\nbase.d_ff = 32\n{DENSE}size = "S"\n'
    assert column(body, "size", "d_model", "d_ff") == [("S", 384, 32)]


def test_ranges_multiply_or_step() -> None:
    body = f"""base.size = "Ti"\n{TOP}
    sweep.experts = {{ from = 2, to = 20, times = 3 }}
    sweep.capacity_factor = {{ from = 1, to = 1.5, step = 0.25 }}
    """
    assert column(body, "experts", "capacity_factor") == [(e, c) for e in (2, 6, 18) for c in (1.0, 1.25, 1.5)]


def test_linked_axes_move_together_and_collapse_where_they_do_not_apply() -> None:
    body = f"""
    base.size = "Ti"
    [[sweep.linked]]
    experts = [8, 16, 32]
    slots = [4, 2, 1]
    {SOFT}{DENSE}{CHOICE}experts = 3
    """
    assert column(body, "variant", "experts", "slots") == [
        ("soft", 8, 4), ("soft", 16, 2), ("soft", 32, 1), ("dense", None, None), ("choice", 3, None),
    ]  # fmt: skip


def test_derived_axes_follow_each_other() -> None:
    body = f"""
    sweep.d_model = [64, 128]
    base.d_ff = "3 * d_model"
    {SOFT}
    slots = "tokens // experts"
    tokens = "d_ff // 2"
    sweep.experts = [8, "d_model // 4"]
    """
    assert column(body, "d_model", "d_ff", "tokens", "experts", "slots") == [
        (64, 192, 96, 8, 12), (64, 192, 96, 16, 6), (128, 384, 192, 8, 24), (128, 384, 192, 32, 6),
    ]  # fmt: skip


def test_a_derived_axis_may_lean_on_what_a_size_gives() -> None:
    assert column(f'base.size = "Ti"\n{DENSE}tokens = "d_ff // heads"\n', "tokens") == [(256,)]


def test_dropless_stands_in_a_sweep_and_needs_no_group() -> None:
    body = f"""base.size = "Ti"\n{TOP}experts = 4
    sweep.capacity_factor = [1, "dropless"]
    sweep.group = ["sequence", "batch"]
    """
    assert column(body, "capacity_factor", "group") == [(1.0, "sequence"), (1.0, "batch"), (None, "batch")]
    assert column(f'base.size = "Ti"\n{TOP}experts = 4\ncapacity_factor = inf\n', "capacity_factor") == [(None,)]


def test_named_activations_are_gated() -> None:
    body = f'base.size = "Ti"\n{DENSE}sweep.activation = ["relu", "swiglu", "geglu"]\n'
    assert column(body, "activation", "gated") == [("relu", False), ("silu", True), ("gelu", True)]
    assert column(f'base.size = "Ti"\nbase.gated = true\n{DENSE}', "activation", "gated") == [("gelu", True)]


def test_heads_count_where_there_is_attention() -> None:
    body = f'base.size = "Ti"\n{DENSE}sweep.scope = ["layer", "block"]\nsweep.heads = [2, 4]\n'
    assert column(body, "scope", "heads") == [("layer", None), ("block", 2), ("block", 4)]


def test_select_keeps_what_is_included_and_not_excluded() -> None:
    body = f"""base.size = "Ti"\nsweep.batch = [1, 8]\n{TOP}sweep.experts = [4, 8]\n{DENSE}
    [select]
    include = ["layer == 'dense'", "experts < 8"]
    exclude = ["batch == 8 and experts == 4"]
    """
    assert column(body, "variant", "experts", "batch") == [("top", 4, 1), ("dense", None, 1), ("dense", None, 8)]


def test_an_impossible_combination_may_be_left_out() -> None:
    body = f"""base.size = "Ti"\n{TOP}sweep.experts = [1, 2]\nsweep.top_k = [1, 2]
    [select]
    exclude = ["top_k > experts"]
    """
    assert column(body, "experts", "top_k") == [(1, 1), (2, 1), (2, 2)]


def test_select_on_the_command_line_narrows() -> None:
    body = f'base.size = "Ti"\nsweep.batch = [1, 8]\n{TOP}experts = 4\n{DENSE}'
    assert [case.id for case in cases_of(body, select="id == 'dense-Ti-b8-f32-forward'")] == ["dense-Ti-b8-f32-forward"]
    assert len(cases_of(body, select="capacity_factor == dropless")) == 2
    for select, message, nearest in (
        ("batsh == 8", "'batsh' is no name here", "batch"),
        ("batch == 9", "'batch == 9' holds for no case", None),
        ("batch > 'x'", "gives no value where batch = 1", None),
        ("9**9**9**9 > batch", "gives no value", None),
        ("experts", "'experts' is neither true nor false", None),
    ):
        with pytest.raises(SuiteError) as caught:
            cases_of(body, select=select)
        (fault,) = caught.value.faults
        assert (fault.file, fault.line, fault.nearest) == ("--select", None, nearest)
        assert message in fault.message


def test_a_variant_may_be_matched_to_what_is_not_selected_itself() -> None:
    body = f"""base.size = "Ti"\n{TOP}experts = 4\n{DENSE}match = {{ to = "top", on = "flops" }}"""
    (case,) = cases_of(body, select="layer == 'dense'", overrides=["batch=3"])
    assert (case.variant, case.batch) == ("dense", 3)


MANY = f"""[sweep]
batch = {{ from = 1, to = 300, step = 1 }}
tokens = {{ from = 1, to = 3000, step = 1 }}
[base]
size = "Ti"
{DENSE}{TOP}experts = 2
"""


def test_a_plan_has_an_end() -> None:
    with pytest.raises(SuiteError) as caught:
        plan_of(MANY)
    (fault,) = caught.value.faults
    assert (fault.file, fault.line, fault.message) == ("one.toml", None, "the plan has 1,800,000 cases")
    assert fault.expected
    assert "--select" in fault.expected


def test_a_plan_that_is_too_long_can_be_narrowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.declare.suite.MAX_CASES", 3)
    monkeypatch.setattr("harness.declare.draw.MAX_CASES", 3)
    body = f"""sweep.batch = [1, 2]\nbase.size = "Ti"\n{DENSE}{TOP}experts = 2\n"""
    assert len(cases_of(body, select="batch == 2")) == 2
    assert len(cases_of(body, overrides=["batch=8"])) == 2
    assert len(cases_of(f"{body}[select]\nexclude = ['batch == 2']")) == 2
    for options in ({}, {"overrides": ["batch=1,2,3"]}, {"select": "batch < 9"}):
        with pytest.raises(SuiteError, match=r"the plan has .* cases"):
            cases_of(body, **options)


@pytest.mark.parametrize("factor", ["1e9", "0.001"])
def test_numbers_at_the_ends_of_the_format_have_a_price(factor: str) -> None:
    body = f"""[base]
    d_model = 1_000_000_000\nd_ff = "d_model"\nbatch = "d_model"\ntokens = "d_model"\nexperts = "d_model"
    pass = "train"
    {TOP}top_k = "d_model"\nshared_experts = "d_model"\ncapacity_factor = {factor}
    {SOFT}slots = "d_model"
    {CHOICE}capacity_factor = {factor}
    {DENSE}"""
    planned = plan_of(body, ceilings=CEILINGS)
    assert len(planned.cases) == 4
    assert json.dumps(plan_document(planned), allow_nan=False)


def test_cases_are_priced_and_weighed() -> None:
    body = f'base.size = "Ti"\nsweep.batch = [1, 8]\nsweep.dtype = ["float32", "bfloat16"]\n{DENSE}'
    bare = plan_of(body)
    assert [(planned.seconds, planned.fits) for planned in bare.cases] == [(None, None)] * 4
    priced = plan_of(body, ceilings=CEILINGS)
    for planned in priced.cases:
        assert planned.cost == cost(planned.case)
        assert planned.fits is (cost(planned.case).memory_needed <= 2 << 20)
        assert (planned.seconds is None) is (planned.case.dtype == "bfloat16")
    assert {planned.fits for planned in priced.cases} == {True, False}
    seconds = priced.cases[0].seconds
    first = cost(priced.cases[0].case)
    assert seconds == max(first.flops_executed / 1e11, first.bytes / 1e10)
    assert all(planned.fits for planned in plan_of(body, ceilings=CEILINGS, memory_bytes=1 << 40).cases)


def test_what_a_layer_cannot_do_is_said_at_plan_time() -> None:
    body = f'base.size = "Ti"\n{DENSE}sweep.backend = ["best", "grouped"]\n'
    best, grouped = plan_of(body).cases
    assert best.unsupported is None
    assert best.runs
    assert grouped.unsupported
    assert not grouped.runs


def test_the_plans_document_has_the_fields_that_scripts_rely_on() -> None:
    made = plan_of(f'base.size = "Ti"\n{TOP}experts = 4\n', ceilings=CEILINGS)
    document = json.loads(json.dumps(plan_document(made), allow_nan=False))
    assert (document["schema"], document["suite"]) == (1, "one")
    (entry,) = document["cases"]
    assert list(entry) == [
        "id", "key", "variant", "case", "params", "params_active", "flops_model", "flops_executed", "bytes",
        "seconds", "fits",
    ]  # fmt: skip
    assert Case.from_dict(entry["variant"], entry["case"]) == made.cases[0].case
    assert entry["key"] == made.cases[0].case.key


@pytest.mark.parametrize("name", shipped_suites())
def test_every_case_of_the_shipped_suites_has_a_name_of_its_own(name: str) -> None:
    first, again = plan(load_suite(name)), plan(load_suite(name))
    ids = [planned.case.id for planned in first.cases]
    keys = [planned.case.key for planned in first.cases]
    assert len(set(ids)) == len(ids)
    assert len(set(keys)) == len(keys)
    assert [planned.case.key for planned in again.cases] == keys
    ours = [c for c in first.cases if c.case.backend not in ADAPTERS and not is_plugin(c.case.layer)]
    assert not [planned.case.id for planned in ours if planned.unsupported]


def test_quick_is_the_main_job() -> None:
    cases = [planned.case for planned in plan(load_suite("quick")).cases]
    assert 130 <= len(cases) <= 150
    assert {case.layer for case in cases} == {"dense", "token_choice", "expert_choice", "soft"}
    for axis, values in (
        ("size", {"Ti", "S"}), ("experts", {8, 32, None}), ("top_k", {1, 2, None}), ("slots", {1, 2, None}),
        ("batch", {1, 8}), ("pass_", {"forward", "forward_backward"}), ("dtype", {"float32"}), ("tokens", {64}),
    ):  # fmt: skip
        assert {getattr(case, axis) for case in cases} == values
    sparse = [case for case in cases if case.layer == "token_choice"]
    assert {case.capacity_factor for case in sparse} == {1.25, None}


WHOLE = st.integers(1, 4)


@given(
    st.lists(st.sampled_from(["Ti", "S"]), min_size=1, max_size=2, unique=True),
    st.lists(WHOLE, min_size=1, max_size=3, unique=True),
    st.lists(WHOLE.map(lambda n: 4 * n), min_size=1, max_size=3, unique=True),
    st.lists(st.sampled_from([1, 1.25, 2.0, "dropless"]), min_size=1, max_size=4, unique=True),
    st.lists(st.sampled_from(["gelu", "swiglu", "geglu", "silu"]), min_size=1, max_size=3, unique=True),
)
def test_any_sweep_has_unique_ids_and_keys(
    sizes: list[str], top_ks: list[int], experts: list[int], factors: list[Any], activations: list[str]
) -> None:
    body = f"""[sweep]
    size = {json.dumps(sizes)}
    experts = {experts}
    activation = {json.dumps(activations)}
    heads = [1, 3]
    {TOP}sweep.top_k = {top_ks}
    sweep.capacity_factor = {json.dumps(factors)}
    {SOFT}sweep.slots = {top_ks}
    {DENSE}match = {{ to = "top", on = "flops" }}
    """
    cases = cases_of(body)
    assert len({case.id for case in cases}) == len({case.key for case in cases}) == len(set(cases)) == len(cases)
    count = len(sizes) * len(experts) * len(activations)
    assert sum(case.variant == "top" for case in cases) == count * len(top_ks) * len(factors)
    assert sum(case.variant == "soft" for case in cases) == count * len(top_ks)


def test_a_claim_whose_expression_has_no_value_is_told_before_anything_is_measured() -> None:
    suite = parse_suite(
        "title = 'A claim'\n[[variant]]\nname = 'dense'\nlayer = 'dense'\nd_model = 16\nd_ff = 32\ntokens = 4\n"
        "[[claim]]\nid = 'odd'\ntext = 'It is odd.'\nmetric = 'params'\nexpect = 'at_most'\nvalue = 1\n"
        "where = \"batch > 'a'\"\n"
    )
    with pytest.raises(SuiteError, match=r"claim\[0\]\.where: .*gives no value"):
        plan(suite)
