from __future__ import annotations

import math
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from harness.case import Case
from harness.judge.stats import Interval
from harness.judge.verdict import MARGIN
from reports.families import identities
from reports.figures import base, memory, scaling
from reports.glyph import EDGE, TICKS, band, glyph, linear_ticks, ratio_scale
from reports.markup.assets import asset
from reports.markup.environment import environment
from reports.markup.shapes import range_of
from reports.page import render_page
from reports.read import read_run
from reports.review import Review, narrowed, review
from reports.sections.ratios import Mean
from reports.theme import DASH, HUE, SHAPE, marker
from reports.words import plain
from tests import fake_run
from tests.test_review import timed


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Review:
    return review(read_run(fake_run.write_run(tmp_path_factory.mktemp("run") / "quick", fake_run.quick_cases())))


def test_a_panel_is_log_log_with_its_own_ticks(made: Review) -> None:
    panel = made.scaling.panels[0]
    figure = scaling.figure(panel)
    assert figure.layout.xaxis.type == figure.layout.yaxis.type == "log"
    assert list(figure.layout.xaxis.tickvals) == [8, 32]
    assert figure.layout.xaxis.title.text == "experts, log"
    assert 2 <= len(figure.layout.yaxis.tickvals) <= 5
    assert not figure.layout.showlegend


def test_a_dense_sweep_keeps_few_ticks(tmp_path: Path) -> None:
    cases = [fake_run.make_case("soft", "soft", experts=8, batch=batch) for batch in range(1, 65)]
    (panel,) = review(read_run(fake_run.write_run(tmp_path / "run", cases))).scaling.panels
    ticks = list(scaling.figure(panel).layout.xaxis.tickvals)
    assert len(panel.ticks) == 64
    assert 5 <= len(ticks) <= 8
    assert ticks[-1] == 64


def test_lines_wear_their_familys_colour_shape_and_dash(made: Review) -> None:
    panel = made.scaling.panels[0]
    for line, trace in zip(panel.lines, scaling.figure(panel).data[:-1], strict=True):
        assert trace.line.color == HUE[line.family]
        assert trace.line.dash == DASH[line.family]
        assert trace.marker.symbol.startswith(SHAPE[line.family])


def test_every_measured_line_has_its_interval(made: Review) -> None:
    panel = next(panel for panel in made.scaling.panels if panel.axis == "batch")
    for line, trace in zip(panel.lines, scaling.figure(panel).data[:-1], strict=True):
        assert line.slope is not None
        assert list(trace.error_y.array) == pytest.approx([p.high - p.ms for p in line.points if p.high], rel=1e-4)


def test_only_svg_traces_and_plain_lists(made: Review) -> None:
    for drawn in [*scaling.figures(made), *memory.figures(made)]:
        text = drawn.figure.to_json()
        assert {trace.type for trace in drawn.figure.data} == {"scatter"}
        assert "scattergl" not in text
        assert "bdata" not in text
        assert "NaN" not in text


def test_labels_carry_the_slope_and_keep_clear_of_each_other(made: Review) -> None:
    for panel in made.scaling.panels:
        figure = scaling.figure(panel)
        labels = figure.layout.annotations[: len(panel.lines) + 1]
        assert [one.text for one in labels[:-1]] == [scaling.label(line) for line in panel.lines]
        assert panel.ideal is not None
        assert labels[-1].text == f"ideal {round(panel.ideal.power, 2):g}"
        heights = sorted(one.y * (scaling.HEIGHT - scaling.TOP - scaling.BOTTOM) for one in labels)
        assert all(b - a >= base.LABEL_HEIGHT - 0.1 for a, b in pairwise(heights))


def test_captions_are_the_sections_own_words(made: Review) -> None:
    assert scaling.caption(made) == plain(made.scaling.caption)
    assert memory.caption(made) in plain(made.memory.caption)


def test_predicted_beside_measured_holds_every_case(made: Review) -> None:
    (drawn,) = memory.figures(made)
    assert sum(len(trace.x) for trace in drawn.figure.data) == 128
    low, high = drawn.figure.layout.yaxis.range
    assert all(low < math.log10(y) < high for trace in drawn.figure.data for y in trace.y)
    assert 1 in drawn.figure.layout.yaxis.tickvals


def test_names_are_escaped_for_plotlys_own_markup(tmp_path: Path) -> None:
    cases = [fake_run.make_case("<b>x</b>", "soft", experts=experts) for experts in (4, 8)]
    figure = scaling.figure(review(read_run(fake_run.write_run(tmp_path / "run", cases))).scaling.panels[0])
    assert figure.data[0].name == "&lt;b&gt;x&lt;/b&gt;"
    assert "<b>" not in figure.layout.annotations[0].text


def test_spread_moves_only_what_touches() -> None:
    assert base.spread([10, 50, 90], 13, 0, 100) == [10, 50, 90]
    assert base.spread([50, 50], 10, 0, 100) == [45, 55]
    crowded = base.spread([95, 96, 97, 20], 10, 0, 100)
    assert crowded == pytest.approx([80, 90, 100, 20])
    assert base.spread([], 10, 0, 100) == []


@pytest.mark.parametrize(("low", "high"), [(0.9, 1.1), (0.02, 30), (3, 4), (1e-3, 1e6), (12, 1300)])
def test_ticks_are_few_and_inside(low: float, high: float) -> None:
    ticks = base.decade_ticks(low, high)
    assert 1 <= len(ticks) <= 6
    assert all(low * 0.999 <= tick <= high * 1.001 for tick in ticks[:-1])


def test_the_ratio_scale_holds_what_it_must() -> None:
    assert ratio_scale([0.98, 1.01]).reach == 1.25
    assert ratio_scale([0.3, 0.9, 1.1, 3.5]).reach == 4
    assert ratio_scale([0.01, 0.9, 1.1, 1.2]).reach == 1.25
    assert ratio_scale([0.9], held=[9.0]).reach == 10
    assert ratio_scale([]).reach == min(TICKS)
    assert [tick.text for tick in ratio_scale([1.9]).ticks] == ["0.5", "0.7", "1", "1.4", "2"]


def test_a_glyph_stands_where_its_ratio_is() -> None:
    scale = ratio_scale([1.9])
    assert glyph(scale, 1.0, None).needle == pytest.approx(50)
    assert glyph(scale, 2.0, None).needle == pytest.approx(98)
    far = glyph(scale, 9.0, None)
    assert (far.needle, far.arrow) == (None, "right")
    assert glyph(scale, 0.1, None).arrow == "left"
    assert band(scale, 0.02) == pytest.approx(scale.at(1.02) - scale.at(1 / 1.02))
    assert band(scale, scale.reach - 1) == 100 - 2 * EDGE
    assert band(scale, math.inf) == 100


def test_a_band_that_would_be_a_hair_is_darker_and_never_thinner_than_can_be_seen() -> None:
    wide, narrow = ratio_scale([1.2]), ratio_scale([9.0])
    page = render("{% import '_macros.j2' as m %}{{ m.band(scale | band) }}", scale=narrow)
    assert page == f'<rect class="band thin" style="--w:{band(narrow, MARGIN):.1f}%" height="100%"/>'
    assert 'class="band"' in render("{% import '_macros.j2' as m %}{{ m.band(scale | band) }}", scale=wide)
    assert "width:max(7px,var(--w))" in asset("base.css")


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_such_a_band_stands_out_from_the_page_by_three_to_one(scheme: int) -> None:
    """What WCAG 2.2 asks of a graphical object (1.4.11)."""
    colour = {name: re.findall(rf"--{name}:(#\w+)", asset("base.css"))[scheme] for name in ("same", "bg")}
    dark, light = sorted(map(luminance, colour.values()))
    assert (light + 0.05) / (dark + 0.05) >= 3


def luminance(colour: str) -> float:
    """Return WCAG's relative luminance of `#rrggbb`."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def render(template: str, **given: object) -> str:
    return environment().from_string(template).render(**given)


def test_along_the_input_a_point_tells_its_tokens_a_second_and_elsewhere_not(made: Review) -> None:
    panels = {panel.axis: panel for panel in made.scaling.panels}
    rates = {row.subject.id: row.rate.text for row in made.cases.rows}
    along, across = scaling.figure(panels["batch"]), scaling.figure(panels["experts"])
    told = [point for trace in along.data if trace.customdata for point in trace.customdata]
    assert told
    assert all(rates[case] == rate for _, _, case, rate in told)
    assert "%{customdata[3]} tokens/s" in along.layout.template.data.scatter[0].hovertemplate
    assert {len(point) for trace in across.data for point in trace.customdata or ()} == {3}
    assert "tokens/s" not in across.layout.template.data.scatter[0].hovertemplate


def test_what_leaves_a_scale_is_led_off_it() -> None:
    scale = ratio_scale([1.9])
    assert glyph(scale, 1.2, Interval(1.2, 0.9, 1.9)).cut == ()
    assert glyph(scale, 1.2, Interval(1.2, 0.9, 7.0)).cut == ("right",)
    assert glyph(scale, 1.2, Interval(1.2, 0.1, 7.0)).cut == ("left", "right")
    mean = range_of(Mean("Soft MoE", "dense FFN", 4, "equal FLOPs", 5.59, 1.3, 9.57), scale)
    assert (mean.needle, mean.arrow, mean.cut) == (None, "right", ("right",))


def test_a_bar_that_leaves_its_scale_ends_in_a_point(tmp_path: Path) -> None:
    def swing(case: Case, record: dict[str, Any]) -> dict[str, Any]:
        return timed(record, [1.0, 30.0, 0.03, 20.0, 0.05] if case.layer == "soft" else [1.0] * 5)

    found = review(read_run(fake_run.write_run(tmp_path / "run", fake_run.quick_cases(), edit=swing)))
    body = render_page(narrowed(found, ["ratios"])).partition("</style>")[2]
    assert " to-left to-right" in body
    assert "leads off the scale" in plain(found.ratios.caption)


def test_linear_ticks_hold_the_top() -> None:
    for top in (0.3, 7.0, 99.0, 1234.0):
        end, marks = linear_ticks(top)
        assert end >= top
        assert marks[0] == 0
        assert 2 <= len(marks) <= 6


def test_marks_of_one_family_differ_by_filling() -> None:
    steps = identities([("a", "token_choice"), ("b", "expert_choice"), ("c", "soft"), ("d", "token_choice")])
    assert [(i.family, i.step) for i in steps.values()] == [("sparse", 0), ("sparse", 1), ("soft", 0), ("sparse", 2)]
    symbols = [(marker("sparse", step)["symbol"], marker("sparse", step)["color"]) for step in range(4)]
    assert len(set(symbols)) == 4
