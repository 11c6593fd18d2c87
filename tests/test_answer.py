"""The page's answer and the heading of its ratios: both speak of one winner, whatever the times are."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from harness.case import Case
from reports.review import Review
from reports.words import plain
from tests import fake_run
from tests.test_review import review_of

CASES = [case for case in fake_run.quick_cases() if (case.size, case.batch, case.pass_) == ("S", 8, "forward")]
VARIANTS = ("top-1", "top-2", "expert-choice", "soft", "dense-1", "dense-2")


def timed(folder: Path, ms: dict[str, float], cases: list[Case] = CASES) -> Review:
    """Return the review of a run in which every case of a variant takes so many milliseconds."""

    def edit(case: Case, record: dict[str, Any]) -> dict[str, Any]:
        own = ms[case.variant] * (1 + 0.01 * (case.experts or 0) / 32)
        rounds = [own * wobble for wobble in (1, 1.004, 0.997, 1.002, 0.999, 1.001)]
        latency = {"value": own, "low": min(rounds), "high": max(rounds), "n": 6, "rounds": rounds}
        return record | {"metrics": record["metrics"] | {"latency_ms": latency}}

    return review_of(folder, cases, edit)


def assert_they_agree(made: Review) -> None:
    said, heading = plain(made.answer), plain(made.ratios.finding)
    who = made.ratios.blocks[0].rows
    named = [row for row in who if heading.lower().startswith(row.candidate.phrase.lower() + " ")
             or f"; {row.candidate.phrase} comes nearest" in heading]  # fmt: skip
    assert named, heading
    assert named[0].candidate.phrase in said, (said, heading)
    heading = heading.rpartition("; ")[0] if heading.endswith(("beats dense-1.", "beats dense-2.")) else heading
    dense = next((name for name in ("dense-1", "dense-2") if f"{name} of equal FLOPs" in heading), None)
    assert dense is not None, heading
    assert dense in said, (said, heading)
    if heading.startswith("No layer beats"):
        assert f"{dense} is fastest" in said
    else:
        assert f"{dense} is fastest" not in said
        assert ("no layer is surely fastest" in said) == ("cannot be told apart" in heading)


@pytest.mark.parametrize("seed", range(8))
def test_the_answer_and_the_ratios_name_one_winner(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    assert_they_agree(timed(tmp_path, {variant: draw.choice((1.0, 1.01, 1.5, 2.0, 4.0)) for variant in VARIANTS}))


def test_a_lead_over_another_dense_ffn_is_not_the_answer(tmp_path: Path) -> None:
    """top-2 halves the time of the FFN that shares its FLOPs, and is still the slowest but one."""
    made = timed(
        tmp_path, {"top-1": 2.0, "expert-choice": 2.0, "soft": 2.0, "top-2": 4.0, "dense-1": 1.0, "dense-2": 8.0}
    )
    assert_they_agree(made)
    assert plain(made.ratios.finding).startswith("No layer beats dense-1 of equal FLOPs")
    assert "dense-1 is fastest" in plain(made.answer)


def test_without_a_dense_ffn_both_speak_of_soft_against_sparse(tmp_path: Path) -> None:
    moe = [case for case in CASES if case.layer != "dense"]
    made = timed(tmp_path, dict(zip(VARIANTS, (1.0, 2.0, 3.0, 1.5, 0.0, 0.0), strict=True)), moe)
    heading, said = plain(made.ratios.finding), plain(made.answer)
    assert heading.startswith("Soft with ")
    assert heading.partition(" is slower")[0].lower() in said.lower()
