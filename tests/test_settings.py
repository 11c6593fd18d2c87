"""Settings and subjects: what a case is compared under, and what it is called."""

from __future__ import annotations

from dataclasses import fields, replace

from reports.settings import Setting, importance, setting_of, setting_words
from reports.subjects import Subject, axes_words
from tests import fake_run

BASE = setting_of(fake_run.make_case("soft", "soft", experts=8, slots=1, size="S", batch=8))


def test_size_batch_and_pass_are_named_even_where_they_never_vary() -> None:
    assert setting_words(BASE, ()) == "size S, batch 8, forward"
    assert setting_words(replace(BASE, size=None), ()) == f"d_model {BASE.d_model}, batch 8, forward"


def test_what_varies_is_named_and_what_is_left_out_is_not() -> None:
    assert setting_words(BASE, ("dtype", "batch"), without=("batch",)) == f"size S, {BASE.dtype}, forward"
    told = replace(BASE, scope="model", causal=True, compile=True, depth=12)
    assert setting_words(told, ("scope", "causal", "compile", "depth")) == (
        "size S, batch 8, forward, whole model, causal, 12 blocks, compiled"
    )


def test_a_gate_brings_its_activation() -> None:
    assert setting_words(replace(BASE, activation="silu", gated=True), ("gated",)).endswith(", swiglu")


def test_every_field_of_a_setting_has_words() -> None:
    assert {field.name for field in fields(Setting)} - {"d_model", "gated"} <= _named()


def _named() -> set[str]:
    from reports.settings import _SETTING_WORDS

    return {*_SETTING_WORDS}


def test_the_forward_pass_at_the_largest_batch_comes_first() -> None:
    some = [replace(BASE, pass_="train"), replace(BASE, batch=64), BASE, replace(BASE, batch=64, scope="model")]
    assert [some.index(each) for each in sorted(some, key=importance)] == [3, 1, 2, 0]


def test_a_subject_is_its_variant_with_what_tells_it_apart() -> None:
    assert Subject("soft", "soft", 0, "32 experts, 2 slots", "x").phrase == "soft with 32 experts, 2 slots"
    assert Subject("dense", "dense", 0, "", "x").phrase == "dense"


def test_axes_that_do_not_apply_have_no_words() -> None:
    case = fake_run.make_case("top-1", "token_choice", experts=1, top_k=1)
    assert axes_words(case, ("experts", "capacity_factor", "slots", "top_k")) == "1 expert, dropless, k = 1"
