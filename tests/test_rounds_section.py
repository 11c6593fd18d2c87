"""What the noise section draws: the pairs of the A/A cells, and every sample by round; both from planted journals."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from harness.case import Case
from reports.figures import a_a, rounds
from reports.figures.base import short
from reports.journal import read_journal
from reports.page import render_page
from reports.read import read_run
from reports.review import Review, review
from reports.words import plain
from tests import fake_run
from tests.fake_journal import WOBBLE, write_journal

CASES = [fake_run.make_case("top-2", "token_choice", experts=8), fake_run.make_case("dense", "dense", d_ff=3072)]
CELLS = tuple(case.id for case in CASES)
PACE = (1.0, 1.0, 1.3, 1.0, 0.9, 1.0)
"""What a round makes of all times: the machine was slow in the third."""
AGAIN = (1.0, 1.02, 0.98, 1.01, 0.99, 1.5)
NOISE: dict[str, Any] = {"cells": 2, "pairs": 12, "rounds": 6, "ratio": 1.0, "low": 0.98, "high": 1.02, "differ": False}
NOISE |= {"smallest_change": 0.03, "by_cell": [], "later_over_earlier": None, "broken": []}


def written(folder: Path, pace: tuple[float, ...] = PACE) -> Path:
    """Write a run in which every case takes 2 ms times `pace`."""

    def edit(_: Case, record: dict[str, Any]) -> dict[str, Any]:
        times = [2 * each for each in pace]
        ends = {"value": median(times), "low": min(times), "high": max(times), "n": 6, "rounds": times}
        return record | {"metrics": record["metrics"] | {"latency_ms": ends}}

    return fake_run.write_run(folder / "run", CASES, edit=edit, noise=NOISE)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Review:
    folder = written(tmp_path_factory.mktemp("rounds"))
    write_journal(folder, CELLS, AGAIN, clock_mhz=2600.0, temperature_c=61.0)
    return review(read_run(folder))


def test_the_slow_round_is_named_with_what_it_cost(made: Review) -> None:
    found = made.noise.rounds
    assert found is not None
    assert found.finding[0].text == (
        "Round 3 was the slowest: its median case of 2 took 1.30× its own median time, and round 5, the fastest, 0.90×."
    )
    assert [row.middle for row in found.rounds] == pytest.approx(list(PACE))
    assert {(row.clock_mhz, row.temperature_c) for row in found.rounds} == {(2600.0, 61.0)}


def test_a_steady_machine_is_said_to_be_one(tmp_path: Path) -> None:
    folder = written(tmp_path, (1.0, 1.01, 0.99, 1.0, 1.0, 1.0))
    found = review(read_run(folder)).noise.rounds
    assert found is not None
    assert plain(found.finding) == (
        "No round was slower or faster throughout: each one’s median case is within 2 % of 1×."
    ), "and without a journal there is no picture to read"


def test_the_strip_draws_every_sample_in_its_order(made: Review) -> None:
    (drawn,) = rounds.figures(made)
    assert drawn.alt.startswith("Round 3 was the slowest")
    *marks, line = drawn.figure.data
    assert [trace.name for trace in marks] == ["top-2", "dense"]
    assert list(line.y) == pytest.approx(list(PACE))
    for trace in marks:
        assert list(trace.y) == [short(pace * each) for pace in PACE for each in WOBBLE]
        assert list(trace.x) == sorted(trace.x)
        assert [round(x) for x in trace.x] == [number for number in range(1, 7) for _ in WOBBLE]


def test_the_pairs_are_second_over_first_family_by_family(made: Review) -> None:
    found = made.noise.same
    assert found is not None
    assert [one.family for one in found.families] == ["sparse", "dense"]
    assert all(list(one.ratios) == pytest.approx(sorted(AGAIN)) for one in found.families)
    assert found.families[0].quarters[1] == pytest.approx(median(AGAIN))
    assert found.finding[0].text == (
        "Half of 12 pairs of the same layer lie between 0.99× and 1.02×; 2 lie beyond the noise floor of 3.0 %."
    )


def test_the_distribution_draws_each_pair_its_box_and_the_band(made: Review) -> None:
    (drawn,) = a_a.figures(made)
    assert drawn.alt.startswith("Half of 12 pairs")
    assert [len(trace.x) for trace in drawn.figure.data] == [6, 6]
    band, *_ = drawn.figure.layout.shapes
    assert (band.x0, band.x1) == (pytest.approx(1 / 1.03, rel=1e-4), pytest.approx(1.03))
    assert len(drawn.figure.layout.shapes) == 2 + 2 * 2
    assert list(drawn.figure.layout.yaxis.ticktext) == ["sparse MoE", "dense FFN"]


def test_the_page_has_both_charts_beside_their_tables(made: Review) -> None:
    page = render_page(made)
    for chart in ("fig-a-a", "fig-rounds"):
        assert page.count(f"id={chart}") == 1
    for head in ("The same layer, twice", "Median case", "Clock, MHz", "Heat, °C"):
        assert page.count(head) == 1, head


def test_a_run_without_a_journal_has_neither(tmp_path: Path) -> None:
    made = review(read_run(written(tmp_path)))
    assert made.noise.same is None
    assert a_a.figures(made) == rounds.figures(made) == []
    assert "Median case" in render_page(made), "what the records hold is still told"


def test_a_visit_that_the_record_was_not_made_of_is_not_drawn(tmp_path: Path) -> None:
    folder = written(tmp_path)
    write_journal(folder)
    _change(folder / "journal.jsonl", lambda visit: visit["values"].update(latency_ms=[9.0, 9.0, 9.0]), first=1)
    found = review(read_run(folder)).noise.rounds
    assert found is not None
    assert [len(samples) for samples in found.strips[0].samples] == [0, 3, 3, 3, 3, 3]


def test_very_many_samples_are_thinned_and_it_says_so(tmp_path: Path) -> None:
    folder = written(tmp_path)
    write_journal(folder)
    _change(folder / "journal.jsonl", lambda visit: visit["values"].update(latency_ms=_many(visit)))
    found = review(read_run(folder)).noise.rounds
    assert found is not None
    assert sum(len(samples) for strip in found.strips for samples in strip.samples) <= 720
    assert f"one sample in {found.every}" in plain(found.finding)


@pytest.mark.parametrize(
    "line",
    ['{"seconds": 1, "probe": "latency"', '{"seconds": 1, "probe": "latency", "round": 0}',
     '{"seconds": 1, "key": "k", "probe": "latency", "round": 0, "status": "ok", "values": {"latency_ms": [-1]}}',
     '{"seconds": 1, "key": "k", "probe": "latency", "round": -1, "status": "ok", "values": {"latency_ms": [1]}}',
     '{"seconds": 1, "key": "k", "probe": "latency", "round": 0, "status": "oom", "values": {}}'],
)  # fmt: skip
def test_a_line_that_is_no_round_counts_for_its_seconds_alone(tmp_path: Path, line: str) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text(f"{line}\n" + '{"seconds": 2}\n', "utf-8")
    journal = read_journal(path)
    assert journal.seconds == (3 if line.endswith("}") else 2)
    assert journal.timed == {}


def test_of_a_round_that_was_taken_twice_the_last_counts(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    visit = {"seconds": 1, "key": "k", "probe": "latency", "round": 0, "status": "ok"}
    lines = [visit | {"values": {"latency_ms": [ms]}} for ms in (5.0, 7.0)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    (one,) = read_journal(path).timed["k"]
    assert one.ms == 7.0


def _many(visit: dict[str, Any]) -> list[float]:
    return [ms for ms in visit["values"]["latency_ms"] for _ in range(99)]


def _change(path: Path, change: Callable[[dict[str, Any]], None], first: int | None = None) -> None:
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    for line in lines[:first]:
        change(line)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
