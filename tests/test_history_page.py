"""The history's page, its Markdown and its JSON: three printers of one History."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from harness.case import Case
from harness.judge.stats import Interval
from reports import render_history
from reports.history import axes, figures, words
from reports.history.history import History
from reports.history.page import MEMBERS, render_page
from reports.history.stops import Stop, dates
from reports.history.text import render_summary
from reports.markup.assets import plotly_js
from reports.words import plain
from tests import fake_history, fake_run
from tests.test_history import made, peak, slow, torch_changes
from tests.test_page import HOSTILE, Page


def mixed(run: int, case: Case, record: dict[str, Any]) -> float:
    """A slow-down, a byte more, a bad night and a drift."""
    drift = 1 + 0.01 * run if case.variant == "dense" else 1.0
    return slow(run, case, record) * peak(run, case, record) * drift * (1.4 if run == 4 else 1.0)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> History:
    return made(tmp_path_factory.mktemp("runs"), mixed, number=20)


@pytest.fixture(scope="module")
def source(found: History) -> str:
    return render_page(found)


def test_the_page_says_what_the_history_says(found: History, source: str) -> None:
    text = " ".join("".join(Page(source).text).split())
    for section in found.sections:
        assert plain(section.finding) in text
        assert plain(section.caption).split(". ", maxsplit=1)[0] in text
    assert plain(found.answer) in text
    for stop in found.runs.stops:
        assert stop.name in text
        assert stop.commit in text


def test_the_first_sentence_of_a_caption_is_the_finding(found: History) -> None:
    for section in (found.changes, found.trends):
        assert plain(section.caption).startswith(plain(section.finding))


def test_the_page_asks_for_nothing_and_is_the_same_each_time(found: History, source: str) -> None:
    own = source.replace(plotly_js(), "")
    assert "http://" not in own
    assert "https://" not in own
    assert all(link.startswith(("#", "data:,", "method.html")) for link in Page(source).links)
    assert render_page(found) == source
    assert len(own) < 200_000


def test_every_figure_has_its_place_its_json_and_its_table(found: History, source: str) -> None:
    page = Page(source)
    drawn = [given["data-fig"] for given, _ in page.scripts if "data-fig" in given]
    assert drawn == [f"trend-{number}" for number in range(1, found.trends.drawn + 1)]
    assert set(drawn) <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    tables = source.split("<details class=data>")[1:]
    assert len(tables) == len({line.subject.variant for line in found.trends.lines[: found.trends.drawn]})
    assert all(table.count("<td>quick-") == len(found.runs.stops) for table in tables)


def test_headings_are_in_order(source: str) -> None:
    headings = Page(source).headings
    assert headings[0] == "h1"
    assert headings.count("h1") == 1
    assert headings.count("h2") == 3


def test_a_chart_marks_the_change_and_the_night(found: History) -> None:
    line = next(line for line in found.trends.lines if line.subject.variant == "top-2" and line.shifts)
    drawn = figures.figure(line, found)
    assert [shape.x0 for shape in drawn.layout.shapes] == [8.5]
    assert [label.text for label in drawn.layout.annotations][1:] == [f"+{_per_cent(line.shifts[0].change)}"]
    level, usual, alone = drawn.data
    assert list(alone.x) == [4]
    assert 4 not in usual.x
    assert [x for x in level.x if x is not None] == [-0.4, 8.4, 8.6, 19.4]
    assert {trace.type for trace in drawn.data} == {"scatter"}


def _per_cent(change: Any) -> str:
    return words.percent(change.ratio).partition(" [")[0]


def test_a_chart_marks_another_environment(tmp_path: Path) -> None:
    split = made(tmp_path, None, torch_changes)
    shape = figures.figure(split.trends.lines[0], split).layout.shapes[0]
    assert (shape.x0, shape.line.dash) == (8.5, "2px,3px")


def test_what_has_no_noise_stands_on_zero(found: History) -> None:
    line = next(line for line in found.trends.lines if line.metric == "memory_peak_bytes")
    drawn = figures.figure(line, found)
    assert drawn.layout.yaxis.range[0] == 0
    assert drawn.data[0].line.shape == "hv"


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (9.7, 10.4), (1e-4, 1.3e-4), (3.0, 4000.0)])
def test_ticks_are_round_few_and_inside(low: float, high: float) -> None:
    ticks = axes.round_ticks(low, high)
    assert 2 <= len(ticks) <= axes.TICKS
    assert all(low - 1e-12 <= tick <= high * 1.000001 for tick in ticks)


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (Interval(1.12, 1.10, 1.14), "12 % [10, 14]"),
        (Interval(0.9, 0.88, 0.92), "10 % [8, 12]"),
        (Interval(1.031, 1.028, 1.034), "3.1 % [2.8, 3.4]"),
        (Interval(3.1, 2.9, 3.3), "3.10× [2.90, 3.30]"),
        (Interval(1.5, 1.5, 1.5), "50.0 %"),
        (Interval(1.00001, 1.00001, 1.00001), "less than 0.1 %"),
    ],
)
def test_a_change_is_told_with_its_interval(ratio: Interval, text: str) -> None:
    assert words.percent(ratio) == text


def test_markdown_has_the_answer_and_every_change(found: History) -> None:
    text = render_summary(found)
    unmarked = text.replace("\\", "").replace("**", "")
    assert plain(found.answer) in unmarked
    for group in found.changes.groups:
        assert plain(words.told(group, found.runs.stops))[1:] in unmarked
    assert len(text) < 60_000


def test_a_change_of_many_cases_is_one_row_that_lists_them(tmp_path: Path) -> None:
    cases = [case for case in fake_run.quick_cases() if case.variant == "top-1"][: MEMBERS + 3]
    folders = fake_history.write(
        tmp_path, 12, plant=lambda run, case, record: 1.3 if run >= 6 else 1.0, of=[*cases, *fake_history.cases()]
    )
    rendered = render_history(folders, html=tmp_path / "h.html")
    source = rendered.html.read_text("utf-8")
    assert f"{MEMBERS + 3} of its {MEMBERS + 3} cases" in source
    assert "and 3 more in the data beside this page" in source
    data = json.loads(rendered.data.read_text("utf-8"))
    rows = {group["shifts"][0]["subject"]["variant"]: len(group["shifts"]) for group in data["changes"]["groups"]}
    assert rows["top-1"] == MEMBERS + 3


def test_a_page_draws_so_many_trends_and_says_how_many_are_left_out(tmp_path: Path) -> None:
    folders = fake_history.write(
        tmp_path, 8, plant=lambda run, case, record: 1.5 if run >= 4 else 1.0, of=fake_run.quick_cases()[:40]
    )
    rendered = render_history(folders, html=tmp_path / "h.html")
    assert "Drawn are 24 of 80" in rendered.html.read_text("utf-8")
    assert "16 more that changed" in rendered.html.read_text("utf-8")


def test_hostile_text_is_text(tmp_path: Path) -> None:
    cases = [fake_run.make_case(HOSTILE, "dense"), *fake_history.cases()]
    folders = fake_history.write(
        tmp_path,
        6,
        of=cases,
        plant=lambda run, case, record: 2.0 if run >= 3 else 1.0,
        top=lambda run: {"harness": {"commit": "<b>x", "dirty": True}, "device": {"name": f"{HOSTILE}{run // 4}"}},
    )
    source = render_history(folders, html=tmp_path / "h.html", title=HOSTILE).html.read_text("utf-8")
    own = source.replace(plotly_js(), "")
    assert "<script>alert(1)" not in own
    assert re.search(r"&lt;script&gt;alert\(1\)", own)


def test_runs_without_any_numbers_are_a_page_too(tmp_path: Path) -> None:
    def broken(run: int, case: Case, record: dict[str, Any]) -> float:
        kept = fake_run.fail(record, "oom", "needs 9 GiB")
        record.clear()
        record.update(kept)
        return 1.0

    rendered = render_history(fake_history.write(tmp_path, 3, plant=broken), html=tmp_path / "h.html")
    assert rendered.verdict.startswith("No change can be told over 3 runs")
    assert "No number was taken in two runs." in rendered.html.read_text("utf-8")


def test_two_runs_are_enough_for_what_has_no_noise(tmp_path: Path) -> None:
    folders = fake_history.write(tmp_path, 2, plant=lambda run, case, record: peak(run + 6, case, record))
    assert "peak of memory of soft" in render_history(folders, html=tmp_path / "h.html").verdict


def narrowed(text: str, *runs: int) -> fake_history.Top:
    """Return what lets these runs say --select `text`."""
    suite = fake_run.run_file(fake_history.cases())["suite"]
    return lambda run: {"suite": suite | {"select": text}} if run in runs else {}


def without(folder: Path, variant: str) -> None:
    """Take a variant out of a run, as its --select or its suite would."""
    document = json.loads((folder / "run.json").read_text("utf-8"))
    document["cases"] = [case for case in document["cases"] if case["variant"] != variant]
    (folder / "run.json").write_text(json.dumps(document), "utf-8")
    lines = (folder / "records.jsonl").read_text("utf-8").splitlines()
    kept = [line for line in lines if json.loads(line)["variant"] != variant]
    (folder / "records.jsonl").write_text("".join(f"{line}\n" for line in kept), "utf-8")


@pytest.mark.parametrize("runs", [(7,), (0, 1), (3, 7)])
def test_what_select_left_out_is_not_told_as_gone_or_new(tmp_path: Path, runs: tuple[int, ...]) -> None:
    folders = fake_history.write(tmp_path, 8, top=narrowed("variant != 'dense'", *runs))
    for run in runs:
        without(folders[run], "dense")
    rendered = render_history(folders, html=tmp_path / "h.html")
    data = json.loads(rendered.data.read_text("utf-8"))
    assert data["changes"]["groups"] == []
    told = [stop["told"] for stop in data["runs"]["stops"]]
    assert {run for run, each in enumerate(told) if each} == set(runs)
    assert told[runs[0]] == ["1 case not selected (--select variant != 'dense')"]
    assert "not selected" in rendered.summary.read_text("utf-8")


def test_a_case_that_select_would_have_kept_is_gone(tmp_path: Path) -> None:
    folders = fake_history.write(tmp_path, 8, top=narrowed("variant != 'soft'", 7))
    without(folders[7], "soft")
    without(folders[7], "dense")
    data = json.loads(render_history(folders, html=tmp_path / "h.html").data.read_text("utf-8"))
    gone = [shift for group in data["changes"]["groups"] for shift in group["shifts"]]
    assert [(shift["subject"]["variant"], shift["word"]) for shift in gone] == [("dense", "missing")]


def test_a_group_shows_what_its_cases_were_and_are(tmp_path: Path) -> None:
    """Of several cases the least and the greatest, before and after."""
    found = made(tmp_path, lambda run, case, record: 1.5 if run >= 6 and case.variant == "soft" else 1.0, number=12)
    (group,) = found.changes.groups
    assert len(group.shifts) == 2
    before, after = words.ends_of(group)
    numbers = [[float(number) for number in text.removesuffix(" ms").split(" to ")] for text in (before, after)]
    for told, side in zip(numbers, ("before", "after"), strict=True):
        values = [getattr(shift, side) for shift in group.shifts]
        assert told == [pytest.approx(min(values), rel=0.01), pytest.approx(max(values), rel=0.01)]
    own = " ".join("".join(Page(render_page(found)).text).split())
    assert before in own
    assert after in own


@pytest.mark.parametrize(
    ("started", "labels"),
    [
        (["2026-09-01T02:14:02", "2026-09-02T02:14:02"], ["09-01", "09-02"]),
        (["2026-09-01T02:14:02", "2026-09-01T05:30:02"], ["02:14", "05:30"]),
        (
            ["2026-09-01T02:14:02", "2026-09-01T05:30:02", "2026-09-02T02:14:02"],
            ["09-01 02:14", "09-01 05:30", "09-02 02:14"],
        ),
    ],
)
def test_runs_of_one_day_are_told_apart_by_their_time(started: list[str], labels: list[str]) -> None:
    runs = [Stop(f"run-{n}", moment, "9f3c1ab", 0, 1, 1, ()) for n, moment in enumerate(started)]
    assert dates(runs) == labels


def test_the_charts_of_variants_with_few_of_them_stand_side_by_side(found: History, source: str) -> None:
    shown = found.trends.lines[: found.trends.drawn]
    charts = Counter(line.subject.variant for line in shown)
    widths = Counter(f"n{min(3, number)}" for number in charts.values())
    assert Counter(re.findall(r'class="of (n[123])"', source)) == widths
