"""The elements of a JUnit file as CI servers read them: a suite of tests, each passed, failed, in error or skipped."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal
from xml.etree import ElementTree as Xml

End = Literal["failure", "error", "skipped"]
ENDS: dict[End, str] = {"failure": "failures", "error": "errors", "skipped": "skipped"}
"""How a test ends that did not pass: the suite's attribute that counts such."""
_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What no XML document can hold, escaped or not."""


def suite(name: str, properties: Mapping[str, object] | None = None) -> Xml.Element:
    """Return an empty suite."""
    element = Xml.Element("testsuite", name=name)
    _properties(element, properties or {})
    return element


def case(suite: Xml.Element, name: str, group: str, properties: Mapping[str, object] | None = None) -> Xml.Element:
    """Add a test that has passed to `suite`, and return it; `group` is what JUnit calls its class."""
    element = Xml.SubElement(suite, "testcase", name=name, classname=f"harness.{group}")
    _properties(element, properties or {})
    return element


def ended(test: Xml.Element, end: End, kind: str, message: str, text: str = "") -> None:
    """Say that a test did not pass: of which kind, why in a line, and what more there is to say."""
    element = Xml.SubElement(test, end, type=kind, message=message)
    element.text = text or None


def document(suite: Xml.Element) -> str:
    """Return the suite with its counts as XML; a character that XML cannot hold is replaced by U+FFFD."""
    for end, attribute in ENDS.items():
        suite.set(attribute, str(sum(1 for _ in suite.iter(end))))
    suite.set("tests", str(sum(1 for _ in suite.iter("testcase"))))
    for element in suite.iter():
        element.attrib.update({name: _clean(value) for name, value in element.attrib.items()})
        element.text = element.text and _clean(element.text)
    Xml.indent(suite)
    return Xml.tostring(suite, encoding="unicode", xml_declaration=False).join(
        ('<?xml version="1.0" encoding="UTF-8"?>\n', "\n")
    )


def _properties(element: Xml.Element, named: Mapping[str, object]) -> None:
    if named:
        group = Xml.SubElement(element, "properties")
        for name, value in named.items():
            Xml.SubElement(group, "property", name=name, value=str(value))


def _clean(text: str) -> str:
    return _NO_XML.sub("\ufffd", text)
