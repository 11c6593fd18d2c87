"""Four printers of one Review: what the page says stands in report.json, and the other way round."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import pytest

import reports
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
from reports import Rendered, render
from reports.figures import fronts, memory, prediction, roofline, scaling
from reports.junit import ENDS
from reports.review import SECTIONS
from tests import fake_run
from tests.test_junit import CLAIMS, failing

TEMPLATES = Path(reports.__file__).parent / "templates"
WORD = re.compile(r"[^\W\d_][\w’'-]*")
NUMBER = re.compile(r"\d[\d.,]*\d|\d")
JINJA = re.compile(r"\{#.*?#\}|\{[%{].*?[%}]\}", re.DOTALL)
DRAWERS = {"fronts": fronts, "scaling": scaling, "roofline": roofline, "prediction": prediction, "memory": memory}
Told = dict[str, str]
"""What a page says, by section; the first screen is `verdict`."""


class Page(HTMLParser):
    """All that a page says, alternative texts and tips too, and the verdict words by section."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.section = "verdict"
        self.told: Told = {}
        self.verdicts: dict[str, list[str]] = {}
        self._verdict = False
        self._spans: list[bool] = []
        self.feed(source[source.index("<main>") : source.index("<footer>")])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.section = str(given["id"]) if tag == "section" else self.section
        self._verdict = "v" in (given.get("class") or "").split()
        within = given.get("class") == "nb"  # a word that is kept in one piece, and more of it may follow
        self._spans += [within] if tag == "span" else []
        apart = "" if within else " "
        self._say(f"{apart}{given.get('aria-label') or ''} {given.get('title') or ''}".rstrip() + apart)

    def handle_endtag(self, tag: str) -> None:
        within = tag == "span" and self._spans.pop()
        self._say("" if within else " ")

    def handle_data(self, data: str) -> None:
        if self.cdata_elem is not None:  # a style or a script
            return
        self._say(data)
        if self._verdict and data.strip():
            self.verdicts.setdefault(self.section, []).append(data.strip())

    def _say(self, text: str) -> None:
        self.told[self.section] = self.told.get(self.section, "") + text


def joined(text: str) -> str:
    """Return the letters of `text` alone, so that no line's end or space counts."""
    return re.sub(r"\s+", "", text)


def is_sentence(value: Any) -> bool:
    return bool(value) and isinstance(value, list) and all(
        isinstance(span, dict) and span.keys() == {"text", "mark"} for span in value
    )  # fmt: skip


def sentences(value: Any) -> Iterator[str]:
    """Yield every sentence in the data."""
    if is_sentence(value):
        yield "".join(span["text"] for span in value)
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from sentences(item)


def strings(value: Any) -> Iterator[str]:
    """Yield every string in the data, keys too: a phase or a role is one."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from (key.replace("_", " ") for key in value)
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from strings(item)


def forms(value: Any) -> Iterator[str]:
    """Yield what each number in the data may look like in print; of a list its length."""
    if isinstance(value, int | float):
        yield from _forms_of_one(value)
    elif isinstance(value, dict):
        yield from _forms_of_interval(value)
        for item in value.values():
            yield from forms(item)
    elif isinstance(value, list):
        yield str(len(value))
        for item in value:
            yield from forms(item)


@cache
def _forms_of_one(value: float) -> tuple[str, ...]:
    shares = [show_percent(abs(round(value, digits))) for digits in (2, 3)]
    units = [show(name, value) for name in ("latency_ms", "energy_j_per_mtoken", "power_w")]
    plain = (f"{value:g}", f"{value:.0f}", show_number(value), show_scaled(value, ""), show_bytes(value))
    return (*shares, *units, *plain, show_ratio(value), show_spread(abs(value)))


def _forms_of_interval(value: dict[str, Any]) -> Iterator[str]:
    for name in ("value", "ms", "cost"):
        ends = [end for each in (name, "low", "high") if isinstance(end := value.get(each), int | float)]
        if len(ends) == 3:
            middle, low, high = ends
            yield from (printed(middle, low, high) for printed in (show_ratio, show_interval, show_number))
            yield show("latency_ms", middle, low, high)


def fixed(section: str) -> str:
    """Return what is said in every report: the words of the section's template and of its figures' code."""
    names = ("_macros.j2", "page.html.j2", f"{section}.j2")
    sources = [(TEMPLATES / name).read_text("utf-8") for name in names if (TEMPLATES / name).exists()]
    said = [text for source in sources for part in JINJA.findall(source) for text in re.findall(r'"([^"]*)"', part)]
    code = Path(str(DRAWERS[section].__file__)).read_text("utf-8") if section in DRAWERS else ""
    return " ".join([*(JINJA.sub(" ", source) for source in sources), *said, *re.findall(r'"([^"]*)"', code)])


@pytest.fixture(scope="module", params=["sound", "failing"])
def printed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Rendered:
    """A run with every section, and one in which a case of each status fails."""
    cases = fake_run.quick_cases()
    top = {"suite": fake_run.run_file(cases)["suite"] | {"claims": CLAIMS}}
    edit = failing if request.param == "failing" else None
    folder = fake_run.write_run(tmp_path_factory.mktemp("run") / "quick", cases, edit=edit, **top)
    return render(folder, html=folder / "report.html")


@pytest.fixture(scope="module")
def data(printed: Rendered) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(printed.data.read_text("utf-8"))
    return loaded


@pytest.fixture(scope="module")
def page(printed: Rendered) -> Page:
    return Page(printed.html.read_text("utf-8"))


def part(data: dict[str, Any], section: str) -> Any:
    """Return what report.json holds of a section; of the first screen all that is in no section."""
    if section != "verdict":
        return data[section]
    return {name: value for name, value in data.items() if name not in (*SECTIONS, "outcomes")}


def unsaid(data: dict[str, Any], told: Told) -> dict[str, set[str]]:
    """Return the numbers and words, by section, that a page prints and report.json does not hold."""
    out = {}
    for section, text in told.items():
        own, always = part(data, section), fixed(section)
        numbers = {number for form in (*strings(own), *forms(own), always) for number in NUMBER.findall(form)}
        words = {word.lower() for form in (*strings(own), *forms(own), always) for word in WORD.findall(form)}
        lost = {number for number in NUMBER.findall(text) if number not in numbers}
        out[section] = lost | {word for word in WORD.findall(text) if word.lower() not in words}
    return out


def test_every_word_and_number_of_the_page_stands_in_the_data(data: dict[str, Any], page: Page) -> None:
    assert set(page.told) == {"verdict", *SECTIONS}
    assert {section: lost for section, lost in unsaid(data, page.told).items() if lost} == {}


def test_a_number_or_a_word_of_the_pages_own_would_be_found(data: dict[str, Any], page: Page) -> None:
    for section in ("verdict", "ratios", "memory"):
        wrong = page.told | {section: f"{page.told[section]} 98.7654321× hopeless"}
        assert unsaid(data, wrong)[section] == {"98.7654321", "hopeless"}


def test_every_sentence_of_the_data_stands_on_the_page(data: dict[str, Any], page: Page) -> None:
    for section in SECTIONS:
        own = data[section]
        hidden = () if own["missing"] is None else own["caption"]  # what has nothing to show has no caption
        said = set(sentences({name: value for name, value in own.items() if name != "caption" or not hidden}))
        assert own["missing"] is None or joined(own["missing"]) in joined(page.told[section])
        for text in said:
            assert joined(text) in joined(page.told[section]), (section, text)
    for text in sentences([data["answer"], data["coverage"]["text"]]):
        assert joined(text) in joined(page.told["verdict"])


def rows_of(block: dict[str, Any]) -> list[dict[str, Any]]:
    return [row for group in block["groups"] for row in group["rows"]]


def test_verdicts_are_the_datas_in_number_and_order(data: dict[str, Any], page: Page) -> None:
    assert page.verdicts["verdict"] == [card["word"] for card in data["cards"]]
    assert page.verdicts["ratios"] == [row["verdict"] for block in data["ratios"]["blocks"] for row in rows_of(block)]
    assert page.verdicts["claims"] == [row["decided"]["verdict"] for row in data["claims"]["rows"]]
    words = {row["word"] for row in data["cases"]["rows"] if row["status"] != "ok"}
    assert set(page.verdicts.get("cases", ())) == words
    points = [point for row in data["roofline"]["rows"] for point in row["points"].values()]
    above = sum(point["standing"] == "above" for point in points)
    assert len(page.verdicts.get("roofline", ())) == above
    assert set(page.verdicts) <= {"verdict", "ratios", "claims", "cases", "roofline"}


def test_ratios_are_the_datas_in_order(data: dict[str, Any], printed: Rendered) -> None:
    source = printed.html.read_text("utf-8")
    own = source[source.index("<section id=ratios") : source.index("<section id=fronts")]
    found = re.findall(r"<b>([\d.]+×)</b> <i>(\[[^\]]+\])</i>", own[: own.index("class=cap")])
    wanted = [row for row in rows_of(data["ratios"]["blocks"][0]) if row["interval"]]
    ends = [tuple(row["interval"][name] for name in ("value", "low", "high")) for row in wanted]
    assert found == [(show_ratio(*each), show_interval(*each)) for each in ends]
    assert len(found) > 5


def test_the_summary_tells_the_same(data: dict[str, Any], printed: Rendered) -> None:
    summary = re.sub(r"[\\*]", "", printed.summary.read_text("utf-8"))
    for section in ("claims", "ratios", "fronts", "memory", "determinism"):
        (finding,) = [*sentences(data[section]["finding"])]
        assert joined(finding) in joined(summary).replace("^", ""), section
    assert joined("".join(span["text"] for span in data["answer"])) in joined(summary)
    table = summary[summary.index("| candidate |") :]
    words = re.findall(r"\| [✓✗·~] (\w+) \|", table)
    assert words == [row["verdict"] for row in rows_of(data["ratios"]["blocks"][0])][: len(words)]
    assert len(words) > 5
    for card in data["cards"]:
        assert f"{card['big']} {card['interval']}" in summary


def test_the_tests_tell_the_same(data: dict[str, Any], printed: Rendered) -> None:
    assert printed.junit is not None
    root = Xml.parse(printed.junit).getroot()
    ended = Counter(end.get("type") for test in root.iter("testcase") for end in test if end.tag != "properties")
    verdicts = Counter(row["decided"]["verdict"] for row in data["claims"]["rows"])
    assert {kind: ended[kind] for kind in ENDS if ended[kind]} == data["coverage"]["counts"]
    assert (ended["refuted"], ended["undecided"]) == (verdicts["refuted"], verdicts["undecided"])
    assert root.get("name") == data["title"]
    answer = "".join(span["text"] for span in data["answer"])
    assert [each.get("value") for each in root.iter("property") if each.get("name") == "answer"] == [answer]
