from __future__ import annotations

from dataclasses import replace

import pytest

from harness.cli.planning import tell_plugins
from harness.declare.faults import SuiteError
from harness.declare.planned import Plan
from harness.declare.plugins import plugins, refuse_plugins
from tests.sweeps import make_plan


def with_plugin(*named: str) -> Plan:
    chosen = make_plan("a", *(f"p{number}" for number, _ in enumerate(named)))
    cases = [replace(c, case=replace(c.case, layer=name)) for c, name in zip(chosen.cases[1:], named, strict=True)]
    return replace(chosen, cases=[chosen.cases[0], *cases])


def test_a_suite_that_names_no_code_is_let_through() -> None:
    assert plugins(make_plan("a")) == []
    refuse_plugins(make_plan("a"))


def test_code_that_a_suite_names_is_listed_once_and_refused() -> None:
    chosen = with_plugin("mine.fast:build", "mine.fast:build", "other:layer")
    assert plugins(chosen) == ["mine.fast:build", "other:layer"]
    with pytest.raises(SuiteError, match=r"it names code to import, which --no-plugins refuses: mine\.fast:build"):
        refuse_plugins(chosen)


def test_a_plan_says_what_a_run_would_import(capsys: pytest.CaptureFixture[str]) -> None:
    tell_plugins(with_plugin("mine.fast:build"), allowed=True)
    assert capsys.readouterr().err == (
        "harness: a run imports code that this suite names: mine.fast:build; --no-plugins refuses it\n"
    )
    tell_plugins(make_plan("a"), allowed=False)
    assert capsys.readouterr().err == ""
