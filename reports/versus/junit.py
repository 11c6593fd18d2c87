"""Prints a gate as JUnit XML: a test a case, so that a CI server shows which failed."""

from __future__ import annotations

from collections import defaultdict
from xml.etree import ElementTree as Xml

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
    suite = Xml.Element("testsuite", name=f"{gate.versus.candidate} against {gate.versus.base}")
    for case, rows in by_case.items():
        _case(suite, case, rows, [row for row in rows if (row.id, row.metric) in failing])
    for one in gate.claims:
        _claim(suite, one)
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(attribute, str(sum(1 for _ in suite.iter(tag))))
    suite.set("tests", str(len(suite)))
    Xml.indent(suite)
    return Xml.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _case(suite: Xml.Element, case: str, rows: list[Row], failing: list[Row]) -> None:
    test = Xml.SubElement(suite, "testcase", name=case, classname="harness.compare")
    ratios = [(row, row.change.ratio) for row in rows if row.change is not None]
    if ratios:
        properties = Xml.SubElement(test, "properties")
        for row, ratio in ratios:
            value = f"{ratio.value:.4f} [{ratio.low:.4f}, {ratio.high:.4f}]"
            Xml.SubElement(properties, "property", name=f"{row.metric} ratio", value=value)
    if failing:
        tag = "error" if any(row.metric is None for row in failing) else "failure"
        found = Xml.SubElement(test, tag, message=line(failing[0]))
        found.text = "\n".join(map(line, failing))
    elif all(row.verdict == "not comparable" for row in rows):
        Xml.SubElement(test, "skipped", message=rows[0].why or "not comparable")


def _claim(suite: Xml.Element, one: Turned) -> None:
    test = Xml.SubElement(suite, "testcase", name=one.claim.id, classname="harness.claims")
    Xml.SubElement(test, "failure" if one.alert == "fail" else "skipped", message=one.words)
