from __future__ import annotations

from dataclasses import replace

import pytest

from harness.case import Case
from tests.cases import dense, families, soft, token_choice


def test_the_id_of_the_design_page() -> None:
    case = soft(d_model=384, d_ff=1536, size="S", experts=32, batch=8, tokens=196, dtype="bfloat16")
    assert case.id == "soft-S-e32-s1-b8-bf16-forward"


@pytest.mark.parametrize(
    "changes",
    [
        {"d_model": 48},
        {"d_ff": 72},
        {"batch": 3},
        {"tokens": 17},
        {"dtype": "bfloat16"},
        {"pass_": "train"},
        {"backend": "reference"},
        {"activation": "silu"},
        {"gated": True},
        {"experts": 8},
        {"top_k": 1},
        {"capacity_factor": 1.25},
        {"group": "sequence"},
        {"routing": "balanced"},
        {"shared_experts": 1},
        {"scope": "block", "heads": 4},
        {"compile": True},
        {"variant": "other"},
    ],
)
def test_whatever_a_suite_can_sweep_changes_id_and_key(changes: dict[str, object]) -> None:
    case = token_choice()
    other = replace(case, **changes)  # type: ignore[arg-type]
    assert other.id != case.id
    assert other.key != case.key


def test_large_and_close_numbers_keep_their_digits() -> None:
    assert token_choice(experts=1_000_000).id != token_choice(experts=1_000_001).id
    assert token_choice(capacity_factor=1.2500001).id != token_choice(capacity_factor=1.25).id
    assert "-c2-" in token_choice(capacity_factor=2.0).id


def test_a_preset_name_alone_shows_in_the_id() -> None:
    assert dense(size="S", d_model=384, d_ff=1536).id.startswith("dense-S-b2")
    assert dense(size="S", d_model=384, d_ff=3072).id.startswith("dense-S-f3072-b2")


def test_written_and_read_back() -> None:
    for case in families():
        assert Case.from_dict(case.variant, case.as_dict()) == case
        assert "pass" in case.as_dict()
        assert "variant" not in case.as_dict()


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(TypeError, match="colour"):
        Case.from_dict("dense", {**dense().as_dict(), "colour": "blue"})


def test_the_key_does_not_depend_on_the_process() -> None:
    assert dense().key == "4f4acb83db1eb6db"
