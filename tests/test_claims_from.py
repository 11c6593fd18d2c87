"""Claims that a suite takes over from another one."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.declare.suite import SuiteError, load_suite

BODY = 'title = "T"\n[base]\nd_model = 32\nd_ff = 64\n[[variant]]\nname = "dense"\nlayer = "dense"\n'
CLAIM = '[[claim]]\nid = "{}"\ntext = "{}"\nmetric = "params"\nexpect = "at_most"\nvalue = {}\n'


def suite(folder: Path, name: str, *claims: str, source: str | None = None) -> Path:
    head = "" if source is None else f'claims_from = "{source}"\n'
    path = folder / f"{name}.toml"
    path.write_text(head + BODY + "".join(claims))
    return path


def faults(path: Path) -> str:
    with pytest.raises(SuiteError) as raised:
        load_suite(path)
    return str(raised.value)


def test_a_suite_makes_the_claims_of_another_and_its_own_win(tmp_path: Path) -> None:
    suite(tmp_path, "small", CLAIM.format("light", "Small.", 1), CLAIM.format("other", "Other.", 2))
    full = suite(tmp_path, "full", CLAIM.format("light", "Full.", 3), source="small.toml")
    assert [(claim.id, claim.text) for claim in load_suite(full).claims] == [("other", "Other."), ("light", "Full.")]


def test_a_shipped_suite_is_named(tmp_path: Path) -> None:
    shipped = {claim.id for claim in load_suite("claims").claims}
    assert {claim.id for claim in load_suite(suite(tmp_path, "mine", source="claims")).claims} == shipped


def test_a_suite_that_is_not_there(tmp_path: Path) -> None:
    told = faults(suite(tmp_path, "mine", source="claim"))
    assert "mine.toml:1: claims_from" in told
    assert "there is no suite 'claim'" in told
    assert "did you mean: claims" in told


def test_a_faulty_one_is_told_with_its_own_line(tmp_path: Path) -> None:
    suite(tmp_path, "small", CLAIM.format("light", "Small.", '"heavy"'))
    assert "small.toml:13: claim[0].value" in faults(suite(tmp_path, "full", source="small.toml"))


def test_nobody_takes_claims_over_twice(tmp_path: Path) -> None:
    itself = suite(tmp_path, "itself", source="itself.toml")
    assert "it takes claims over itself" in faults(itself)
