"""--set: whatever the suite says about an axis, the command line has the last word."""

from __future__ import annotations

from typing import Any

import pytest

from harness.declare.faults import Fault, SuiteError
from harness.declare.overrides import value_of
from harness.declare.plan import plan
from harness.declare.suite import Suite, parse_suite

SUITE = """
title = "Two"
[base]
size = "Ti"
tokens = 64
[sweep]
batch = [1, 8]
linked = [{ dtype = ["float32", "bfloat16"], pass = ["forward", "train"] }]
[[variant]]
name = "top"
layer = "token_choice"
top_k = 1
sweep.experts = [8, 16]
[[variant]]
name = "dense"
layer = "dense"
"""


@pytest.fixture(scope="module")
def suite() -> Suite:
    return parse_suite(SUITE, "two.toml")


def values(suite: Suite, axis: str, *overrides: str) -> dict[str, set[Any]]:
    """Return the values of `axis` by variant."""
    found: dict[str, set[Any]] = {}
    for planned in plan(suite, overrides=overrides).cases:
        found.setdefault(planned.case.variant, set()).add(getattr(planned.case, axis))
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8", 8),
        ("1.25", 1.25),
        ("true", True),
        ("S", "S"),
        ('"S"', "S"),
        ("1,8,64", [1, 8, 64]),
        ("[1, 8]", [1, 8]),
        ("S,B", ["S", "B"]),
        ("[S, B]", ["S", "B"]),
        ("1.25,dropless", [1.25, "dropless"]),
        ("{ from = 1, to = 8, times = 2 }", {"from": 1, "to": 8, "times": 2}),
        ("4 * d_model", "4 * d_model"),
        ("max(8, d_model),16", ["max(8, d_model)", 16]),
        ("[]", []),
    ],
)
def test_values_are_toml_or_bare_words(text: str, expected: Any) -> None:
    assert value_of(text) == expected


@pytest.mark.parametrize(
    ("override", "axis", "expected"),
    [
        ("tokens=32", "tokens", {"top": {32}, "dense": {32}}),
        ("batch=1,2,4", "batch", {"top": {1, 2, 4}, "dense": {1, 2, 4}}),
        ("experts={from=2,to=8,times=2}", "experts", {"top": {2, 4, 8}, "dense": {None}}),
        ("top_k=[1, 2]", "top_k", {"top": {1, 2}, "dense": {None}}),
        ("capacity_factor=1,dropless", "capacity_factor", {"top": {1.0, None}, "dense": {None}}),
        ("d_ff=2 * d_model", "d_ff", {"top": {384}, "dense": {384}}),
        ("d_model=64", "d_model", {"top": {64}, "dense": {64}}),
        ("dtype=float64", "dtype", {"top": {"float64"}, "dense": {"float64"}}),
        ("dtype=float64", "pass_", {"top": {"forward", "train"}, "dense": {"forward", "train"}}),
        (" size = S ", "d_model", {"top": {384}, "dense": {384}}),
    ],
)
def test_an_override_wins_everywhere(suite: Suite, override: str, axis: str, expected: dict[str, set[Any]]) -> None:
    extra = ["d_ff=128"] if override.startswith("d_model") else []
    assert values(suite, axis, override, *extra) == expected


def test_without_overrides_the_suite_stands(suite: Suite) -> None:
    assert values(suite, "batch") == {"top": {1, 8}, "dense": {1, 8}}
    assert len(plan(suite).cases) == 2 * 2 * 2 + 2 * 2


@pytest.mark.parametrize(
    ("override", "message", "nearest"),
    [
        ("expert=8", "there is no axis 'expert'", "experts"),
        ("slots=8", "no layer of two has the axis slots", None),
        ("batch", "batch is given no value", None),
        ("batch=", "batch is given no value", None),
        ("batch=0", "0 is not possible here", None),
        ("batch=1,1", "1 is used twice", None),
        ("batch={from=1,to=1e9,step=1}", "the range holds more than 100,000 values", None),
        ("batch=[]", "an empty list asks for nothing", None),
        ("batch={from=1,to=8}", "a range takes either times or step", None),
        ("batch=many", "'many' is no name here", None),
        ("dtype=bf16", "'bf16' is not known here", "bfloat16"),
        ("size=XS", "'XS' is not known here", "S"),
        ("top_k=64", "top: top_k = 64 is above experts = 8 (and in 7 more cases)", None),
        ("=8", "there is no axis ''", None),
    ],
)
def test_a_faulty_override_is_quoted(suite: Suite, override: str, message: str, nearest: str | None) -> None:
    with pytest.raises(SuiteError) as caught:
        plan(suite, overrides=[override])
    (fault,) = caught.value.faults
    assert isinstance(fault, Fault)
    assert (fault.file, fault.line) == (f"--set {override}", None)
    assert message in fault.message
    assert fault.expected
    assert fault.nearest == nearest


def test_a_fault_reads_well_without_a_line_and_where_the_override_is_long(suite: Suite) -> None:
    with pytest.raises(SuiteError) as caught:
        plan(suite, overrides=["batch=1,1,1"])
    assert [str(fault).splitlines()[0] for fault in caught.value.faults] == [
        "--set batch=1,1,1: batch[1]: 1 is used twice", "--set batch=1,1,1: batch[2]: 1 is used twice",
    ]  # fmt: skip
    with pytest.raises(SuiteError) as caught:
        plan(suite, overrides=[f"batch={'x' * 5000}\n"])
    assert len(str(caught.value).splitlines()[0]) < 400


def test_all_faulty_overrides_are_said_at_once(suite: Suite) -> None:
    with pytest.raises(SuiteError) as caught:
        plan(suite, overrides=["batch=0", "tokens=8", "tokens=9", "size=S", "d_model=64"])
    assert [fault.file for fault in caught.value.faults] == ["--set batch=0", "--set d_model=64", "--set tokens=9"]


def test_faults_of_set_and_select_are_said_together(suite: Suite) -> None:
    with pytest.raises(SuiteError) as caught:
        plan(suite, overrides=["bach=1"], select="toknes == 8")
    assert [fault.nearest for fault in caught.value.faults] == ["tokens", "batch"]


def test_select_can_leave_out_what_an_override_makes_impossible(suite: Suite) -> None:
    planned = plan(suite, overrides=["top_k=1,16"], select="top_k is None or top_k <= experts").cases
    assert {(c.case.experts, c.case.top_k) for c in planned} == {(8, 1), (16, 1), (16, 16), (None, None)}
