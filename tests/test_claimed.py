"""A claim about no case is the suite's fault, told with its line before anything is measured."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from harness.cli import app
from harness.declare.faults import SuiteError
from harness.declare.plan import plan
from harness.declare.shipped import shipped_suites
from harness.declare.suite import load_suite, parse_suite

SUITE = """title = "One"
[base]
size = "Ti"
[sweep]
batch = [1, 8]
[[variant]]
name = "dense"
layer = "dense"
[[variant]]
name = "soft"
layer = "soft"
experts = 8
[[claim]]
id = "level"
text = "Soft MoE takes as long as the dense FFN."
metric = "latency_ms"
where = "variant == 'soft'"
against = "variant == 'dense'"
expect = "equal"
"""


def faults(text: str) -> list[str]:
    with pytest.raises(SuiteError) as raised:
        plan(parse_suite(text, "one.toml"))
    return [str(fault) for fault in raised.value.faults]


@pytest.mark.parametrize(
    ("right", "wrong", "line", "key"),
    [
        ("variant == 'soft'", "variant == 'sotf'", 17, "where"),
        ("variant == 'dense'", "batch == 64", 18, "against"),
    ],
)
def test_an_expression_that_holds_for_no_case_is_told_with_its_line(
    right: str, wrong: str, line: int, key: str
) -> None:
    (told,) = faults(SUITE.replace(right, wrong))
    assert told.startswith(f"one.toml:{line}: claim[0].{key}: ")
    assert "holds for no case of this suite" in told
    assert "the variants are dense and soft" in told


def test_every_such_expression_is_told_at_once() -> None:
    told = faults(SUITE.replace("'soft'\"", "'sotf'\"").replace("'dense'\"", "'danse'\""))
    assert [text.partition(': "')[0] for text in told] == [
        "one.toml:17: claim[0].where",
        "one.toml:18: claim[0].against",
    ]


def test_a_claim_that_picks_something_is_sound() -> None:
    assert len(plan(parse_suite(SUITE)).cases) == 4


@pytest.mark.parametrize(("overrides", "select"), [((), "variant == 'dense'"), (("batch=2",), None)])
def test_what_the_command_line_leaves_out_is_no_fault(overrides: tuple[str, ...], select: str | None) -> None:
    """Who asks for a part of a suite knows that some claims then stay undecided."""
    text = SUITE.replace("variant == 'soft'", "variant == 'soft' and batch == 8")
    assert plan(parse_suite(text), overrides=overrides, select=select).cases


def test_an_expression_without_a_value_has_its_line_too() -> None:
    (told,) = faults(SUITE.replace("variant == 'soft'", "batch > 'a'"))
    assert told.startswith("one.toml:17: claim[0].where: ")
    assert "gives no value" in told


def test_claims_of_another_suite_need_not_fit(tmp_path: Path) -> None:
    """But a suite's own must, and keep their lines behind those that were taken over."""
    (tmp_path / "other.toml").write_text(SUITE)
    alone = SUITE.replace("[base]", 'claims_from = "other.toml"\n[base]').replace('"level"', '"own"')
    (tmp_path / "one.toml").write_text(alone.replace('name = "soft"', 'name = "gentle"'))
    with pytest.raises(SuiteError) as raised:
        plan(load_suite(tmp_path / "one.toml"))
    assert [(fault.line, fault.key) for fault in raised.value.faults] == [(18, "claim[0].where")]


@pytest.mark.parametrize("name", shipped_suites())
def test_every_claim_that_is_shipped_picks_some_case(name: str) -> None:
    assert plan(load_suite(name)).cases


@pytest.mark.parametrize("command", ["plan", "run"])
def test_the_commands_end_with_2_and_leave_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("one.toml").write_text(SUITE.replace("'soft'\"", "'sotf'\""))
    done = CliRunner().invoke(app, [command, "one.toml", "--device", "cpu"])
    assert (done.exit_code, done.stdout) == (2, "")
    assert "one.toml:17: claim[0].where" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["one.toml"]
