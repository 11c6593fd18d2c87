"""The report's lists of ratios, counted together: what one comparison may say, fifty of them may not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from reports.data import render_data
from reports.read import read_run
from reports.review import Review, review
from reports.words import plain
from tests import fake_run
from tests.test_review import timed

LUCKY, CERTAIN = [0.90, 0.98, 0.92, 0.97, 0.95], [0.90, 0.91, 0.89, 0.90, 0.90]
"""Faster than 1.0 with a chance of 0.022 if both were equal, and of 0.000007."""
EQUAL = [1.02, 0.97, 1.01, 0.98, 1.03]
BASE = [1.0] * 5


def run_of(folder: Path, rounds: Mapping[str, list[float]], headline: list[str] | None = None) -> Review:
    """Return the review of variants with these rounds, each of equal FLOPs with the dense FFN, whose rounds are 1."""
    cases = [fake_run.make_case(name, "token_choice", experts=8, top_k=1, capacity_factor=None) for name in rounds]
    cases.append(fake_run.make_case("dense", "dense"))
    suite = fake_run.run_file(cases)["suite"] | {"headline": headline or []}
    return review(
        read_run(
            fake_run.write_run(
                folder / "run",
                cases,
                edit=lambda case, record: timed(record, rounds.get(case.variant, BASE)),
                suite=suite,
            )
        )
    )


def verdicts(made: Review) -> dict[str, str]:
    return {row.candidate.variant: row.verdict for row in made.ratios.blocks[0].rows}


@pytest.mark.parametrize(("others", "word"), [(0, "faster"), (1, "faster"), (12, "undecided")])
def test_a_lucky_win_does_not_outlive_the_list_that_it_stands_in(tmp_path: Path, others: int, word: str) -> None:
    made = run_of(tmp_path, {"lucky": LUCKY} | {f"equal-{i}": EQUAL for i in range(others)})
    assert verdicts(made)["lucky"] == word
    assert made.ratios.lost == (word == "undecided")


def test_a_certain_win_outlives_it_and_the_number_of_comparisons_is_printed(tmp_path: Path) -> None:
    made = run_of(tmp_path, {"lucky": LUCKY, "certain": CERTAIN} | {f"equal-{i}": EQUAL for i in range(12)})
    assert {name for name, word in verdicts(made).items() if word == "faster"} == {"certain"}
    caption = plain(made.ratios.caption)
    assert "All 14 comparisons of this section are counted together" in caption
    assert "1 of them looks different alone, and undecided so" in caption
    assert '"comparisons": 14' in render_data(made)


def test_headlines_are_counted_more_strictly(tmp_path: Path) -> None:
    """Three lucky ones of three stand in the list, where a twentieth may be false; on the cards none may."""
    rounds = dict.fromkeys("abc", LUCKY)
    made = run_of(tmp_path, rounds, [f"{name} / dense" for name in rounds])
    assert set(verdicts(made).values()) == {"faster"}
    assert {card.word for card in made.cards} == {"undecided"}


def test_a_small_lead_among_many_is_told_to_be_flattered(tmp_path: Path) -> None:
    small = [0.945, 0.975, 0.96, 0.97, 0.95]
    made = run_of(tmp_path, {"best": small} | {f"equal-{i}": [0.99 * n for n in EQUAL] for i in range(5)})
    assert verdicts(made)["best"] == "faster"
    assert "The fastest of 6 was picked by the rounds that measure it, which flatters it by about" in plain(
        made.ratios.caption
    )


def test_a_large_lead_or_a_single_candidate_is_not(tmp_path: Path) -> None:
    alone = run_of(tmp_path / "alone", {"best": LUCKY})
    large = run_of(tmp_path / "large", {"best": [0.5 * n for n in CERTAIN], "other": EQUAL})
    for made in (alone, large):
        assert "faster" in verdicts(made).values()
        assert "flatters" not in plain(made.ratios.caption)
