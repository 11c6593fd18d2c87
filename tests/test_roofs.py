"""The names of the roofs: beside their roofs, within the chart, and over no mark."""

from __future__ import annotations

import math

import pytest

from reports.figures.base import CHARACTER, LABEL_HEIGHT
from reports.figures.roofline import figure
from reports.figures.roofs import NARROWEST, WIDEST, left_of, names
from reports.sections.roofline_points import Point, Roof
from reports.subjects import Subject

ROOF = Roof(398e9, 28.3e9)
INNER = 270.0
RIDGE = math.log10(ROOF.ridge)
ACROSS = (left_of(RIDGE, 2.4, 0.3, ROOF), 2.4)
UP = (9.8, 11.8)


def test_each_roof_is_named_by_its_ceiling_and_ends_on_it() -> None:
    copying, products = names(ROOF, [(4.0, 1e11)], ACROSS, UP, INNER)
    assert (copying["text"], products["text"]) == ("28.3 GB/s", "398 GFLOP/s")
    assert copying["y"] == pytest.approx(math.log10(ROOF.at(10 ** float(str(copying["x"])))), abs=1e-3)
    assert (products["x"], products["y"]) == (pytest.approx(ACROSS[1]), pytest.approx(math.log10(398e9), abs=1e-3))


@pytest.mark.parametrize("width", [NARROWEST, WIDEST])
def test_the_name_of_the_sloping_roof_is_not_cut_off(width: int) -> None:
    copying, _ = names(ROOF, [], ACROSS, UP, INNER)
    end = (float(str(copying["x"])) - ACROSS[0]) / (ACROSS[1] - ACROSS[0]) * width
    assert end >= CHARACTER * len("28.3 GB/s")


def test_a_long_roof_needs_no_more_room() -> None:
    assert left_of(RIDGE, 2.4, -3.0, ROOF) == -3.0


def test_the_name_moves_away_from_a_point_above_the_roof() -> None:
    free, _ = names(ROOF, [], ACROSS, UP, INNER)
    x, y = float(str(free["x"])), float(str(free["y"]))
    point = 10 ** (x - 0.05), 10 ** (y + 0.05)
    moved, _ = names(ROOF, [point], ACROSS, UP, INNER)
    assert moved["x"] != free["x"]


def test_the_flat_roofs_name_stands_above_what_cannot_be() -> None:
    _, products = names(ROOF, [(100.0, 5e11)], ACROSS, UP, INNER)
    gap = (float(str(products["y"])) - math.log10(5e11)) / (UP[1] - UP[0]) * INNER
    assert 0 < gap < LABEL_HEIGHT


def test_the_ridge_is_marked_from_the_axis_to_where_the_roofs_meet() -> None:
    subject = Subject("soft", "soft", 0, "8 experts", "soft-8")
    drawn = figure([Point(subject, "experts", 4e9, 1e9, 0.8, None, "memory", "below")], ROOF)
    (ridge,) = drawn.layout.shapes
    assert ridge.x0 == ridge.x1 == pytest.approx(ROOF.ridge, rel=1e-4)
    assert ridge.y1 == pytest.approx(ROOF.flops_per_s, rel=1e-4)
    assert math.log10(ridge.y0) == pytest.approx(drawn.layout.yaxis.range[0], abs=1e-3)
    assert [note.text for note in drawn.layout.annotations] == ["28.3 GB/s", "398 GFLOP/s"]
