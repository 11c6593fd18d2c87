"""The night on a page: the verdict first, at most 60 KB, and what is left out is counted."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from harness.nightly.night import Ended, Side
from harness.nightly.summary import LIMIT, REPORT_LIMIT, render, write_summary
from harness.nightly.tables import Block, cell, change, fit
from harness.nightly.why import why
from tests.nights import HERE, gate, night, row, slower


def test_a_clean_night_says_so_first() -> None:
    page = render(night(), gate(rest=[row("a", "params", "same")]))
    assert page.startswith("# ✓ nothing is worse: quick on Test CPU (invented)\n\n**Of 4 numbers, none")
    assert "1 numbers compared: 1 same." in page
    assert "## " not in page


def test_what_is_worse_stands_first_with_its_numbers_and_how_to_measure_it_again() -> None:
    faster = row("d", "latency_ms", "faster", base=2.0, candidate=1.0)
    told = gate([slower("b-e8"), row("c", None, "failed", why="oom: | out of\nmemory")], [faster])
    page = render(night(code=1, vanished=("v",), appeared=("n",)), told)
    titles = [line for line in page.splitlines() if line.startswith("#")]
    assert titles == [
        "# ✗ regression: quick on Test CPU (invented)",
        "## Worse: 2",
        "## Only the baseline has: 1",
        "## Only tonight's run has: 1",
        "## Better: 1",
    ]
    assert "| b-e8 | latency\\_ms | ✗ slower | 1.10× \\[1.09, 1.11\\] | 1.00 ms | 1.10 ms |" in page
    assert "| c |  | ! failed: oom: \\| out of memory |  |  |  |" in page
    assert """harness run quick --device cpu --select "id in ['b-e8', 'c']"\n""" in page


def test_a_claim_that_turned_is_told_with_what_it_was() -> None:
    told = gate()
    told["gate"]["claims"] = [
        {"id": "soft-flat", "before": "confirmed", "after": "refuted", "alert": "fail"},
        {"id": "new", "before": None, "after": "refuted", "alert": "warn"},
    ]
    page = render(night(code=1), told)
    assert "## Claims that turned: 2" in page
    assert "| soft-flat |  | ✗ refuted: it was confirmed |" in page
    assert "| new |  | ✗ refuted: it is new |" in page
    assert why(1, "quick", HERE, HERE, (), told).endswith("but 1 claim of the suite is newly refuted.")


def test_another_machine_is_told_before_the_counts() -> None:
    other = {"name": "device.name", "base": "A100", "candidate": "H200", "forbids": "another device"}
    page = render(night(code=4, base=Side("A100", "abc", "2026", "x")), gate(differences=[other]))
    assert page.startswith("# ≠ not comparable")
    assert "- differs: device.name: A100, then H200 (another device)" in page
    assert page.index("differs") < page.index("numbers compared")


def test_a_first_night_has_nothing_to_compare_with() -> None:
    page = render(night(base=None, baseline=None, why="There is nothing."), None, "# Title\n\ntext")
    assert page.startswith("# · nothing to compare with: quick")
    assert "gate.json" not in page
    assert page.endswith("## Title\n\ntext\n")


def test_a_night_that_measured_nothing_has_a_page() -> None:
    page = render(night(code=5, base=None, candidate=None, steps=(Ended("run", 5, 0.1, "no GPU"),)), None)
    assert page.startswith("# ! no such device: quick\n")
    assert "| harness run | 5 | 0 s | no GPU |" in page


@pytest.mark.parametrize("number", [1, 50, 400, 20_000])
def test_however_many_cases_it_stays_within_its_limit_and_counts_what_it_left_out(number: int) -> None:
    failures = [slower(f"top-2-S-e{index}-✓") for index in range(number)]
    better = [row(f"better-{index}", "latency_ms", "faster") for index in range(number)]
    long = "\n".join(f"line {index}" for index in range(10_000))
    page = render(night(code=1, vanished=tuple(f"v{index}" for index in range(number))), gate(failures, better), long)
    assert len(page.encode()) <= LIMIT
    shown = sum("✗ slower" in line for line in page.splitlines())
    assert f"## Worse: {number}" in page
    if shown < number:
        assert f"{number - shown} more are left out here; gate.json has all." in page
    assert "lines stand in `run/summary.md`" in page
    if number == 20_000:
        assert len(page.encode()) > 0.95 * LIMIT
        assert shown > 200
        assert "- v0" not in page  # what weighs less gives way


def test_the_runs_own_summary_is_cut_by_whole_lines() -> None:
    page = render(night(), None, "\n".join("x" * 99 for _ in range(1000)))
    own = [line for line in page.splitlines() if set(line) == {"x"}]
    assert {len(line) for line in own} == {99}
    assert 0 < len(own) * 100 <= REPORT_LIMIT


def test_rows_fill_what_is_left_in_the_order_of_their_weight() -> None:
    blocks = [Block("A", ("1" * 10,) * 5), Block("empty", ()), Block("B", ("2" * 10,) * 5)]
    text = fit(blocks, 160, "all.json")
    assert text.count("1" * 10) > text.count("2" * 10)
    assert "empty" not in text
    assert len(text.encode()) <= 160
    with pytest.raises(ValueError, match="2 headings do not fit into 10 bytes"):
        fit(blocks, 10, "all.json")


@pytest.mark.parametrize("words", ["<script>alert(1)</script>", "a|b", "[x](http://y)", "**b**", "`c`", "~~d~~", "# e"])
def test_nothing_in_a_name_marks_up(words: str) -> None:
    page = MarkdownIt("gfm-like", {"linkify": False}).render(f"| x |\n| --- |\n| {cell(words)} |")
    assert set(re.findall(r"<(\w+)", page)) == {"table", "thead", "tbody", "tr", "th", "td"}
    assert len(cell("x" * 1000)) == 240


def test_what_is_no_metric_of_a_case_is_a_row_too() -> None:
    line = change({"claim": "soft-flat", "verdict": "refuted", "why": "it grows"})
    assert line == "| soft-flat |  | ✗ refuted: it grows |  |  |  |"


def test_the_page_is_written_from_the_folder(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "summary.md").write_text("# The run\n")
    (tmp_path / "gate.json").write_text(json.dumps(gate([slower("a")])))
    page = write_summary(tmp_path, night(code=1, candidate=HERE)).read_text()
    assert "## Worse: 1" in page
    assert "In the night's folder: `gate.json`, `run/`." in page
    assert page.endswith("## The run\n")


def test_a_case_whose_name_a_shell_would_read_is_quoted() -> None:
    page = render(night(code=1), gate([slower("$(reboot)")]))
    assert """--select 'id in ['"'"'$(reboot)'"'"']'""" in page
