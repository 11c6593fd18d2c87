"""Prints a gate as JUnit XML: a test a case, so that a CI server shows which failed."""

from __future__ import annotations

from collections import defaultdict
from xml.etree import ElementTree as Xml

from reports import testsuite
from reports.versus.gate import Gate
from reports.versus.text import line
from reports.versus.turned import Turned
from reports.versus.versus import Row


def render_junit(gate: Gate) -> str:
    """Return the document: slower, worse and newly refuted are failures, without numbers an error."""
    failing = {(row.id, row.metric) for row in gate.failures}
    by_case: dict[str, list[Row]] = defaultdict(list)
    for row in gate.versus.rows:
        by_case[row.id].append(row)
    suite = testsuite.suite(f"{gate.versus.candidate} against {gate.versus.base}")
    for case, rows in by_case.items():
        _case(suite, case, rows, [row for row in rows if (row.id, row.metric) in failing])
    for one in gate.claims:
        _claim(suite, one)
    return testsuite.document(suite)


def _case(suite: Xml.Element, case: str, rows: list[Row], failing: list[Row]) -> None:
    ratios = {row.metric: row.change.ratio for row in rows if row.change is not None}
    words = {f"{name} ratio": f"{one.value:.4f} [{one.low:.4f}, {one.high:.4f}]" for name, one in ratios.items()}
    test = testsuite.case(suite, case, "compare", words)
    if failing:
        end: testsuite.End = "error" if any(row.metric is None for row in failing) else "failure"
        testsuite.ended(test, end, failing[0].verdict, line(failing[0]), "\n".join(map(line, failing)))
    elif all(row.verdict == "not comparable" for row in rows):
        testsuite.ended(test, "skipped", "not comparable", rows[0].why or "not comparable")


def _claim(suite: Xml.Element, one: Turned) -> None:
    test = testsuite.case(suite, one.claim.id, "claims")
    testsuite.ended(test, "failure" if one.alert == "fail" else "skipped", one.claim.verdict, one.words)
