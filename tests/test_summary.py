from __future__ import annotations

from pathlib import Path

from reports.markdown import text
from reports.read import read_run
from reports.review import review
from reports.summary import render_summary
from tests import fake_run
from tests.test_page import hostile_run


def test_the_summary_says_what_the_first_screen_says(tmp_path: Path) -> None:
    made = review(read_run(fake_run.write_run(tmp_path / "run", fake_run.quick_cases())))
    summary = render_summary(made)
    assert summary.startswith("# Dense, sparse and Soft MoE at equal active FLOPs\n\nAt size S, batch 8, forward: ")
    assert "All 128 cases are ok." in summary
    for card in made.cards:
        assert card.big in summary
    assert summary.count("\n| ") >= len(made.cards) + 10
    assert "harness run quick --device cpu" in summary
    assert len(summary.encode()) < 60_000


def test_failures_are_listed_with_their_reason(tmp_path: Path) -> None:
    run = fake_run.write_run(tmp_path / "run", fake_run.quick_cases(),
                             edit=lambda _, record: fake_run.fail(record, "oom", "needs 9 GiB"))  # fmt: skip
    summary = render_summary(review(read_run(run)))
    assert "oom, needs 9 GiB" in summary
    assert "- and 104 more" in summary


def test_nothing_in_a_name_marks_up(tmp_path: Path) -> None:
    assert text("a|b *c* <d>\n# e") == r"a\|b \*c\* \<d\> \# e"
    summary = render_summary(review(read_run(hostile_run(tmp_path / "run"))))
    outside = summary.split("```")[0]
    assert "<script>" not in outside
    assert r"\<script\>" in outside
