from __future__ import annotations

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harness.declare import draw
from harness.declare.plan import plan
from harness.declare.suite import SuiteError, parse_suite

HUGE = """
title = "A thousand million points"
[sweep]
d_model = { from = 64, to = 6400, step = 64 }
d_ff = { from = 64, to = 6400, step = 64 }
batch = { from = 1, to = 100, step = 1 }
[[variant]]
name = "soft"
layer = "soft"
sweep.experts = { from = 1, to = 100, step = 1 }
sweep.slots = { from = 1, to = 10, step = 1 }
"""
SMALL = """
title = "Small"
[sweep]
size = ["Ti", "S"]
batch = [1, 8, 64]
pass = ["forward", "train"]
[[variant]]
name = "sparse"
layer = "token_choice"
sweep.experts = [4, 8]
sweep.capacity_factor = [1.0, "dropless"]
[[variant]]
name = "soft"
layer = "soft"
slots = "experts // 4"
sweep.experts = [4, 8]
sweep.activation = ["gelu", "swiglu"]
[[variant]]
name = "dense"
layer = "dense"
match = { to = "sparse", on = "flops" }
"""
CONDITIONS = (
    "batch == 8", "size == 'S'", "pass == 'train'", "experts <= 4", "experts * batch <= 64", "variant != 'soft'",
    "capacity_factor > 2", "layer == 'dense'", "d_ff > 1000", "slots == 2", "gated", "activation == 'silu'",
    "d_model == 384", "not batch == 8", "batch in [1, 64]",
)  # fmt: skip


def test_of_a_thousand_million_points_those_that_are_kept_are_made() -> None:
    suite = parse_suite(HUGE)
    start = time.perf_counter()
    narrow = "batch == 8 and d_model == 512 and d_ff == 4 * d_model and experts <= 3"
    assert len(plan(suite, select=narrow).cases) == 3 * 10
    assert time.perf_counter() - start < 5
    kept = plan(parse_suite(f"{HUGE}[select]\ninclude = ['{narrow}']\nexclude = ['slots > 5 or experts == 2']")).cases
    assert len(kept) == 2 * 5


@pytest.mark.parametrize("select", ["batch <= 90", "experts * slots * batch == 7 * d_model"])
def test_what_leaves_too_many_ends_soon_and_says_so(select: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.declare.narrowing.MOST_ROWS", 100_000)
    with pytest.raises(SuiteError, match=r"soft has 1,000,000,000 cases, and what the selection says .* too many"):
        plan(parse_suite(HUGE), select=select)


def test_without_a_selection_one_is_asked_for() -> None:
    with pytest.raises(SuiteError, match=r"the plan has 1,000,000,000 cases(.|\n)*--select"):
        plan(parse_suite(HUGE))


@settings(max_examples=60, deadline=None)
@example(select=["batch == 8"], exclude=["experts * batch <= 64", "variant != 'soft'"], joint=" or ")
@given(
    select=st.lists(st.sampled_from(CONDITIONS), min_size=1, max_size=3),
    exclude=st.lists(st.sampled_from(CONDITIONS), max_size=2),
    joint=st.sampled_from((" and ", " or ")),
)
def test_a_narrowed_product_has_the_cases_of_a_whole_one(select: list[str], exclude: list[str], joint: str) -> None:
    text = f"{SMALL}[select]\nexclude = {[joint.join(exclude)] if exclude else []}"
    found = []
    for most in (10_000, 0):
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(draw, "DRAWN_WHOLE", most)
            try:
                found.append([planned.case for planned in plan(parse_suite(text), select=joint.join(select)).cases])
            except SuiteError as error:
                found.append([str(error)])  # type: ignore[list-item]
    assert found[0] == found[1]
