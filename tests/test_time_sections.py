"""The sections on phases, roofline and energy: what they find and say, from records with planted numbers."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest

from harness.case import Case
from harness.declare.costs import cost
from reports import render
from reports.figures import roofline as roofline_figure
from reports.read import read_run
from reports.review import Review, review
from reports.words import plain
from tests import fake_run
from tests.fake_run import CEILINGS, Edit, make_case, without

PHASES = ("router", "dispatch", "experts", "combine")


def soft(**axes: Any) -> Case:
    return make_case("soft", "soft", experts=8, mixing="soft", **axes)


def top2(**axes: Any) -> Case:
    return make_case("top-2", "token_choice", experts=8, **axes)


def review_of(folder: Path, cases: list[Case], edit: Edit | None = None, **top: Any) -> Review:
    return review(read_run(fake_run.write_run(folder / "run", cases, edit=edit, **top)))


def sets(**metrics: float | dict[str, float]) -> Edit:
    """Return an edit that sets metrics, by name, to a value or to what a value holds."""

    def edit(case: Case, record: dict[str, Any]) -> dict[str, Any]:
        values = {name: value if isinstance(value, dict) else {"value": value} for name, value in metrics.items()}
        return record | {"metrics": record["metrics"] | values}

    return edit


def both(*edits: Edit) -> Edit:
    def edit(case: Case, record: dict[str, Any]) -> dict[str, Any]:
        for each in edits:
            record = each(case, record) or record
        return record

    return edit


def noted(note: str) -> Edit:
    return lambda case, record: record | {"notes": [note]}


def drops(*prefixes: str) -> Edit:
    return lambda case, record: without(record, *prefixes)


# phases


def test_the_absolute_time_is_the_share_of_the_unprofiled_half(tmp_path: Path) -> None:
    edit = sets(latency_ms=10.0, pass_forward_share=0.3, pass_backward_share=0.6, phase_experts_share=0.5,
                phase_experts_backward_share=0.25)  # fmt: skip
    made = review_of(tmp_path, [soft(), soft(pass_="train")], edit).phases
    forward, backward = made.tables
    assert (forward.half, backward.half) == ("forward", "backward")
    assert forward.rows[0].time("experts") == pytest.approx(5.0)
    assert backward.rows[0].ms == pytest.approx(6.0)
    assert backward.rows[0].time("experts") == pytest.approx(1.5)
    assert backward.where.endswith("training step")


def test_the_heading_names_the_setting_that_it_speaks_of(tmp_path: Path) -> None:
    made = review_of(tmp_path, [soft(), soft(batch=1)]).phases
    assert plain(made.finding).startswith(f"At {made.tables[0].where}: routing and moving tokens takes ")


def test_only_of_several_cases_the_heading_tells_the_most(tmp_path: Path) -> None:
    alone = plain(review_of(tmp_path / "one", [soft()]).phases.finding)
    assert "up to" not in alone
    assert re.search(r"takes \d+ % of soft’s time\.$", alone)
    several = plain(review_of(tmp_path / "two", [soft(), soft(slots=2)]).phases.finding)
    assert re.search(r"takes up to \d+ % of soft’s time\.$", several)


def test_a_run_that_only_trains_shows_both_halves(tmp_path: Path) -> None:
    edit = sets(latency_ms=10.0, pass_forward_share=0.3, pass_backward_share=0.6)
    tables = review_of(tmp_path, [soft(pass_="train")], edit).phases.tables
    assert [(table.half, table.rows[0].ms) for table in tables] == [("forward", 3.0), ("backward", 6.0)]


def test_the_overhead_is_printed(tmp_path: Path) -> None:
    made = review_of(tmp_path, [soft(), top2()], sets(phase_overhead=1.21)).phases
    assert "unprofiled one, which is 1.21 times as fast" in plain(made.caption)
    page = render(tmp_path / "run", html=tmp_path / "page.html").html.read_text("utf-8")
    assert "--l9:'profiled '" in page
    assert "<td>1.21×" in page


def test_a_compiled_case_has_shares_and_no_times(tmp_path: Path) -> None:
    (table,) = review_of(tmp_path, [soft(compile=True)]).phases.tables
    assert table.rows[0].ms is None
    assert table.rows[0].time("experts") is None
    assert table.rows[0].shares["experts"] > 0.5


def test_a_disagreement_of_two_methods_is_counted(tmp_path: Path) -> None:
    note = "phases: experts is 40 % of the forward pass by the profiler and 60 % by a clock with the device drained"
    assert "In 2 cases the profile and a clock" in plain(
        review_of(tmp_path, [soft(), top2()], noted(note)).phases.caption
    )
    assert "the profile and a clock" not in plain(review_of(tmp_path / "b", [soft()]).phases.caption)


def test_every_variant_has_a_row_before_any_has_two(tmp_path: Path) -> None:
    cases = [top2(slots=None, shared_experts=shared) for shared in range(12)] + [soft()]
    made = review_of(tmp_path, cases).phases.tables[0]
    assert len(made.rows) == 6
    assert made.left_out == 7
    assert [row.subject.variant for row in made.rows] == ["top-2"] * 5 + ["soft"]


# roofline


def test_points_stand_where_the_closed_forms_and_the_time_put_them(tmp_path: Path) -> None:
    made = review_of(tmp_path, [soft()])
    (row,) = made.roofline.rows
    point, forms = row.points["experts"], cost(soft())
    assert point.intensity == forms.phases["experts"] / forms.phase_bytes["experts"]
    assert row.ms is not None
    seconds = made.phases.tables[0].rows[0].shares["experts"] * row.ms * 1e-3
    (drawn,) = roofline_figure.figures(made)
    places = {trace.name: (x, y) for trace in drawn.figure.data[1:] for x, y in zip(trace.x, trace.y, strict=True)}
    x, y = places["soft, experts"]
    assert x == pytest.approx(point.intensity, rel=1e-4)
    assert y == pytest.approx(forms.phases["experts"] / seconds, rel=1e-4)


def test_the_roofs_are_the_measured_ones_and_meet_at_the_ridge(tmp_path: Path) -> None:
    (drawn,) = roofline_figure.figures(review_of(tmp_path, [soft(), top2()]))
    assert drawn.figure.layout.xaxis.type == drawn.figure.layout.yaxis.type == "log"
    roof = drawn.figure.data[0]
    peak, rate = CEILINGS.flops_per_s["float32"], CEILINGS.bytes_per_s
    assert list(roof.y[1:]) == pytest.approx([peak, peak], rel=1e-4)
    assert roof.x[1] == pytest.approx(peak / rate, rel=1e-4)
    assert roof.y[0] == pytest.approx(rate * roof.x[0], rel=1e-4)
    low, high = drawn.figure.layout.yaxis.range
    assert all(low < math.log10(y) < high for trace in drawn.figure.data[1:] for y in trace.y)


def test_a_point_above_its_roof_is_called_a_measurement_error(tmp_path: Path) -> None:
    wrong = {"value": 1.5, "low": 1.3, "high": 1.8}
    made = review_of(tmp_path, [soft(), top2()], both(sets(phase_experts_roofline=wrong), beyond(1.4)))
    assert plain(made.roofline.finding) == "2 points lie above their roofs: measurement errors, not speed."
    assert made.roofline.attention == "! 2"
    assert "experts of soft-" in plain(made.roofline.caption)
    symbols = [symbol for trace in roofline_figure.figures(made)[0].figure.data[1:] for symbol in trace.marker.symbol]
    assert symbols.count("x-thin") == 2
    page = render(tmp_path / "run", html=tmp_path / "page.html").html.read_text("utf-8")
    assert '<span class="v fail">1.50×</span>' in page


def beyond(fraction: float) -> Edit:
    """Plant the fraction that stays where what a cache holds costs nothing."""

    def edit(case: Case, record: dict[str, Any]) -> dict[str, Any]:
        return record | {"series": record["series"] | {"phase_roofline_beyond_cache": [fraction] * 4}}

    return edit


@pytest.mark.parametrize(
    ("value", "cached", "standing"),
    [
        ({"value": 1.5, "low": 1.3, "high": 1.8}, 0.5, "in cache"),
        ({"value": 1.1, "low": 0.9, "high": 1.3}, 1.1, "below"),
        ({"value": 1.5}, 1.5, "in cache"),
    ],
)
def test_what_a_cache_or_the_interval_explains_is_no_error(
    tmp_path: Path, value: dict[str, float], cached: float, standing: str
) -> None:
    made = review_of(tmp_path, [soft()], both(sets(phase_experts_roofline=value), beyond(cached))).roofline
    assert made.rows[0].points["experts"].standing == standing
    assert made.attention is None
    told = "1 phase above the bandwidth’s roof moved what a cache can hold" in plain(made.caption)
    assert told == (standing == "in cache")


@pytest.mark.parametrize(
    ("ends", "words"),
    [
        ((1.29, 0.22, 1.47), ("129 % [22 %, 147 %]", "; above 100 % is within noise")),
        ((1.5, 1.3, 1.8), ("150 % [130 %, 180 %]", "; above 100 % a cache may have helped")),
        ((0.7, 0.6, 0.8), ("70 %", "")),
    ],
)
def test_no_heading_has_experts_beyond_the_device_without_a_why(
    tmp_path: Path, ends: tuple[float, float, float], words: tuple[str, str]
) -> None:
    value = dict(zip(("value", "low", "high"), ends, strict=True))
    share, why = words
    made = review_of(tmp_path, [soft()], both(sets(phase_experts_roofline=value), beyond(0.5))).roofline
    assert plain(made.finding) == f"The experts of soft with 8 experts reach {share} of what the device can do{why}."


def test_what_bounds_the_experts_is_said_of_one_setting(tmp_path: Path) -> None:
    made = review_of(tmp_path, [soft(), soft(batch=1)]).roofline
    assert f"the experts at {made.where}." in plain(made.caption)


def test_decode_steps_stand_beside_the_floor_of_their_weights(tmp_path: Path) -> None:
    decode = top2(batch=1, tokens=2)
    made = review_of(tmp_path, [top2(batch=64), decode], sets(latency_ms=9.0, experts_floor_ms=3.0)).roofline
    (floor,) = made.floors
    assert (floor.subject.id, floor.times) == (decode.id, 3.0)
    assert "3.00 ms; it takes 3.00× as long, the nearest to its floor" in plain(made.caption)
    page = render(tmp_path / "run", html=tmp_path / "page.html").html.read_text("utf-8")
    assert "Where experts wait for memory" in page


def test_without_ceilings_or_phases_a_sentence_says_so(tmp_path: Path) -> None:
    made = review_of(tmp_path, [soft()], drops("phase_experts_roofline"), ceilings=None)
    assert made.roofline.missing == (
        "The ceilings of this device were not measured in these cases’ format: harness doctor does."
    )
    assert roofline_figure.figures(made) == []
    made = review_of(tmp_path / "b", [soft()], drops("phase_"))
    assert made.roofline.missing == "No case has phases to hold against a roof: the suite does not measure it."


# energy


def test_the_finding_names_the_cheapest_and_the_dearest(tmp_path: Path) -> None:
    def edit(case: Case, record: dict[str, Any]) -> dict[str, Any]:
        gross = 400.0 if case.layer == "soft" else 1000.0
        planted = sets(energy_j_per_mtoken=gross, energy_net_j_per_mtoken=gross / 2, power_w=80.0, power_idle_w=20.0)
        return planted(case, record) or record

    made = review_of(tmp_path, [soft(), top2()], edit).energy
    cheapest, dearest = "soft with 8 experts", "top-2 with 8 experts"
    assert plain(made.finding) == f"A million tokens take 400 J in {cheapest}, and 2.50× as much in {dearest}."
    assert plain(made.caption).startswith("At rest the device takes 25 % of its power at work.")
    assert made.rows[0].celsius == (41.0, 63.0)


@pytest.mark.parametrize(
    ("note", "words"),
    [
        ("energy is not measured: this machine has no counter", "Not measured: this machine has no counter."),
        ("something else", "No case has energy: the suite does not measure it."),
    ],
)
def test_without_a_counter_one_sentence_says_so(tmp_path: Path, note: str, words: str) -> None:
    made = review_of(tmp_path, [soft()], both(drops("energy", "power"), noted(note)))
    assert made.energy.missing == words
    page = render(tmp_path / "run", html=tmp_path / "page.html").html.read_text("utf-8")
    assert words in page


def test_findings_and_captions_are_sentences(tmp_path: Path) -> None:
    made = review_of(tmp_path, fake_run.quick_cases())
    for section in (made.phases, made.roofline, made.energy):
        for words in (plain(section.finding), plain(section.caption)):
            assert words.endswith("."), words
            assert "  " not in words
            assert "None" not in words
