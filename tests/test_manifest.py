"""run.json says where a suite was read from only where that is needed: beside it, its own code is looked for."""

from __future__ import annotations

import json
from pathlib import Path

from harness.cli.wanted import begun
from harness.declare.plan import plan
from harness.declare.shipped import is_shipped, shipped_suites
from harness.declare.suite import load_suite
from harness.engine.document import fault
from harness.engine.manifest import suite_document
from tests import fake_run
from tests.gallery.reference import places


def test_a_shipped_suite_names_no_folder_of_the_machine() -> None:
    document = suite_document(plan(load_suite("smoke")))
    assert document["file"] is None
    assert list(places(json.dumps(document))) == []


def test_a_suite_of_ones_own_is_found_again(tmp_path: Path) -> None:
    copy = tmp_path / "smoke.toml"
    copy.write_text(shipped_suites()["smoke"].read_text("utf-8"), "utf-8")
    assert not is_shipped(copy)
    assert suite_document(plan(load_suite(str(copy))))["file"] == str(copy)


def test_a_run_of_a_shipped_suite_can_be_gone_on_with(tmp_path: Path) -> None:
    asked = plan(load_suite("smoke"))
    cases = [planned.case for planned in asked.cases]
    run = fake_run.write_run(tmp_path / "run", cases, suite=suite_document(asked))
    assert fault((run / "run.json").read_text("utf-8")) is None
    again = plan(begun(run, given=False).suite)
    assert again.suite.name == "smoke"
    assert [planned.case for planned in again.cases] == cases
