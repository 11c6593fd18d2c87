"""What is noted about many cases, said once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from harness.case import Case
from reports.markup.notes import Notes, notes
from reports.page import render_page
from reports.read import read_run
from reports.review import review
from reports.sections.cases import Row
from tests import fake_run


def _rows(folder: Path, said: list[list[str]]) -> tuple[Row, ...]:
    cases = [fake_run.make_case("soft", "soft", experts=number + 1) for number in range(len(said))]

    def edit(case: Case, record: dict[str, Any]) -> dict[str, Any]:
        return record | {"notes": said[(case.experts or 1) - 1], "metrics": {}}

    return review(read_run(fake_run.write_run(folder, cases, edit=edit))).cases.rows


def _in_full(noted: Notes, row: int) -> list[str]:
    """Return the row's notes as the page's script puts them together."""
    out = []
    for number, amounts in re.findall(r"(\d+)(?: \(([^)]*)\))?", noted.refers[row]):
        pieces = noted.shared[int(number) - 1]
        own = [*amounts.split(", "), ""] if amounts else [""]
        out.append("".join(piece for pair in zip(pieces, own, strict=True) for piece in pair))
    return [*out, *noted.own[row]]


def test_what_many_say_is_said_once_and_each_gives_its_own_amounts(tmp_path: Path) -> None:
    said = [["1 of 6 rounds were busy", "too hot"], ["2 of 6 rounds were busy"], ["too hot", "alone here"]]
    noted = notes(_rows(tmp_path, said))
    assert noted.shared == (("", " of 6 rounds were busy"), ("too hot",))
    assert noted.refers == ("1 (1), 2", "1 (2)", "2")
    assert noted.own == ((), (), ("alone here",))


def test_why_cases_failed_is_a_note_too(tmp_path: Path) -> None:
    cases = [fake_run.make_case("soft", "soft", experts=experts) for experts in (4, 8)]
    run = fake_run.write_run(tmp_path, cases, edit=lambda _, record: fake_run.fail(record, "oom", "needs 9 GiB"))
    noted = notes(review(read_run(run)).cases.rows)
    assert noted.shared == (("needs 9 GiB",),)
    assert noted.refers == ("1", "1")


words = st.lists(st.lists(st.sampled_from(["a 1", "a 2.5 k", "a 2.5 M", "3, 4", "3, 5", "(1)", "x1 [1.0, 2]", "…"]),
                          unique=True, max_size=5), min_size=1, max_size=5)  # fmt: skip


@given(words)
def test_no_note_is_lost(tmp_path_factory: Any, said: list[list[str]]) -> None:
    rows = _rows(tmp_path_factory.mktemp("run"), said)
    noted = notes(rows)
    for number, row in enumerate(rows):
        assert sorted(_in_full(noted, number)) == sorted(row.notes)


def test_the_page_has_them_under_its_table(tmp_path: Path) -> None:
    cases = [fake_run.make_case("soft", "soft", experts=experts) for experts in (4, 8)]
    run = fake_run.write_run(
        tmp_path, cases, edit=lambda case, record: record | {"notes": [f"{case.experts} <were> hot"]}
    )
    page = render_page(review(read_run(run)))
    assert "<li><var>…</var> &lt;were&gt; hot</ol>" in page
    assert "<p>1 (4)<td>" in page
    assert "<p>1 (8)<td>" in page
