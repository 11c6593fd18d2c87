"""Predicted beside measured times of the exchange, and the error between them; from planted links and shares."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.case import Case
from harness.declare.exchange import Link, on_own_ranks
from reports import render
from reports.sections.exchange import Exchanged
from reports.words import plain
from tests import fake_run
from tests.fake_run import Edit
from tests.test_exchange_section import cases, review_of, sent, spread

ALPHA_US, GB_PER_S = 150.0, 0.65
LINK = Link(150e-6, 0.65e9)
FORWARD, BACKWARD = 0.4, 0.25
"""Shares of the exchange in each half."""
HALVES = {"pass_forward_share": 0.3, "pass_backward_share": 0.6}


def planted(off: float, *, without: tuple[str, ...] = ()) -> Edit:
    """Return an edit that plants the link, and a latency by which each exchange takes `off` times what it gives."""

    def edit(case: Case, record: dict[str, Any]) -> dict[str, Any]:
        record = sent(1.4)(case, record) or record
        if case.expert_parallel == 1:
            return record
        share = FORWARD if case.pass_ == "forward" else 0.3 * FORWARD + 0.6 * BACKWARD
        found = {"link_latency_us": ALPHA_US, "link_gb_per_s": GB_PER_S, "phase_exchange_share": FORWARD}
        found |= {"latency_ms": 1e3 * off * on_own_ranks(case, LINK).seconds / share}
        found |= {} if case.pass_ == "forward" else {"phase_exchange_backward_share": BACKWARD, **HALVES}
        values = {name: {"value": value} for name, value in found.items() if not name.startswith(without)}
        return record | {"metrics": fake_run.without(record, "latency_ms")["metrics"] | values}

    return edit


def section_of(folder: Path, some: list[Case], edit: Edit) -> Exchanged:
    return review_of(folder, some, edit).exchange


@pytest.mark.parametrize("pass_", ["forward", "forward_backward", "train"])
@pytest.mark.parametrize("off", [0.5, 1.0, 3.0])
def test_each_case_over_ranks_says_what_the_link_gives_and_what_was_measured(
    tmp_path: Path, pass_: str, off: float
) -> None:
    spreads = {case.id: case for case in cases(pass_=pass_) if case.expert_parallel > 1}
    times = section_of(tmp_path, cases(pass_=pass_), planted(off)).times
    assert {time.subject.id for time in times} == set(spreads)
    for time in times:
        assert time.predicted == pytest.approx(1e3 * on_own_ranks(spreads[time.subject.id], LINK).seconds)
        assert time.ratio == pytest.approx(off)
        assert time.error == pytest.approx(max(off, 1 / off))
        assert time.missing is None


def test_the_caption_states_the_median_and_the_worst_error(tmp_path: Path) -> None:
    def edit(case: Case, record: dict[str, Any]) -> dict[str, Any] | None:
        return planted(5.0 if case.layer == "soft" and case.expert_parallel == 4 else 1.25)(case, record)

    words = plain(section_of(tmp_path, cases(), edit).caption)
    assert "off by 1.25× in the median of 4 cases, by 5.00× in the worst: soft with 8 experts, 4 ranks (" in words
    assert "without" not in words
    assert "  " not in words


def test_one_case_has_no_median(tmp_path: Path) -> None:
    words = plain(section_of(tmp_path, [spread("soft", 2)], planted(3.0)).caption)
    assert "The predicted time of the one exchange is off by 3.00×: soft with 8 experts" in words
    assert "median" not in words


def test_an_error_may_be_either_way(tmp_path: Path) -> None:
    words = plain(section_of(tmp_path, cases(), planted(0.25)).caption)
    assert "off by 4.00× in the median of 4 cases, by 4.00× in the worst: " in words


@pytest.mark.parametrize(
    ("lacking", "words"),
    [
        (("link_",), "4 cases without a measured link."),
        (("phase_exchange",), "4 cases without a time of the phase."),
        (("latency_ms",), "4 cases without a time of the phase."),
        (("link_", "phase_exchange"), "4 cases without a measured link and a time of the phase."),
    ],
)
def test_cases_that_lack_one_of_the_two_say_which(tmp_path: Path, lacking: tuple[str, ...], words: str) -> None:
    section = section_of(tmp_path, cases(), planted(1.0, without=lacking))
    said = plain(section.caption)
    assert f"No case has both, a predicted and a measured time of its exchange. {words} " in said
    assert {time.ratio for time in section.times} == {None}


def test_half_a_pass_without_its_share_is_no_time(tmp_path: Path) -> None:
    lacking = planted(1.0, without=("phase_exchange_backward",))
    (time,) = section_of(tmp_path, [spread("soft", 2, pass_="train")], lacking).times
    assert (time.measured, time.missing) == (None, "without a time of the phase")
    assert time.predicted


def test_a_table_has_a_scale_that_holds_its_times_and_without_any_none(tmp_path: Path) -> None:
    (table,) = section_of(tmp_path / "timed", cases(), planted(3.0)).tables
    assert table.ms_top >= max(row.time.measured or 0 for row in table.rows) > 0
    assert table.ms_ticks[-1].text.endswith(" ms")
    (bare,) = section_of(tmp_path / "bare", cases(), planted(1.0, without=("link_", "phase_exchange"))).tables
    assert (bare.ms_top, bare.ms_ticks) == (0.0, ())


def test_page_and_json_have_the_times_of_other_settings_too(tmp_path: Path) -> None:
    both = [*cases(batch=8), *cases(batch=4)]
    folder = fake_run.write_run(tmp_path / "run", both, edit=planted(2.0))
    made = render(folder, html=tmp_path / "page.html")
    page = made.html.read_text("utf-8")
    assert page.count("href=#grid-exchange-ms-1") == 4
    assert "150 µs" in page
    assert "0.650 GB/s" in page
    times = json.loads(made.data.read_text("utf-8"))["exchange"]["times"]
    assert len(times) == 8
    assert {round(time["ratio"], 9) for time in times} == {round(time["error"], 9) for time in times} == {2.0}
