"""What the scaling charts mark beside their lines: the ideal, and where one line passes another."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.judge.stats import Interval
from reports.context import Context
from reports.figures import scaling
from reports.figures.scaling_marks import DIGIT, NARROWEST, band, named, passing
from reports.page import render_page
from reports.read import read_run
from reports.review import review
from reports.sections import scaling as section
from reports.sections.crossovers import MARKED
from reports.sections.scaling_lines import Overtaking
from reports.words import plain
from tests import fake_run
from tests.test_crossovers_section import made

CROSSING = Overtaking("top-2", "soft", Interval(20.0, 18.0, 22.0))


def test_the_ideal_starts_at_the_leading_lines_first_point_and_grows_as_its_flops(tmp_path: Path) -> None:
    run = read_run(fake_run.write_run(tmp_path / "run", fake_run.sweep_cases("batch", (1, 2, 4, 8))))
    (panel,) = review(run).scaling.panels
    soft = next(line for line in panel.lines if line.variant == "soft")
    assert panel.ideal is not None
    assert panel.ideal.variant == "soft"
    assert panel.ideal.power == pytest.approx(1)  # FLOPs are those of a sequence times the sequences
    assert [x for x, _ in panel.ideal.points] == [1, 2, 4, 8]
    assert [ms for _, ms in panel.ideal.points] == pytest.approx([soft.points[0].ms * x for x in (1, 2, 4, 8)])


@pytest.mark.parametrize(("slope", "end"), [
    (Interval(-0.2, -2.0, 0.9), "soft ?"),  # as the line of the medians may rise where the mean of the fits falls
    (Interval(0.01, -0.02, 0.03), "soft 0.01"),
    (Interval(1.2, 0.2, 1.5), "soft 1.2"),
])  # fmt: skip
def test_a_label_prints_no_slope_whose_sign_cannot_be_told(tmp_path: Path, slope: Interval, end: str) -> None:
    found = review(read_run(fake_run.write_run(tmp_path / "run", fake_run.sweep_cases()))).scaling
    line = next(line for line in found.panels[0].lines if line.variant == "soft")
    assert scaling.label(replace(line, slope=slope)) == end
    assert "their 20 % trimmed mean" in plain(found.caption)


def test_without_flops_there_is_no_ideal(tmp_path: Path) -> None:
    run = read_run(fake_run.write_run(tmp_path / "run", fake_run.sweep_cases()))
    vars(run)["results"] = [replace(result, flops=None) for result in run.results]
    built = section.build(Context(run))
    assert [panel.ideal for panel in built.panels] == [None]
    assert "Dots" not in plain(built.caption)
    assert len(scaling.figure(built.panels[0]).data) == len(built.panels[0].lines)


def test_the_ideal_stands_in_the_charts_table_and_caption(tmp_path: Path) -> None:
    made_of = review(read_run(fake_run.write_run(tmp_path / "run", fake_run.sweep_cases())))
    assert "Dots lead from the first point of soft to where its FLOPs alone" in plain(made_of.scaling.caption)
    assert "soft if its time grew as its FLOPs" in render_page(made_of)


def test_a_crossing_is_marked_on_its_panel_as_its_interval(tmp_path: Path) -> None:
    found = made(tmp_path / "run", 1.0, 0.5)
    (pair,) = found.crossovers.axes[0].of("crosses")
    (panel,) = found.scaling.panels
    assert panel.crossings == (Overtaking("top-2", "soft", pair.crossings[0].at),)
    assert "A grey band is the 95 % interval of where one layer overtakes another" in plain(found.scaling.caption)
    (drawn,) = scaling.figures(found)
    interval, rule = drawn.figure.layout.shapes
    at = panel.crossings[0].at
    assert (interval.x0, interval.x1) == pytest.approx((at.low, at.high), rel=1e-4)
    assert rule.x0 == rule.x1 == pytest.approx(at.value, rel=1e-4)
    assert passing(panel.crossings[0]) in drawn.alt
    assert passing(panel.crossings[0]) in [one.text for one in drawn.figure.layout.annotations]


def test_where_nothing_crosses_nothing_is_marked(tmp_path: Path) -> None:
    found = made(tmp_path / "run", 1.0, 0.5, at=200.0)
    (drawn,) = scaling.figures(found)
    assert found.scaling.panels[0].crossings == ()
    assert not drawn.figure.layout.shapes
    assert "grey band" not in plain(found.scaling.caption)


def test_a_panel_marks_few_the_farthest_first_so_that_no_rule_cuts_a_name(tmp_path: Path) -> None:
    found = review(read_run(fake_run.write_run(tmp_path / "run", fake_run.quick_cases())))
    crowded = [panel for panel in found.scaling.panels if len(panel.crossings) > 1]
    assert crowded
    for panel in crowded:
        places = [crossing.at.value for crossing in panel.crossings]
        assert len(places) <= MARKED
        assert places == sorted(places, reverse=True)


def test_names_of_crossings_stand_above_the_lines_in_every_panel_alike(tmp_path: Path) -> None:
    found = review(read_run(fake_run.write_run(tmp_path / "run", fake_run.quick_cases())))
    heights = {drawn.figure.layout.height - drawn.figure.layout.margin.t for drawn in scaling.figures(found)}
    tops = {drawn.figure.layout.margin.t for drawn in scaling.figures(found)}
    assert len(heights) == len(tops) == 1
    assert tops.pop() > scaling.TOP


@given(st.floats(4.1, 63.9), st.integers(1, 30), st.integers(1, 30), st.integers(40, 150), st.integers(0, MARKED - 1))
def test_a_name_stays_within_the_narrowest_panel(at: float, winner: int, other: int, right: int, row: int) -> None:
    across = math.log10(4) - 0.06, math.log10(64) + 0.06
    crossing = Overtaking("w" * winner, "o" * other, Interval(at, 0.9 * at, 1.1 * at))
    label = named(crossing, row, across, scaling.LEFT, right)
    place = scaling.LEFT + (math.log10(at) - across[0]) / (across[1] - across[0]) * (NARROWEST - scaling.LEFT - right)
    start = place + float(str(label["xshift"]))
    assert start >= -0.5
    assert start + DIGIT * len(passing(crossing)) <= NARROWEST + 0.5


def test_long_names_that_cross_keep_both_their_ends() -> None:
    crossing = Overtaking("transformers-grouped", "transformers-eager", Interval(1809.0, 1110.0, 3476.0))
    assert passing(crossing) == "tra…uped passes tra…ager at 1809 [1110, 3476]"


def test_the_rule_of_the_farther_row_reaches_its_name() -> None:
    near, far = band(CROSSING, 0, 216), band(CROSSING, 1, 216)
    assert far[1]["y1"] > near[1]["y1"] > 1  # type: ignore[operator]
