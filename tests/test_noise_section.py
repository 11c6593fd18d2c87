"""The report's noise: the floor in a sentence and a table, no win below it, and a run whose A/A cells differ."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.case import Case
from harness.judge.stats import Interval
from harness.judge.verdict import verdict
from reports.page import render_page
from reports.read import ReportError, read_run
from reports.review import Review, review
from reports.sections.noise_floor import DIFFER
from reports.summary import render_summary
from reports.words import plain
from tests import fake_run

CELL: dict[str, Any] = {"pairs": 6, "ratio": 1.004, "low": 0.99, "high": 1.02}
CELL |= {"later_over_earlier": {"ratio": 0.998, "low": 0.98, "high": 1.01}, "smallest_change": 0.031}
FLOOR = {**CELL, "pairs": 12, "cells": 2, "rounds": 6, "differ": False, "broken": []}
FLOOR["by_cell"] = [CELL | {"id": "dense-Ti"}, CELL | {"id": "top-S"}]


def made(folder: Path, noise: dict[str, Any] | None, *, faster: float = 0.95, ended: str | None = "fixed") -> Review:
    """Return the review of a run in which top-2 takes `faster` the time of dense, round by round."""

    def edit(case: Case, record: dict[str, Any]) -> dict[str, Any]:
        factor = faster if case.layer == "token_choice" else 1.0
        drift = [1.0, 1.1, 0.9, 1.05, 1.0, 0.95]
        rounds = [factor * each * wobble for each, wobble in zip(drift, [1, 1.002, 1, 0.998, 1, 1.001], strict=True)]
        record["metrics"]["latency_ms"] = {"value": factor, "low": 0.9, "high": 1.1, "n": 6, "rounds": rounds}
        return record | {"rounds_ended": ended}

    cases = [fake_run.make_case("top-2", "token_choice", experts=8), fake_run.make_case("dense", "dense", d_ff=3072)]
    return review(read_run(fake_run.write_run(folder / "run", cases, edit=edit, noise=noise)))


def verdicts(page: Review) -> list[str]:
    return [row.verdict for block in page.ratios.blocks for row in block.rows]


def test_the_floor_stands_in_one_sentence_and_a_table(tmp_path: Path) -> None:
    page = made(tmp_path, FLOOR)
    assert plain(page.noise.floor) == (
        "The noise floor is 3.1 %: no smaller change of a time can be told from nothing, and none is called faster or"
        " slower. It is what comparisons of 6 rounds find four times in five, by 2 A/A cells of 12 pairs in all. A"
        " ratio within 2 % of 1 is no win in any run."
    )
    assert plain(page.noise.finding).endswith(" or better; no change below the noise floor of 3.1 % can be told.")
    assert [(cell.name, cell.pairs) for cell in page.noise.twice] == [("dense-Ti", 6), ("top-S", 6), ("all", 12)]
    html = render_page(page)
    assert "A/A cell: one layer, timed twice in every round" in html
    assert "The noise floor is 3.1 %" in html.replace("\N{NO-BREAK SPACE}", " ")


def test_a_win_above_the_floor_is_claimed(tmp_path: Path) -> None:
    page = made(tmp_path, FLOOR)
    assert verdicts(page) == ["faster"]
    assert "Nothing below the noise floor of 3.1 % is called faster or slower" in plain(page.ratios.caption)


def test_a_win_below_the_floor_is_not_and_the_reason_is_printed(tmp_path: Path) -> None:
    assert verdicts(made(tmp_path / "quiet", None)) == ["faster"]
    page = made(tmp_path / "loud", FLOOR | {"smallest_change": 0.08})
    assert verdicts(page) == ["undecided"]
    told = plain(page.ratios.caption)
    assert "Nothing below the noise floor of 8.0 % is called faster or slower: the run’s A/A cells" in told
    assert "1 ratio would be called otherwise" in told
    assert "cannot be told apart" in plain(page.answer)
    assert "~ undecided" in render_summary(page)


def test_a_floor_within_the_margin_changes_nothing(tmp_path: Path) -> None:
    page = made(tmp_path, FLOOR | {"smallest_change": 0.011})
    assert verdicts(page) == ["faster"]
    assert "A/A" not in plain(page.ratios.caption)


def test_cells_that_differ_spoil_the_run_and_it_says_so_first(tmp_path: Path) -> None:
    page = made(tmp_path, FLOOR | {"ratio": 1.2, "low": 1.15, "high": 1.25, "differ": True}, faster=0.5)
    assert page.banners == (DIFFER,)
    assert page.noise.attention == "!"
    assert verdicts(page) == ["undecided"], "nothing is claimed, however large"
    assert DIFFER in render_page(page).replace("\N{NO-BREAK SPACE}", " ")
    summary = render_summary(page)
    assert "Do not trust this run" in summary
    assert "Incomplete" not in summary


@pytest.mark.parametrize(
    ("noise", "words"),
    [
        (None, "This run has no A/A cells (the suite asks for none), so its noise floor is not known."),
        (FLOOR | {"smallest_change": None}, "too few to tell the smallest change that this run can see"),
    ],
)
def test_a_floor_that_is_not_known_says_why(tmp_path: Path, noise: dict[str, Any] | None, words: str) -> None:
    assert words in plain(made(tmp_path, noise).noise.floor)


def test_a_cell_that_broke_is_named(tmp_path: Path) -> None:
    page = made(tmp_path, FLOOR | {"broken": [{"id": "soft-S", "reason": "out of memory"}]})
    assert "1 cell failed under the second label: soft-S (out of memory)." in plain(page.noise.floor)


def test_why_cases_have_no_more_rounds_is_told(tmp_path: Path) -> None:
    page = made(tmp_path, FLOOR, ended="max_rounds")
    (ended,) = page.noise.ended
    assert (ended.cases, ended.rounds) == (2, "6")
    assert "had the most rounds that the suite allows" in render_page(page)
    assert made(tmp_path / "old", FLOOR, ended=None).noise.ended == ()


def test_noise_that_no_clock_gives_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match=r"run\.json is not a run's description: noise\.ratio"):
        made(tmp_path, FLOOR | {"ratio": -1})


def test_the_floor_keeps_same_as_it_is() -> None:
    assert verdict(Interval(1.001, 0.995, 1.005), floor=0.2) == "same"
    assert verdict(Interval(0.9, 0.89, 0.91), floor=0.2) == "undecided"
    assert verdict(Interval(0.8, 0.79, 0.81), floor=0.2) == "faster"
    assert verdict(Interval(1.3, 1.29, 1.31), floor=0.2) == "slower"
    assert verdict(Interval(1.03, 1.029, 1.031), floor=0.001) == "slower"
