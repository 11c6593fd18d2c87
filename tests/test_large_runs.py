"""Runs of thousands of cases: what a page lists, what it sums up, and what it says of both."""

from __future__ import annotations

from pathlib import Path

import pytest

from reports.markup.packed import unpacked
from reports.markup.rows import SHOWN
from reports.page import render_page
from reports.read import read_run
from reports.review import Review, review
from reports.sections import cases, peaks
from reports.words import plain
from tests.large_run import write_large_run
from tests.strange_runs import RUNS
from tests.test_page import Page

CASES = 1000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_large_run(tmp_path_factory.mktemp("run") / "large", CASES)


@pytest.fixture(scope="module")
def made(folder: Path) -> Review:
    return review(read_run(folder))


def test_every_case_is_a_row_of_the_page(made: Review) -> None:
    page = render_page(made)
    assert len(unpacked(page)["table"]["rest"]) == CASES - SHOWN
    assert len(made.cases.rows) == CASES


def test_many_variants_are_summed_up_by_family_or_by_what_they_say(tmp_path: Path) -> None:
    made = review(read_run(RUNS["a thousand variants"](tmp_path / "run")))
    page = render_page(made)
    families = [("sparse MoE", 500), ("Soft MoE", 250), ("dense FFN", 250)]
    assert [(group.variant, group.total) for group in made.coverage.groups] == families
    assert [(group.name, len(group.pairs)) for group in made.prediction.variants] == families
    assert len(made.determinism.rows) == CASES, "each in the data"
    assert [others for _, others in made.determinism.shown] == [249] * 4
    assert made.determinism.left_out == 0
    assert "and 249 like it" in "".join(Page(page).text)
    tie = made.winners.maps[0].rows[0].cells[0]
    assert tie is not None
    assert tie.tied.startswith("tie of 13 or more: ")
    assert tie.tied.endswith(" and 5 more")
    assert made.winners.maps[0].rows[0].met.endswith(" and 75 more")
    assert page.partition('<table class="cases')[0].count("<tr") < 300


def test_a_row_speaks_for_those_like_it_and_is_the_worst(tmp_path: Path) -> None:
    made = review(read_run(RUNS["a thousand variants"](tmp_path / "run"))).determinism
    for row, others in made.shown:
        alike = [one for one in made.rows if one.reads == row.reads]
        assert len(alike) == others + 1
        assert row.harm == max(one.harm for one in alike)


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
