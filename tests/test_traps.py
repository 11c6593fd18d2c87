"""What reports of the field got wrong, each with the test that holds ours to better: a trap without one fails here."""

from __future__ import annotations

import ast
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from harness.case import Case
from reports import render
from reports.markup.packed import unpacked
from tests import fake_run

HERE = Path(__file__).parent

TRAPS: dict[str, str] = {
    # traps that were seen
    "a button hands the figure to a cloud": "test_page::test_the_cloud_button_is_off",
    "the same, in a browser": "browser/test_page_in_chromium::test_the_page_is_quiet_and_fits",
    "a script's end in the data": "test_page::test_hostile_text_is_text",
    "no escaping, or by the wrong extension": "test_page::test_everything_is_escaped_by_default",
    "NaN in JSON": "test_traps::test_no_number_of_the_page_is_nan",
    "the page differs each time": "test_page::test_a_second_render_has_the_same_bytes",
    "unit or direction in two places": "test_units::test_units_and_directions_are_declared_in_one_place",
    "a verdict by the smallest, or by a fixed ratio": "test_false_alarms::"
    "test_of_sweeps_of_equals_one_in_twenty_alarms_at_most",
    "outliers are dropped": "test_samples::test_outliers_are_counted_and_kept",
    "different machines are compared": "test_versus::test_another_machine_forbids_ratios_but_not_counts",
    "missing cases vanish": "test_against::test_failed_missing_and_new_cases_have_rows_of_their_own",
    "exit 0 on a regression": "test_verdicts::test_exit_codes",
    "pale verdicts in print": "browser/test_paper::test_paper_is_never_pale",
    "31 pages of rows": "browser/test_paper::test_the_table_of_all_cases_is_left_off_and_says_so",
    "charts by WebGL": "test_figures::test_only_svg_traces_and_plain_lists",
    "progress floods a log": "test_progress::test_ci_is_never_a_terminal",
    "issues that nobody reads": "test_nightly_issue::"
    "test_it_is_edited_while_it_lasts_and_closed_after_two_clean_nights",
    # what a page must not do
    "a request, or a policy that lets one out": "test_page::test_the_page_asks_for_nothing",
    "a policy that allows more than the page's own": "test_page::test_the_policy_allows_exactly_the_pages_own_scripts",
    "names are markup to the chart library": "test_figures::test_names_are_escaped_for_plotlys_own_markup",
    "a page that grows": "test_page::test_the_page_of_a_noisy_run_stays_small",
    "labels cut off or on each other": "browser/test_page_in_chromium::"
    "test_no_label_of_a_chart_is_cut_off_or_lies_on_another",
    "the same, on paper": "browser/test_paper::test_no_label_is_cut_off_or_lies_on_another_on_paper",
    "families told apart by colour alone": "test_figures::test_lines_wear_their_familys_colour_shape_and_dash",
    "text that fades in the dark": "browser/test_page_in_chromium::test_text_can_be_read_in_both_schemes",
    "verdicts that need JavaScript": "browser/test_page_in_chromium::test_the_verdicts_need_no_javascript",
    "charts without a table or words": "browser/test_accessibility::test_a_screen_reader_is_told_every_chart_and_table",
    "charts that miss on paper": "browser/test_paper::test_verdicts_cards_and_every_figure_are_on_paper",
    # what people ask for
    "is it fine, yes or no, first": "browser/test_first_screen::test_the_reader_is_answered_before_scrolling",
    "noise is hidden, and counted": "test_against::test_two_runs_of_one_code_have_no_regression",
    "how noisy is this run": "test_noise_section::test_the_floor_stands_in_one_sentence_and_a_table",
    "a drift of the whole run": "test_versus::test_a_median_that_half_of_the_times_make_is_not_called_throughout",
    "more than two, with their names": "test_beside::test_names_say_what_tells_runs_apart",
    "the build fails": "test_gate::test_what_is_worse_fails_and_times_are_suspects",
    "the command of each row": "browser/test_page_in_chromium::test_a_row_opens_to_its_command",
    "which environment differs": "test_against::test_comparability_tells_what_differs_first_and_what_is_the_same",
    "tails, not means alone": "test_samples::test_the_tail_is_told_as_far_as_there_are_samples",
}
"""Trap: the test that holds us to better, as file and function."""


@cache
def checks_of(name: str) -> set[str]:
    path = HERE / f"{name}.py"
    tree = ast.parse(path.read_text("utf-8")) if path.is_file() else ast.Module([], [])
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


@pytest.mark.parametrize("trap", TRAPS)
def test_every_trap_has_its_check(trap: str) -> None:
    file, _, function = TRAPS[trap].partition("::")
    assert function in checks_of(file), TRAPS[trap]


def test_no_number_of_the_page_is_nan(tmp_path: Path) -> None:
    """With cases out of memory, and times of nothing, the data of charts and page parse as strict JSON."""

    def edit(case: Case, record: dict[str, Any]) -> dict[str, Any]:
        if case.layer == "soft":
            return fake_run.fail(record, "oom", "out of memory")
        nothing = {"tflops": {"value": 0.0}, "hfu": {"value": 0.0}} if case.layer == "dense" else {}
        return record | {"metrics": record["metrics"] | nothing}

    made = render(fake_run.write_run(tmp_path / "run", fake_run.quick_cases(), edit=edit), html=tmp_path / "page.html")
    charts = unpacked(made.html.read_text("utf-8"))
    assert charts["figures"]
    assert "NaN" not in json.dumps(charts)
    json.loads(made.data.read_text("utf-8"), parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
