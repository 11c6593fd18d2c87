"""How the times were taken: told as far as a run tells it, from a journal whose visits are known."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reports.context import Context
from reports.journal import Timed, read_journal
from reports.page import render_page
from reports.read import read_run
from reports.review import review
from reports.sections.noise_method import build
from tests import fake_run

SEEN = "in all visits (whether locked is not told)"
CASES = [fake_run.make_case("soft", "soft", experts=8), fake_run.make_case("dense", "dense")]


def told(folder: Path, visits: tuple[Timed, ...] = (), **top: Any) -> dict[str, str]:
    """Return the facts of a run whose cases were each timed by `visits`."""
    run = read_run(fake_run.write_run(folder / "run", CASES, **top))
    found = build(Context(replace(run, timed={result.key: visits for result in run.results})))
    return {fact.name: " ".join(fact.lines) for fact in found}


def visit(number: int, worker: int, clock_mhz: float | None = None, warm_up: int = 2) -> Timed:
    return Timed(number, False, array("d", [1.0] * 6), clock_mhz, None, worker, warm_up)


def test_blocks_that_were_left_out_are_counted(tmp_path: Path) -> None:
    """Two cases of two visits, each with two blocks before its six samples."""
    facts = told(tmp_path, (visit(0, 7), visit(1, 8)))
    assert facts["Warm-up"] == "8 of 32 blocks left out: those that size a visit and, of 13 or more, what MSER says"
    assert "Warm-up" not in told(tmp_path / "old", (visit(0, 7, warm_up=0),))


def test_rounds_and_the_processes_that_took_them(tmp_path: Path) -> None:
    assert told(tmp_path, (visit(0, 7), visit(1, 8)))["Rounds"] == f"{fake_run.ROUNDS} a case, in 2 processes"
    assert told(tmp_path / "old")["Rounds"] == f"{fake_run.ROUNDS} a case"


@pytest.mark.parametrize(
    ("environment", "device", "clocks", "words"),
    [
        ({}, {}, (), "neither governor nor frequency is told by this machine"),
        ({"governor": "powersave", "no_turbo": "0"}, {}, (), "governor powersave and turbo on"),
        ({"no_turbo": "1"}, {}, (), "turbo off"),
        ({"boost": "0"}, {}, (2600.0, 2600.2), f"boost off and 2600 MHz {SEEN}"),
        ({}, {"sm_clock_max_mhz": 1980}, (1740.0, 1980.0), f"1740 to 1980 MHz of 1980 at the most {SEEN}"),
        ({"no_turbo": "a <b>"}, {}, (), "turbo a <b>"),
    ],
)
def test_of_the_clock_what_the_machine_tells(
    tmp_path: Path, environment: Mapping[str, str], device: Mapping[str, int], clocks: tuple[float, ...], words: str
) -> None:
    known = fake_run.run_file(CASES)
    visits = tuple(visit(number, 7, clock) for number, clock in enumerate(clocks))
    top = {"environment": known["environment"] | environment, "device": known["device"] | device}
    assert told(tmp_path, visits, **top)["Clock"] == words


def test_a_run_without_times_has_none(tmp_path: Path) -> None:
    folder = fake_run.write_run(tmp_path / "run", CASES, edit=lambda _, record: fake_run.without(record, "latency"))
    assert build(Context(read_run(folder))) == ()


def test_the_kept_run_tells_all_three_and_the_page_prints_them() -> None:
    kept = Path(__file__).parent.parent / "docs" / "reference" / "quick"
    every = [visit for visits in read_journal(kept / "journal.jsonl").timed.values() for visit in visits]
    lines = [visit for visit in every if not visit.second]
    assert len(lines) < len(every)
    made = review(read_run(kept))
    facts = {fact.name: fact.lines[0] for fact in made.noise.taken}
    left_out = sum(one.warm_up for one in lines)
    assert facts["Warm-up"].startswith(f"{left_out:,} of {left_out + sum(len(one.samples) for one in lines):,} blocks")
    assert facts["Rounds"] == f"6 a case, in {len({one.worker for one in lines})} processes"
    page = render_page(made)
    assert all(text in page.replace("\N{NO-BREAK SPACE}", " ") for text in facts.values())
