"""Runs of thousands of cases: what a page lists, what it sums up, and what it says of both."""

from __future__ import annotations

from pathlib import Path

import pytest

from reports.markup.packed import unpacked
from reports.page import render_page
from reports.read import read_run
from reports.review import Review, review
from reports.sections import cases, peaks
from reports.words import plain
from tests.large_run import write_large_run

CASES = 1000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_large_run(tmp_path_factory.mktemp("run") / "large", CASES)


@pytest.fixture(scope="module")
def made(folder: Path) -> Review:
    return review(read_run(folder))


def test_every_case_is_a_row_of_the_page(made: Review) -> None:
    page = render_page(made)
    assert len(unpacked(page)["table"]["rest"]) == CASES - 400
    assert len(made.cases.rows) == CASES


def test_a_larger_run_is_summed_up(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cases, "LIMIT", CASES - 1)
    made = review(read_run(folder))
    page = render_page(made)
    assert made.cases.rows == ()
    assert unpacked(page)["table"]["rest"] == []
    assert "harness export RUN" in plain(made.cases.caption)
    assert "harness export RUN" in page
    for axis in made.cases.sums:
        if axis.title not in ("Experts", "Top-k", "Slots"):  # not every layer has them
            assert sum(one.cases for one in axis.sums) + axis.left_out == CASES, axis.title
    variants = {one.value: one for one in made.cases.sums[0].sums}
    times = [result.ms for result in read_run(folder).results if result.case.variant == "soft" and result.ms]
    assert (variants["soft"].fastest, variants["soft"].slowest) == (min(times), max(times))
    assert variants["soft"].ok == len(times)


def test_a_chart_draws_what_it_can_hold_and_says_which(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = review(read_run(folder)).memory
    monkeypatch.setattr(peaks, "DRAWN", 200)
    some = review(read_run(folder)).memory
    assert len(some.pairs) <= 200 < len(whole.pairs)
    assert some.prediction == whole.prediction
    assert f"the 100 farthest of {len(whole.pairs)} cases" in plain(some.caption)
