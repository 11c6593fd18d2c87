"""The report's memory section: bars that add up by role, and sentences that say what the numbers do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.case import Case
from harness.metrics import show_bytes
from reports.markup.shapes import ROLE_CLASS, stack
from reports.page import render_page
from reports.read import read_run
from reports.review import review
from reports.sections.bars import ROLES
from reports.sections.memory import Memory
from tests.fake_run import Edit, make_case, quick_cases, without, write_run


def section(folder: Path, cases: list[Case], edit: Edit | None = None) -> Memory:
    return review(read_run(write_run(folder, cases, edit=edit))).memory


def said(memory: Memory) -> str:
    return "".join(span.text for span in memory.caption)


def setting(metric: str, value: float, variant: str = "soft") -> Edit:
    """An edit that sets one metric in the records of one variant."""

    def edit(case: Case, record: dict[str, Any]) -> dict[str, Any]:
        if case.variant == variant:
            record["metrics"][metric] = record["metrics"][metric] | {"value": value}
        return record

    return edit


def test_a_bars_roles_are_all_that_stands_at_the_peak(tmp_path: Path) -> None:
    memory = section(tmp_path, quick_cases())
    assert memory.roles == ("weights", "inputs", "saved", "gradients", "in flight", "workspace")
    assert memory.columns == ("weights", "saved", "gradients", "in flight", "workspace")
    for bar in memory.bars:
        assert bar.total == bar.weights + bar.roles["inputs"] + bar.peak
        parts = list(stack(bar, memory.top))
        assert [cls for _, _, cls in parts] == [ROLE_CLASS[role] for role in bar.roles]
        assert sum(width for _, width, _ in parts) == pytest.approx(100 * bar.total / memory.top)


def test_a_training_steps_optimizer_stands_in_its_bar(tmp_path: Path) -> None:
    memory = section(tmp_path, [make_case("dense", "dense", pass_="train"), make_case("soft", "soft", experts=8)])
    (bar,) = memory.bars
    assert bar.roles["optimizer"] == 2 * bar.weights
    assert bar.total == 3 * bar.weights + bar.roles["inputs"] + bar.peak


def test_a_forward_pass_saves_nothing_and_has_no_gradients(tmp_path: Path) -> None:
    memory = section(tmp_path, [make_case("dense", "dense"), make_case("soft", "soft", experts=8)])
    assert memory.roles == ("weights", "inputs", "in flight", "workspace")


def test_a_peak_that_was_not_told_apart_is_saved_and_rest(tmp_path: Path) -> None:
    """As in compiled cases, and in runs of versions that did not look."""
    names = [metric for role, metric in ROLES.items() if role not in ("weights", "rest of the peak")]
    cases = [make_case("dense", "dense", pass_="forward_backward")]
    memory = section(tmp_path, cases, lambda _, record: without(record, *names, "memory_fake"))
    (bar,) = memory.bars
    assert list(bar.roles) == ["weights", "saved", "rest of the peak"]
    assert bar.roles["saved"] + bar.roles["rest of the peak"] == bar.peak
    assert "inside themselves" not in said(memory)
    assert "Fake tensors" not in said(memory)


def test_the_caption_names_the_most_workspace(tmp_path: Path) -> None:
    cases = [make_case("dense", "dense"), make_case("soft", "soft", experts=8)]
    assert "Workspace, which kernels take inside themselves and no tensor shows, is " in said(
        section(tmp_path / "a", cases)
    )

    def most(case: Case, record: dict[str, Any]) -> dict[str, Any]:
        peak = record["metrics"]["memory_peak_bytes"]["value"]
        part = peak // 2 if case.variant == "soft" else 0
        record["metrics"]["memory_workspace_bytes"]["value"] = part
        record["metrics"]["memory_temporaries_bytes"]["value"] = peak - part
        return record

    memory = section(tmp_path / "b", cases, most)
    assert "is 50 % of the peak of soft-S-e8-s1-b8-f32-forward" in said(memory)


def test_the_caption_says_where_the_peaks_stand(tmp_path: Path) -> None:
    passes = ("forward", "forward_backward", "train")
    cases = [make_case("dense", "dense", pass_=pass_) for pass_ in passes]
    assert "The peak stands in the backward pass in 2 cases and in the experts in 1 case." in said(
        section(tmp_path, cases)
    )


def test_no_workspace_at_all_is_said_as_such(tmp_path: Path) -> None:
    memory = section(tmp_path, [make_case("dense", "dense")], setting("memory_workspace_bytes", 0, "dense"))
    assert "No kernel takes memory of its own" in said(memory)


def test_the_caption_counts_where_fake_tensors_were_right(tmp_path: Path) -> None:
    cases = [make_case("dense", "dense"), make_case("soft", "soft", experts=8)]
    right = "Fake tensors predict the peak without workspace to the byte in all 2 cases they fit."
    assert right in said(section(tmp_path / "a", cases))
    planted = section(tmp_path / "b", cases, setting("memory_fake_bytes", 12))
    assert "to the byte in 1 of 2 cases they fit." in said(planted)


def test_the_page_has_a_key_for_each_role_and_a_column_for_most(tmp_path: Path) -> None:
    page = render_page(review(read_run(write_run(tmp_path, quick_cases()))))
    start = page.index("id=memory>")
    part = page[start : start + 20_000]
    for words in ("saved for backward", ">workspace<", ">Gradients<", ">In flight<", ">Workspace<", ">Total<"):
        assert words in part, words


def test_the_total_that_the_heading_speaks_of_has_a_column(tmp_path: Path) -> None:
    made = review(read_run(write_run(tmp_path, quick_cases())))
    heading, page = "".join(span.text for span in made.memory.finding), render_page(made)
    part = page[page.index("id=memory>") :]
    total = show_bytes(max(bar.total for bar in made.memory.bars))
    assert f"needs {total}, " in heading
    assert f"<td><b>{total}</b>" in part[: part.index("</table>")].replace("\u00a0", " ")


def test_the_card_holds_the_heaviest_against_the_dense_ffn_of_its_flops(tmp_path: Path) -> None:
    """Two dense FFNs, the smaller one first: top-2 does as much as the wider."""
    made = review(read_run(write_run(tmp_path, quick_cases())))
    (card,) = (card for card in made.cards if card.kind == "memory")
    heaviest = max(bar.total for bar in made.memory.bars)
    (wide,) = (bar.total for bar in made.memory.bars if bar.subject.variant == "dense-2")
    assert [name.text for name in card.title] == ["top-2", "dense-2"]
    assert card.value == heaviest / wide
    assert " at equal FLOPs, " in card.text
