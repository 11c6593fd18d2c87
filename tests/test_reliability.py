from __future__ import annotations

import platform
from pathlib import Path

import pytest

from tests.reliability import markdown_table, plain_table, seen_on, write_section

PAGE = Path(__file__).parent.parent / "docs" / "reliability.md"
ROWS = [("fault", "lost"), ("a kill", "0"), ("another", "12")]


def test_a_section_is_replaced_between_its_marks_and_nothing_else_is(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE.read_text("utf-8"), "utf-8")
    for body in ("first", "second"):
        write_section(page, "soak", body)
    text = page.read_text("utf-8")
    assert text.count("second") == PAGE.read_text("utf-8").count("second") + 1
    assert seen_on() in text
    assert text.partition("<!-- soak")[0] == PAGE.read_text("utf-8").partition("<!-- soak")[0]


def test_the_page_has_a_section_for_each_session() -> None:
    text = PAGE.read_text("utf-8")
    for name in ("faults", "fuzz", "soak"):
        assert text.count(f"<!-- {name}: written by `nox -s {name}` -->") == 1
    with pytest.raises(ValueError, match="has no section"):
        write_section(PAGE, "nonsense", "")


def test_the_machine_is_described_without_its_name() -> None:
    assert f"Python {platform.python_version()}" in seen_on()
    assert platform.node() not in seen_on()


def test_tables_for_the_terminal_and_for_the_page() -> None:
    assert plain_table(ROWS).splitlines() == ["fault    lost", "a kill      0", "another    12"]
    assert markdown_table(ROWS).splitlines()[1:3] == ["| --- | ---: |", "| a kill | 0 |"]
