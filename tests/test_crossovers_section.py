from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from harness.case import Case
from reports.page import render_page
from reports.read import read_run
from reports.review import Review, review
from reports.sections.crossovers import settled, unsettled
from reports.words import plain
from tests import fake_run

WOBBLE = [1.0, 1.01, 0.99, 1.0, 1.01, 0.99]


def made(folder: Path, soft: float, top: float, at: float = 20.0, wobble: list[float] = WOBBLE) -> Review:
    """A sweep of experts in which times are powers of the experts that meet at `at`."""

    def edit(case: Case, record: dict[str, Any]) -> dict[str, Any]:
        exponent = {"soft": soft, "top-2": top}.get(case.variant, 0.0)
        turn = len(case.variant) % len(wobble)
        ms = 10 * ((case.experts or at) / at) ** exponent * (40 if case.layer == "dense" else 1)
        rounds = [ms * one for one in (wobble[turn:] + wobble[:turn]) * (6 // len(wobble))]
        record["metrics"]["latency_ms"] = {
            "value": ms,
            "low": min(rounds),
            "high": max(rounds),
            "n": 60,
            "rounds": rounds,
        }
        return record

    return review(read_run(fake_run.write_run(folder, fake_run.sweep_cases(), edit=edit)))


def test_a_known_crossing_is_found_as_an_interval(tmp_path: Path) -> None:
    """Soft MoE's time goes with E, top-2's with its root: they are equal at 20 experts, and top-2 is ahead beyond."""
    section = made(tmp_path / "run", 1.0, 0.5).crossovers
    (along,) = section.axes
    (pair,) = along.of("crosses")
    (crossing,) = pair.crossings
    assert crossing.at.holds(20)
    assert crossing.at.value == pytest.approx(20, rel=0.03)
    assert plain(section.finding).startswith("Top-2 overtakes soft at 20")
    assert (along.low, along.high) == (4, 64)
    assert along.at(16) == pytest.approx(50)


def test_curves_that_meet_beyond_the_range_never_cross_within_it(tmp_path: Path) -> None:
    section = made(tmp_path / "run", 1.0, 0.5, at=200.0).crossovers
    (along,) = section.axes
    assert along.of("crosses") == []
    assert settled(along).startswith("soft of top-2")
    assert plain(section.finding) == "None of 3 pairs of lines crosses within the ranges that were swept."


def test_equal_curves_are_level_and_noisy_ones_cannot_be_told(tmp_path: Path) -> None:
    level = made(tmp_path / "level", 0.5, 0.5, wobble=[1.0, 1.001]).crossovers.axes[0]
    assert unsettled(level, "level") == "top-2 and soft"
    noisy = made(tmp_path / "noisy", 0.5, 0.5, wobble=[1.0, 3.0, 2.0, 1.5, 2.5, 4.0]).crossovers
    assert unsettled(noisy.axes[0], "undecided") == "top-2 and soft"
    assert plain(noisy.finding) == "No crossover is certain; of 1 of 3 pairs the rounds cannot tell."


def test_all_comparisons_are_counted(tmp_path: Path) -> None:
    section = made(tmp_path / "run", 1.0, 0.5).crossovers
    assert section.comparisons == 15
    assert "All 15 comparisons" in plain(section.caption)
    assert plain(section.caption).startswith("Of 3 pairs of lines 1 crosses and 2 never do.")


def test_crossings_lie_within_their_range_and_are_shown(tmp_path: Path) -> None:
    made_ = review(read_run(fake_run.write_run(tmp_path / "run", fake_run.quick_cases())))
    page = render_page(made_)
    for along in made_.crossovers.axes:
        for pair in along.pairs:
            for crossing in pair.crossings:
                assert along.low <= crossing.at.low <= crossing.at.value <= crossing.at.high <= along.high
                assert math.isfinite(along.at(crossing.at.value))
    section = page[page.index("<section id=crossovers") :]
    assert section[: section.index("</section>")].count("class=gd") == sum(
        len(pair.crossings) for along in made_.crossovers.axes for pair in along.pairs
    )


def test_one_variant_alone_crosses_nobody(tmp_path: Path) -> None:
    cases = [fake_run.make_case("soft", "soft", experts=experts) for experts in (4, 8)]
    section = review(read_run(fake_run.write_run(tmp_path / "run", cases))).crossovers
    assert section.missing is not None
    assert section.missing.startswith("No two variants were timed")
