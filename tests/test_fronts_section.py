from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.case import Case
from reports.figures import fronts as figure
from reports.figures.base import CHARACTER
from reports.labels import label
from reports.page import render_page
from reports.read import read_run
from reports.review import Review, review
from reports.sections.fronts_points import Front, line_of
from reports.sections.fronts_words import finding
from reports.words import plain
from tests import fake_run


def made(folder: Path, cases: list[Case], edit: fake_run.Edit | None = None, **top: Any) -> Review:
    return review(read_run(fake_run.write_run(folder, cases, edit=edit, **top)))


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Review:
    return made(tmp_path_factory.mktemp("run") / "quick", fake_run.quick_cases())


def brute(front: Front) -> set[str]:
    """Return whom estimates alone leave on the front, capacities within 10 % and costs within 2 % taken as equal."""
    beaten = set()
    for a in front.points:
        for b in front.points:
            cheaper, more = b.cost < a.cost / 1.02, b.capacity > a.capacity * 1.1
            same = abs(b.cost / a.cost - 1) < 0.02
            if b.capacity * 1.1 >= a.capacity and (cheaper or (same and more)):
                beaten.add(a.subject.id)
    return {point.subject.id for point in front.points} - beaten


def test_memory_has_no_noise_and_its_front_is_that_of_brute_force(quick: Review) -> None:
    front = next(front for front in quick.fronts.fronts if front.cost == "memory")
    assert {point.subject.id for point in front.members} == brute(front)
    assert not any(point.standing == "undecided" for point in front.points)


def test_of_times_nobody_is_dominated_whom_the_estimates_leave(quick: Review) -> None:
    for front in quick.fronts.fronts[:2]:
        assert brute(front) <= {point.subject.id for point in front.members}
        for point in front.points:
            assert (point.rival is None) == (point.standing == "front")
            if point.standing == "dominated":
                assert point.ratio is not None
                assert point.ratio.high < 1 or point.ratio.value == pytest.approx(1, abs=0.02)


def test_the_finding_and_the_caption_name_who_is_on_it(quick: Review) -> None:
    section = quick.fronts
    assert plain(section.finding) == "Only Soft MoE is on the front of time against parameters."
    assert plain(section.caption).startswith("On the front, the cheapest first: soft with 8 experts, 1 slot (")
    assert "Nobody’s place on it is in doubt." in plain(section.caption)
    titles = [front.title for front in section.fronts]
    assert titles[:2] == ["Time against parameters", "Time against active FLOPs"]
    assert titles[2:] == ["Memory against parameters", "Energy against parameters"]


def test_all_points_of_a_front_share_their_setting(quick: Review) -> None:
    known = {row.subject.id: row.filters for row in quick.cases.rows}
    for front in quick.fronts.fronts:
        shared = {
            tuple(known[point.subject.id][key] for key in ("size", "batch", "dtype", "pass")) for point in front.points
        }
        assert len(shared) == 1


def test_other_settings_have_their_fronts(quick: Review) -> None:
    assert len(quick.fronts.elsewhere) == 7
    assert all(one.members and one.cases == 16 for one in quick.fronts.elsewhere)


def noisy(case: Case, record: dict[str, Any]) -> dict[str, Any]:
    """All cases alike, in rounds that differ by a factor of three."""
    swing = [1.0, 3.0, 2.0, 1.5, 2.5]
    turn = sum(map(ord, case.id)) % 5
    record["metrics"]["latency_ms"]["rounds"] = swing[turn:] + swing[:turn]
    record["metrics"]["latency_ms"] |= {"value": 2.0 + 0.01 * turn, "low": 1.0, "high": 3.0}
    return record


def test_noise_hides_who_is_on_the_front_and_the_page_says_from_whom(tmp_path: Path) -> None:
    section = made(tmp_path / "run", fake_run.quick_cases(), noisy).fronts
    beaten = [point for point in section.fronts[0].points if point.standing == "dominated"]
    assert all(p.ratio and 1 / 1.02 < p.ratio.low <= p.ratio.high < 1.02 for p in beaten)  # by as fast ones of more
    unsure = [point for point in section.fronts[0].points if point.standing == "undecided"]
    assert f"In doubt are {len(unsure)}" in plain(section.caption)
    assert all(point.words.startswith("not told from ") for point in unsure)


def test_whom_noise_hides_is_said_in_the_heading(quick: Review) -> None:
    sure, other = (
        quick.fronts.fronts[0].members[0],
        next(p for p in quick.fronts.fronts[0].points if p.subject.family == "sparse"),
    )
    front = replace(quick.fronts.fronts[0], points=(sure, replace(other, standing="undecided")))
    assert plain(finding(front)) == (
        "Only Soft MoE is surely on the front of time against parameters; noise hides whether sparse MoE is."
    )


def test_one_family_alone_is_told_by_its_cases(tmp_path: Path) -> None:
    """That it holds the front says nothing where no other could."""
    cases = [fake_run.make_case("soft", "soft", experts=experts) for experts in (4, 8, 16)]
    made_of_it = made(tmp_path / "run", cases).fronts
    standings = [point.standing for point in made_of_it.fronts[0].points]
    assert standings == ["front"] * 3
    assert plain(made_of_it.finding) == "3 of 3 cases are on the front of time against parameters."
    first, *rest = made_of_it.fronts[0].points
    front = replace(made_of_it.fronts[0], points=(first, *(replace(point, standing="undecided") for point in rest)))
    assert plain(finding(front)) == (
        "1 of 3 cases is on the front of time against parameters; noise hides whether 2 more are."
    )


def test_a_run_whose_control_fails_dominates_nobody_by_time(tmp_path: Path) -> None:
    noise = {"cells": 1, "pairs": 5, "ratio": 1.3, "low": 1.2, "high": 1.4, "rounds": 5, "differ": True}
    front = made(tmp_path / "run", fake_run.quick_cases(), noise=noise).fronts.fronts[0]
    assert not any(p.standing == "dominated" and p.ratio and p.ratio.value < 1 / 1.02 for p in front.points)
    assert len(front.members) > 2


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda _, record: fake_run.without(record, "latency"), "No case has latency"),
        (lambda _, record: fake_run.fail(record, "oom", "too large"), "No case has numbers."),
    ],
)
def test_without_times_it_says_why(tmp_path: Path, edit: fake_run.Edit, words: str) -> None:
    section = made(tmp_path / "run", fake_run.quick_cases(), edit).fronts
    assert section.missing is not None
    assert section.missing.startswith(words)


def test_what_was_not_measured_has_no_front(tmp_path: Path) -> None:
    section = made(
        tmp_path / "run", fake_run.quick_cases(), lambda _, r: fake_run.without(r, "energy", "memory")
    ).fronts
    assert [front.cost for front in section.fronts] == ["latency", "latency"]


def test_one_case_alone_has_no_front(tmp_path: Path) -> None:
    section = made(tmp_path / "run", [fake_run.make_case("soft", "soft", experts=8)]).fronts
    assert section.missing == "No two cases at one setting have both a time and a number of parameters."


def test_the_line_rises_and_its_points_are_named(quick: Review) -> None:
    for front in quick.fronts.fronts:
        line = line_of(front.points)
        assert [p.capacity for p in line] == sorted({p.capacity for p in line})
        assert [p.cost for p in line] == sorted(p.cost for p in line)
        drawn = figure.figure(front)
        assert list(drawn.data[0].x) == pytest.approx([p.cost for p in line], rel=1e-4)
        assert {note.text for note in drawn.layout.annotations} == {label(p.subject) for p in line[-figure.NAMED :]}


def test_marks_are_the_families_and_pale_where_dominated(quick: Review) -> None:
    front = quick.fronts.fronts[0]
    drawn = {trace.name: trace for trace in figure.figure(front).data[1:]}
    soft = [point for point in front.points if point.subject.variant == "soft"]
    assert drawn["soft"].marker.symbol == "diamond"
    assert drawn["dense-1"].marker.symbol == "circle"
    assert list(drawn["soft"].marker.opacity) == [figure.PALE if p.standing == "dominated" else 1 for p in soft]
    assert list(drawn["soft"].error_x.array) == pytest.approx([(p.high or 0) - p.cost for p in soft], rel=1e-4)


@pytest.mark.parametrize(
    ("variant", "axes", "text"),
    [("soft", {"experts": 32, "slots": 2}, "soft E32 s2"), ("a-name-longer-than-it-may-be", {}, "a-name-longer-t…")],
)
def test_labels(quick: Review, variant: str, axes: dict[str, int], text: str) -> None:
    from dataclasses import replace

    subject = replace(quick.fronts.subjects[0], variant=variant, detail=", ".join(
        f"{number} {name}" for name, number in axes.items()))  # fmt: skip
    assert label(subject) == text


def test_every_case_of_the_table_says_where_it_stands(quick: Review) -> None:
    page = render_page(quick)
    table = page[page.index('<table class="fold fronts"') :]
    table = table[: table.index("</table>")]
    assert table.count("on the front") == sum(
        point.standing == "front" for front in quick.fronts.fronts for point in front.points
    )
    assert "by soft E8 s1" in table


def test_no_label_lies_over_a_mark_of_its_level_where_there_is_room(quick: Review) -> None:
    """Two cases of one capacity: the name of the dearer ends left of the cheaper one's mark."""
    for front in quick.fronts.fronts:
        drawn = figure.figure(front)
        across, up = drawn.layout.xaxis.range, drawn.layout.yaxis.range
        for note in drawn.layout.annotations:
            width = CHARACTER * len(note.text) * (across[1] - across[0]) / figure.INNER
            level = [
                math.log10(point.low or point.cost)
                for point in front.points
                if abs((math.log10(point.capacity) - up[0]) / (up[1] - up[0]) - note.y) * figure.ROOM_UP < 6
            ]
            over = [x for x in level if note.x - width < x < note.x - 1e-4]
            assert not over or note.x - width - 0.1 < across[0], (front.title, note.text)
