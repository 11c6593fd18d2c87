"""JUnit of a run: what CI servers read, checked by a reader that we did not write and by the format's common rules."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import pytest
from junitparser import Error, Failure, JUnitXml, Properties, Property, Skipped, TestCase, TestSuite

from harness.case import Case
from reports import outcomes
from reports.context import Context
from reports.junit import render_junit
from reports.read import read_run
from reports.results import Run
from reports.review import Review, review
from reports.testsuite import case, document, suite
from tests import fake_run
from tests.test_page import hostile_run

ENDED = {"incorrect": Failure, "oom": Error, "timeout": Error, "crashed": Error, "unsupported": Skipped,
         "skipped": Skipped}  # fmt: skip
CLAIMS = [
    {"id": "soft-is-fast", "text": "Soft MoE takes no time.", "metric": "latency_ms", "where": "layer == 'soft'",
     "expect": "at_most", "value": 1e-9, "source": "nobody"},
    {"id": "times-are-finite", "text": "Times are finite.", "metric": "latency_ms", "expect": "at_most", "value": 1e9},
    {"id": "no-energy", "text": "It needs energy.", "metric": "host_ms", "expect": "at_least", "value": 1},
]  # fmt: skip


def failing(case: Case, record: dict[str, Any]) -> dict[str, Any] | None:
    """Let one case of each status fail, and leave out one without a record."""
    place = fake_run.quick_cases().index(case)
    if place < len(ENDED):
        return fake_run.fail(record, [*ENDED][place], f"reason {place}\nand more")
    return None if place == len(ENDED) else record


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    cases = fake_run.quick_cases()
    top = {"suite": fake_run.run_file(cases)["suite"] | {"claims": CLAIMS}}
    return read_run(fake_run.write_run(tmp_path_factory.mktemp("run") / "r", cases, edit=failing, **top))


@pytest.fixture(scope="module")
def made(run: Run) -> Review:
    return review(run)


def parsed(made: Review) -> TestSuite:
    (only,) = JUnitXml.fromstring(render_junit(made).encode())
    assert isinstance(only, TestSuite)
    return only


@pytest.fixture(scope="module")
def read(made: Review) -> TestSuite:
    """The document as `junitparser` reads it, which CI actions read with."""
    return parsed(made)


def by_name(read: TestSuite) -> dict[str, TestCase]:
    """Return the tests by name; a name twice would hide one."""
    named = {str(test.name): test for test in read}
    assert len(named) == len(list(read))
    return named


def children(test: TestCase) -> list[Property]:
    """Return a test's properties."""
    groups = test.iterchildren(Properties)  # type: ignore[no-untyped-call]
    return [each for group in groups for each in group.iterchildren(Property)]


def test_every_case_and_every_claim_is_a_test(made: Review, read: TestSuite) -> None:
    assert list(by_name(read)) == [o.id for o in made.outcomes.rows] + [row.decided.id for row in made.claims.rows]
    assert read.name == made.title
    assert read.tests == made.coverage.planned + len(CLAIMS) == 131
    assert (read.failures, read.errors, read.skipped) == (2, 3, 4)


def test_what_has_no_numbers_ends_by_its_status_with_its_reason(made: Review, read: TestSuite) -> None:
    named = by_name(read)
    for outcome in made.outcomes.rows:
        (end,) = named[outcome.id].result or (None,)
        if outcome.status in ENDED:
            assert isinstance(end, ENDED[outcome.status])
            assert end.type == outcome.status
            assert end.text == outcome.reason != (end.message or "")
            assert str(end.message).endswith(str(outcome.reason).splitlines()[0])
        else:
            assert (end is None) == (outcome.status == "ok")
    missing = [test for test in read if test.is_skipped and "no record" in str(test.result[0].message)]
    assert len(missing) == 1


def test_numbers_are_those_of_the_record(run: Run, read: TestSuite) -> None:
    named = by_name(read)
    for result in run.results[10:]:
        told = {each.name: each.value for each in children(named[result.id])}
        interval = result.interval("latency_ms")
        assert interval is not None
        ends = [float(told[name]) for name in ("latency_ms", "latency_ms_low", "latency_ms_high")]
        assert ends == [interval.value, interval.low, interval.high]
        assert float(told["memory_peak_bytes"]) == result.number("memory_peak_bytes")
        assert float(told["det_batch_size"]) == result.number("det_batch_size")
        assert told["det_batch_size_cause"] in ("none", "rounding", "drop", "coupling")


def test_claims_end_as_the_page_decides_them(made: Review, read: TestSuite) -> None:
    named = by_name(read)
    seen = {row.decided.id: row for row in made.claims.rows}
    refuted, confirmed, undecided = (named[str(claim["id"])] for claim in CLAIMS)
    assert refuted.is_failure
    assert seen["soft-is-fast"].estimate in refuted.result[0].message
    assert confirmed.is_passed
    assert undecided.is_skipped
    assert str(seen["no-energy"].decided.needs) in undecided.result[0].message


def test_the_structure_is_the_common_one(made: Review) -> None:
    """What Jenkins' and Surefire's schemas have in common, and what readers of the rest rely on."""
    root = Xml.fromstring(render_junit(made).encode())
    assert root.tag == "testsuite"
    assert {child.tag for child in root} == {"properties", "testcase"}
    assert root[0].tag == "properties"
    for test in root.iter("testcase"):
        assert test.attrib.keys() == {"name", "classname"}
        tags = [child.tag for child in test]
        assert tags in (["properties"], ["properties", tags[-1]], [tags[-1]] if tags else [])
        assert not tags or tags[-1] in ("properties", "failure", "error", "skipped")
    for each in root.iter("property"):
        assert each.attrib.keys() == {"name", "value"}
    for tag in ("failure", "error", "skipped"):
        assert all(end.attrib.keys() == {"type", "message"} for end in root.iter(tag))


def test_hostile_text_is_text_and_what_xml_cannot_hold_is_replaced(tmp_path: Path) -> None:
    bad = "\x00\x1b[31m\x85\ud800\uffff]]><![CDATA[</testcase>&amp;\n\t\U0001f600"
    root = suite(bad, {bad: bad})
    case(root, bad, bad)
    again = Xml.fromstring(document(root).encode())
    assert again.get("name") == "\ufffd\ufffd[31m\x85\ufffd\ufffd]]><![CDATA[</testcase>&amp;\n\t\U0001f600"
    whole = parsed(review(read_run(hostile_run(tmp_path / "run"))))
    assert "</script><script>alert(1)</script>" in str(whole.name)
    assert any(test.is_error for test in whole)


def test_beyond_the_limit_what_has_no_numbers_stays(made: Review, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    statuses = [outcome.status for outcome in made.outcomes.rows]
    assert len(statuses) == 128 < outcomes.LIMIT
    monkeypatch.setattr(outcomes, "LIMIT", 10)
    fewer = replace(made, outcomes=outcomes.build(Context(run)))
    assert [outcome.status for outcome in fewer.outcomes.rows] == statuses[:10]
    assert fewer.outcomes.left_out == 118
    assert 'name="cases left out, all ok" value="118"' in render_junit(fewer)
