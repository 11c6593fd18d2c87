"""Suspects by their ids: however many alert, they are measured again."""

from __future__ import annotations

from harness.cli.suspects import chosen, of_cases
from harness.declare.plan import plan
from harness.declare.suite import load_suite

QUICK = load_suite("quick")


def test_every_case_of_a_suite_may_be_a_suspect() -> None:
    whole = plan(QUICK, select="batch == 1")
    cases = [planned.case.id for planned in whole.cases]
    assert len(cases) > 60
    assert [planned.case.id for planned in of_cases(whole, cases).cases] == cases
    some = of_cases(whole, cases[::-2])
    assert [planned.case.id for planned in some.cases] == cases[1::2]
    assert whole.select == "batch == 1"
    assert some.select is not None
    assert some.select.startswith("(batch == 1) and id in ['")


def test_a_dense_layer_keeps_its_partner_where_that_is_no_suspect() -> None:
    whole = plan(QUICK)
    dense = [planned for planned in whole.cases if planned.case.layer == "dense"]
    assert of_cases(whole, [planned.case.id for planned in dense]).cases == dense


def test_what_is_said_of_them_selects_them() -> None:
    cases = [planned.case.id for planned in plan(QUICK).cases]
    said = chosen(None, cases)
    assert len(said) > 4000
    assert [planned.case.id for planned in plan(QUICK, select=said).cases] == cases
