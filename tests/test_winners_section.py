from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.case import Case
from reports.page import render_page
from reports.read import read_run
from reports.review import Review, review
from reports.sections.winners import Winners
from reports.sections.winners_cells import ahead, short, tie
from reports.words import plain
from tests import fake_run


def made(folder: Path, cases: list[Case], edit: fake_run.Edit | None = None) -> Review:
    return review(read_run(fake_run.write_run(folder, cases, edit=edit)))


def timed(rounds: dict[str, list[float]]) -> fake_run.Edit:
    """Return an edit that gives each variant these rounds."""

    def edit(case: Case, record: dict[str, Any]) -> dict[str, Any]:
        mine = rounds[case.variant]
        middle = sorted(mine)[len(mine) // 2]
        record["metrics"]["latency_ms"] = {
            "value": middle,
            "low": min(mine),
            "high": max(mine),
            "n": 60,
            "rounds": mine,
        }
        return record

    return edit


def peers(**axes: Any) -> list[Case]:
    """Three variants of equal FLOPs at 8 experts."""
    return [
        fake_run.make_case("a", "token_choice", experts=8, top_k=1, **axes),
        fake_run.make_case("b", "token_choice", experts=8, top_k=1, backend="loop", **axes),
        fake_run.make_case("c", "expert_choice", experts=8, **axes),
    ]


STEADY = [1.0, 1.01, 0.99, 1.0, 1.01, 0.99]


def times(value: float) -> list[float]:
    return [value * one for one in STEADY]


def only_cell(section: Winners) -> Any:
    ((cell,),) = [row.cells for row in section.maps[0].rows]
    return cell


def test_the_fastest_beyond_noise_wins_alone(tmp_path: Path) -> None:
    section = made(tmp_path / "run", peers(), timed({"a": times(10), "b": times(8), "c": times(12)})).winners
    cell = only_cell(section)
    assert (cell.winner.variant, cell.ties, cell.contestants) == ("b", (), 3)
    assert cell.next.value == pytest.approx(0.8)
    assert plain(section.finding) == "Of layers with experts (size S, forward), b is fastest in 1 of 1 contest."
    assert plain(section.caption).startswith("B with 8 experts has the widest lead: 0.80")
    assert section.comparisons == 2


def test_two_whose_rounds_overlap_tie_and_the_third_is_left_out(tmp_path: Path) -> None:
    swing = [8.0, 10.0, 12.0, 9.0, 11.0, 10.0]
    section = made(tmp_path / "run", peers(), timed({"a": swing, "b": swing[::-1], "c": times(40)})).winners
    cell = only_cell(section)
    assert {cell.winner.variant, *(subject.variant for subject in cell.ties)} == {"a", "b"}
    assert tie(cell).startswith("tie of 2: ")
    assert "next" not in ahead(cell)
    assert plain(section.finding) == (
        "Of layers with experts (size S, forward), none is fastest beyond noise in any of 1 contest."
    )


def test_the_same_within_two_per_cent_is_a_tie(tmp_path: Path) -> None:
    section = made(tmp_path / "run", peers(), timed({"a": times(10), "b": times(10.05), "c": times(20)})).winners
    assert [subject.variant for subject in only_cell(section).ties] == ["b"]


def test_a_layer_wins_nothing_over_itself(tmp_path: Path) -> None:
    """Of equal FLOPs top-2 has only its other capacity to meet, and is faster than that."""
    own = [
        fake_run.make_case("twice", "token_choice", experts=8, top_k=2, capacity_factor=factor)
        for factor in (None, 1.25)
    ]
    edit = timed({"a": times(10), "b": times(8), "c": times(12), "twice": times(20)})
    section = made(tmp_path / "run", [*peers(), *own], edit).winners
    assert sorted(row.variants for row in section.maps[0].rows) == [1, 3]
    assert plain(section.finding) == "Of layers with experts (size S, forward), b is fastest in 1 of 1 contest."
    assert "A layer that meets but itself is counted neither" in plain(section.caption)
    assert plain(section.caption).startswith("B with 8 experts has the widest lead: ")
    alone = made(tmp_path / "alone", own, edit).winners
    assert "in any of 1 contest." in plain(alone.finding)
    assert "meets but itself" not in plain(alone.caption)


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Review:
    return made(tmp_path_factory.mktemp("run") / "quick", fake_run.quick_cases())


def test_only_layers_of_equal_flops_and_experts_meet(quick: Review) -> None:
    flops = {row.subject.id: row.flops.value for row in quick.cases.rows}
    cells = [cell for one in quick.winners.maps for row in one.rows for cell in row.cells if cell]
    assert len(cells) == 32
    for cell in cells:
        if cell.next:
            assert flops[cell.next.reference.id] == pytest.approx(flops[cell.winner.id], rel=0.1)
            assert cell.next.reference.detail.split(",")[0] == cell.winner.detail.split(",")[0]
    assert not any(cell.winner.family == "dense" for cell in cells)


def test_the_winner_has_the_lowest_estimate_of_its_contest(quick: Review) -> None:
    latency = {row.subject.id: row.latency.value for row in quick.cases.rows}
    for one in quick.winners.maps:
        for cell in (cell for row in one.rows for cell in row.cells if cell):
            assert cell.ms == latency[cell.winner.id]
            assert all((latency[subject.id] or 0) >= cell.ms for subject in cell.ties)


def test_maps_differ_in_what_is_not_tokens(quick: Review) -> None:
    assert [one.where for one in quick.winners.maps] == [
        "size S, forward", "size Ti, forward", "size S, forward and backward", "size Ti, forward and backward",
    ]  # fmt: skip
    assert quick.winners.maps[0].columns == ("batch 1, 64 tokens", "batch 8, 512 tokens")
    assert [row.experts for row in quick.winners.maps[0].rows] == [8, 8, 32, 32]


def test_where_no_two_have_equal_flops_all_meet_and_the_caption_says_so(tmp_path: Path) -> None:
    section = made(tmp_path / "run", fake_run.sweep_cases()).winners
    assert not section.equal
    assert [row.experts for row in section.maps[0].rows] == [4, 8, 16, 32, 64]
    assert "no two of them have equal FLOPs" in plain(section.caption)


def test_a_dense_ffn_alone_has_no_winner(tmp_path: Path) -> None:
    section = made(tmp_path / "run", [fake_run.make_case("dense", "dense")]).winners
    assert section.missing == "No two layers with experts were timed at one setting with the same number of experts."


def test_the_backend_is_named_where_there_are_several(tmp_path: Path) -> None:
    section = made(tmp_path / "run", peers(), timed({"a": times(10), "b": times(8), "c": times(12)})).winners
    assert only_cell(section).backend == "loop"
    assert "loop" in ahead(only_cell(section))


def test_each_cell_of_the_page_names_its_winner_in_words(quick: Review) -> None:
    page = render_page(quick)
    table = page[page.index("fold wins") :]
    table = table[: table.index("</table>")]
    for row in quick.winners.maps[0].rows:
        for cell in row.cells:
            assert cell is not None
            assert (tie(cell) if cell.ties else f">{short(cell.winner)}<") in table
