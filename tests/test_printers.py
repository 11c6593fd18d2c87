"""Four printers of one Review: what the page says stands in report.json, and the other way round."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import pytest

import reports
from harness.case import Case
from harness.metrics import (
    show,
    show_bytes,
    show_interval,
    show_number,
    show_percent,
    show_ratio,
    show_scaled,
    show_spread,
)
from reports.read import read_run
from tests import fake_run
from tests.test_junit import CLAIMS

TEMPLATES = Path(reports.__file__).parent / "templates"
WORD = re.compile(r"[^\W\d_][\w’'-]*")
NUMBER = re.compile(r"[−+±]?\d[\d.,]*")


class Told(HTMLParser):
    """What a page says, by section: its words in order, and those of its verdicts; the head and verdict are `""`."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.section = ""
        self.words: dict[str, list[str]] = {}
        self.verdicts: dict[str, list[str]] = {}
        self._open: list[tuple[str, bool]] = []
        self._mute = False
        self.feed(source[source.index("<main>") : source.index("</main>")])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "section":
            self.section = str(given["id"])
        self._mute = tag in ("script", "style", "form", "select", "option", "button", "label")
        self._verdict = "v" in str(given.get("class", "")).split()
        for name in ("aria-label", "title"):
            self.words.setdefault(self.section, []).append(given.get(name) or "")

    def handle_data(self, data: str) -> None:
        if not self._mute and data.strip():
            self.words.setdefault(self.section, []).append(data)
            if self._verdict:
                self.verdicts.setdefault(self.section, []).append(data.strip())
