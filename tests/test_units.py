"""Every number on the page with its unit, every metric with its direction; both said once, in the registry."""

from __future__ import annotations

import ast
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from harness.metrics import METRICS
from reports import render
from tests.gallery.reference import HOME
from tests.noisy_run import write_noisy_run

ROOT = Path(__file__).parent.parent
BARE = re.compile(r"[−+±]?[\d.,]+(?: to [\d.,]+)?")
UNITS = re.compile(r"\b(ms|MHz|FLOP|FLOP/s|tokens|[KMG]iB|J|W|nat|eps)\b|/s|°C|%|×")
COUNTS = {
    "cases",
    "ok",
    "rounds",
    "round",
    "pairs",
    "experts",
    "batch",
    "tokens",
    "sequences",
    "d_model",
    "cells",
    "axis",
}
"""Heads of columns that count: of experts, rounds and the like, which have no unit."""
SHARES = {"load, cv", "busiest over mean", "margin", "time over even", "k, slots", "over noise"}
"""Heads that say that what stands below is a number over another of its kind."""


class Tables(HTMLParser):
    """By table its heads, and by column the texts of its cells; ends of cells are left out of the page."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.found: list[tuple[list[str], list[list[str]]]] = []
        self._into: list[str] | None = None
        self.feed(source[source.index("<main>") :])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self.found.append(([], []))
        elif tag == "tr" and self.found:
            self.found[-1][1].append([])
            self._into = None
        elif tag in ("th", "td") and self.found:
            heads, rows = self.found[-1]
            self._into = heads if tag == "th" and len(rows) < 2 else rows[-1]
            self._into.append("")
        elif tag in ("p", "i", "small", "br") and self._into:
            self._into[-1] += "\n"

    def handle_endtag(self, tag: str) -> None:
        if tag == "table":
            self._into = None

    def handle_data(self, data: str) -> None:
        if self._into:
            self._into[-1] += data


@pytest.fixture(scope="module", params=["quick", "noisy"])
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("units")
    run = HOME / "quick" if request.param == "quick" else write_noisy_run(folder / "noisy")
    made = render(run, html=folder / "page.html")
    return made.html.read_text("utf-8"), json.loads(made.data.read_text("utf-8"))


def test_a_column_of_bare_numbers_has_its_unit_in_its_head(page: tuple[str, dict[str, Any]]) -> None:
    """Or in the table's own, where its columns are places on an axis."""
    checked = 0
    for heads, rows in Tables(page[0]).found:
        for place, head in enumerate(heads):
            cells = [lines[0].strip() for row in rows if len(row) == len(heads) and (lines := row[place].split("\n"))]
            if any(BARE.fullmatch(cell) for cell in cells):
                checked += 1
                assert _says(head.strip()) or UNITS.search(heads[0]), (head, cells[:3])
    assert checked > 15


def _says(head: str) -> bool:
    return bool(UNITS.search(head)) or head.lower() in COUNTS | SHARES


def test_every_metric_of_the_table_of_cases_says_unit_and_direction(page: tuple[str, dict[str, Any]]) -> None:
    columns = page[1]["cases"]["columns"]
    told = {column["metric"]: (column["unit"], column["better"]) for column in columns if column["metric"]}
    assert set(told) == {"latency_ms", "flops_model", "padding_efficiency", "tokens_per_s", "memory_peak_bytes"}
    for name, (unit, better) in told.items():
        assert (unit, better) == (METRICS[name].unit, METRICS[name].better)
        assert better in ("lower", "higher")


def test_every_card_has_a_unit_and_a_word_that_says_which_way(page: tuple[str, dict[str, Any]]) -> None:
    for card in page[1]["cards"]:
        counted = re.fullmatch(r"\d+ of \d+", card["big"]) and card["interval"].startswith("variant")
        assert counted or card["big"].endswith("×"), card["big"]
        assert card["word"]


def test_units_and_directions_are_declared_in_one_place() -> None:
    """Who else wrote `better="lower"` for a metric would one day disagree with the registry."""
    for path in [*(ROOT / "harness").rglob("*.py"), *(ROOT / "reports").rglob("*.py")]:
        if path.relative_to(ROOT).as_posix() == "harness/metrics.py":
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            said = {word.arg for word in node.keywords} if isinstance(node, ast.Call) else set()
            assert "better" not in said or _passes_on(node), path
            assert not _is_table(node), path


def _passes_on(node: ast.AST) -> bool:
    assert isinstance(node, ast.Call)
    return not any(word.arg == "better" and isinstance(word.value, ast.Constant) for word in node.keywords)


def _is_table(node: ast.AST) -> bool:
    """Return whether it is a dict from metrics' names to directions."""
    if not isinstance(node, ast.Dict):
        return False
    values = {value.value for value in node.values if isinstance(value, ast.Constant)}
    keys = {key.value for key in node.keys if isinstance(key, ast.Constant)}
    return bool(keys & set(METRICS)) and bool(values & {"lower", "higher"})
