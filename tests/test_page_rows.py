"""The table of all cases as a page carries it: its first rows as markup, the rest as data."""

from __future__ import annotations

import pytest

from reports.markup import rows
from reports.markup.packed import unpacked
from reports.page import render_page
from reports.read import read_run
from reports.review import Review, review
from tests import fake_run


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Review:
    return review(read_run(fake_run.write_run(tmp_path_factory.mktemp("run") / "quick", fake_run.quick_cases())))


def test_a_small_table_is_all_markup(made: Review) -> None:
    table = rows.table(made.cases)
    assert table.drawn == made.cases.rows
    assert table.data["rest"] == []
    assert render_page(made).count("<tr><td class=") >= len(made.cases.rows)


def test_of_a_large_one_the_rest_is_data(made: Review, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "SHOWN", 100)
    page = render_page(made)
    rest = unpacked(page)["table"]["rest"]
    assert len(rest) == len(made.cases.rows) - 100
    for row, (look, _, _, _, *cells) in zip(made.cases.rows[100:], rest, strict=True):
        assert look == rows.look(row)
        assert cells[0] == row.subject.id
        assert cells[5] == row.latency.text
        assert cells[-1] == "ok"


def test_filters_find_their_values(made: Review) -> None:
    data = rows.table(made.cases).data
    for one in made.cases.filters:
        if one.key in data["columns"]:
            told = [rows.cells(row)[data["columns"][one.key]] for row in made.cases.rows]
        else:
            told = [one.values[value] for value, times in data["keys"][one.key] for _ in range(times)]
        assert told == [row.filters[one.key] or "–" for row in made.cases.rows], one.key
