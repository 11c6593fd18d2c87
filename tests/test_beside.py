"""Several runs side by side: who is fastest, what may be compared, and that all of it is counted together."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from harness.cli import app
from reports import ReportError, render_beside
from reports.beside import Beside, beside
from reports.beside.columns import names
from reports.beside.judged import judged
from reports.beside.page import render_page
from reports.beside.text import render_summary
from reports.data import render_data
from reports.markup.assets import plotly_js
from reports.read import read_run
from reports.words import plain
from tests import fake_run
from tests.fake_run import Edit
from tests.test_against import ELSEWHERE
from tests.test_page import HOSTILE, Page
from tests.test_versus import CASES, VICTIM, again, only
from tests.test_versus import slow as slow_rounds

HERE = CliRunner()


def write(root: Path, number: int, edit: Edit | None = None, **top: Any) -> Path:
    harness = {"version": "0.1.0", "commit": f"{number:x}f3c1ab41d07", "dirty": False, "source": "a81c77b19d0e"}
    keys: dict[str, Any] = {"started": f"2026-11-2{number}T02:14:02+00:00", "harness": harness}
    return fake_run.write_run(root / f"run-{number}", CASES, edit=again(number, edit), **(keys | top))


def side_by_side(*folders: Path) -> Beside:
    return beside([read_run(folder) for folder in folders])


def shown(found: Beside) -> str:
    return " ".join("".join(Page(render_page(found)).text).split())


def heavier(record: dict[str, Any]) -> dict[str, Any]:
    record["metrics"]["memory_peak_bytes"]["value"] += 65536
    return record


def slow(factor: float) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return an edit of all that a record tells of its time."""

    def slower(record: dict[str, Any]) -> dict[str, Any]:
        time = slow_rounds(factor)(record)["metrics"]["latency_ms"]
        time |= {end: time[end] * factor for end in ("value", "low", "high")}
        return record

    return slower


def all_slower(factor: float) -> Edit:
    return lambda case, record: slow(factor)(record)


def test_runs_of_one_code_are_ties(tmp_path: Path) -> None:
    found = side_by_side(*(write(tmp_path, number) for number in (1, 2, 3)))
    assert plain(found.answer).startswith(f"No run is fastest beyond noise at any of {len(CASES)} cases; 2f3c1ab takes")
    assert [column.name for column in found.columns] == ["1f3c1ab", "2f3c1ab", "3f3c1ab"]
    assert found.table.differing == 0
    assert plain(found.table.finding) == f"No case of {len(CASES)} differs between the runs beyond noise."
    assert [row.fastest for row in found.standings.rows] == [0, 0, 0]
    assert [row.raced for row in found.standings.rows] == [len(CASES)] * 3


def test_the_fastest_run_wins_every_case_it_is_faster_at(tmp_path: Path) -> None:
    found = side_by_side(write(tmp_path, 1), write(tmp_path, 2, all_slower(0.8)), write(tmp_path, 3, all_slower(1.2)))
    assert plain(found.answer).startswith(f"2f3c1ab is fastest at {len(CASES)} of {len(CASES)} cases; ")
    assert f"2f3c1ab takes 0.799× [0.798, 0.801] the time of 1f3c1ab over {len(CASES)} cases" in plain(found.answer)
    first, second, third = found.standings.rows
    assert (first.fastest, second.fastest, third.fastest) == (0, len(CASES), 0)
    assert (second.tally, third.tally) == ({"faster": len(CASES)}, {"slower": len(CASES)})
    assert all(row.cells[1] and row.cells[1].fastest for row in found.table.rows)


def test_a_commit_stands_as_it_is_at_the_beginning_of_a_sentence(tmp_path: Path) -> None:
    harness = {"version": "0.1.0", "commit": "f46901d41d07", "dirty": False, "source": "a81c77b19d0e"}
    found = side_by_side(write(tmp_path, 1), write(tmp_path, 2, all_slower(0.8), harness=harness))
    for said in (found.answer, found.standings.finding, found.standings.caption):
        assert plain(said).startswith("f46901d is fastest at ")
    assert "F46901d" not in render_page(found)


def test_scaling_names_the_case_that_noise_does_not_explain_with_its_interval(tmp_path: Path) -> None:
    alike = side_by_side(write(tmp_path, 1), write(tmp_path, 2))
    assert plain(alike.multiples.finding) == "No time along these axes differs from that of 1f3c1ab beyond noise."
    found = side_by_side(write(tmp_path / "a", 1), write(tmp_path / "a", 2, all_slower(1.5)))
    said = re.fullmatch(r"2f3c1ab is farthest from 1f3c1ab at (\S+): 1\.5\d*× \[\S+, \S+\] its time\.",
                        plain(found.multiples.finding))  # fmt: skip
    assert said is not None
    assert said[1] in {point.id for panel in found.multiples.panels for point in panel.lines[0].points}


def test_what_stands_under_a_name_or_a_ratio_is_a_line_of_its_own(tmp_path: Path) -> None:
    page = render_page(side_by_side(write(tmp_path, 1), write(tmp_path, 2)))
    assert "class=s2" in page
    assert ".stand .s2,.sides .s2{display:block}" in page


def test_a_race_between_two_further_runs_is_judged_as_well(tmp_path: Path) -> None:
    """The first run is slowest, so that who is fastest rests on a comparison that it has no part in."""
    edits = (only(slow(1.5)), only(slow(1.01)), None)
    found = side_by_side(*(write(tmp_path, number, edit) for number, edit in enumerate(edits, start=1)))
    (row,) = [row for row in found.table.rows if row.subject.id == VICTIM]
    assert [cell.verdict for cell in row.cells if cell] == [None, "faster", "faster"]
    assert not any(cell.fastest for cell in row.cells if cell)
    clear = side_by_side(write(tmp_path / "a", 1, only(slow(1.5))), write(tmp_path / "a", 2, only(slow(1.2))),
                         write(tmp_path / "a", 3))  # fmt: skip
    (row,) = [row for row in clear.table.rows if row.subject.id == VICTIM]
    assert [cell.fastest for cell in row.cells if cell] == [False, False, True]


def test_all_comparisons_are_counted_together(tmp_path: Path) -> None:
    folders = [write(tmp_path, number) for number in (1, 2, 3)]
    two, three = (judged([read_run(folder) for folder in some]) for some in (folders[:2], folders))
    assert two.comparisons == len(CASES)
    between = sum(not rival.known for race in three.races for rival in race.rivals)
    assert three.comparisons == 2 * len(CASES) + between
    assert f"All {three.comparisons} comparisons of times on this page" in plain(
        side_by_side(*folders).standings.caption
    )


def test_another_device_has_times_and_no_ratio(tmp_path: Path) -> None:
    found = side_by_side(write(tmp_path, 1), write(tmp_path, 2), write(tmp_path, 3, all_slower(0.5), device=ELSEWHERE))
    apart = found.columns[2]
    assert (apart.name, apart.device) == ("3f3c1ab", "Another CPU (invented)")
    assert apart.forbids == "another device"
    assert f"the times of {apart.name} are not comparable with those of" in plain(found.answer)
    assert found.standings.rows[2].whole is None
    assert found.standings.rows[2].raced == 0
    cells = [row.cells[2] for row in found.table.rows]
    assert all(cell and cell.ratio is None and cell.verdict == "not comparable" and cell.ms for cell in cells)
    assert found.table.differing == 0
    assert plain(found.comparability.finding) == "Their times may not: another device."
    assert "no ratio is meant" in plain(found.multiples.caption)


def test_two_runs_of_the_other_device_race_each_other(tmp_path: Path) -> None:
    found = side_by_side(write(tmp_path, 1), write(tmp_path, 2, device=ELSEWHERE),
                         write(tmp_path, 3, all_slower(0.5), device=ELSEWHERE))  # fmt: skip
    assert [row.raced for row in found.standings.rows] == [0, len(CASES), len(CASES)]
    assert found.standings.rows[2].fastest == len(CASES)
    assert all(row.whole is None for row in found.standings.rows)


def test_what_has_no_noise_says_from_what_to_what_and_by_whom(tmp_path: Path) -> None:
    found = side_by_side(write(tmp_path, 1), write(tmp_path, 2, only(heavier)), write(tmp_path, 3))
    first = found.table.rows[0]
    assert first.subject.id == VICTIM
    assert [len(cell.numbers) for cell in first.cells if cell] == [0, 1, 0]
    assert [row.worse for row in found.standings.rows] == [0, 1, 0]
    assert "64.0 KiB more" in shown(found)
    assert plain(found.table.finding) == f"1 of {len(CASES)} cases differs between the runs."


def test_a_case_that_a_run_has_not_is_told(tmp_path: Path) -> None:
    short = write(tmp_path, 2)
    file = json.loads((short / "run.json").read_text("utf-8"))
    file["cases"] = [case for case in file["cases"] if case["id"] != VICTIM]
    (short / "run.json").write_text(json.dumps(file), "utf-8")
    found = side_by_side(write(tmp_path, 1), short)
    assert found.table.rows[0].subject.id == VICTIM
    assert found.table.rows[0].cells[1] is None
    assert found.table.differing == 1
    assert "no such case" in shown(found)
    assert "1 other: not comparable" in shown(found)


@pytest.mark.parametrize(
    ("tops", "expected"),
    [
        ([{}, {}], ["run-1", "run-2"]),
        ([{}, {"device": ELSEWHERE}], ["Test CPU (invented)", "Another CPU (invented)"]),
        ([{}, {"environment": {"hostname": "b"}}], ["test", "b"]),
        (
            [{}, {"device": ELSEWHERE}, {"device": ELSEWHERE, "harness": {"version": "0.1.0", "commit": "ffff"}}],
            ["a1b2c3d, Test CPU (invented)", "a1b2c3d, Another CPU (invented)", "ffff, Another CPU (invented)"],
        ),
    ],
)
def test_names_say_what_tells_runs_apart(tmp_path: Path, tops: list[dict[str, Any]], expected: list[str]) -> None:
    same = {"harness": {"version": "0.1.0", "commit": "a1b2c3d4", "dirty": False, "source": "x"}}
    runs = [read_run(write(tmp_path, number, **(same | top))) for number, top in enumerate(tops, start=1)]
    found = names(runs)
    assert found == expected
    assert len(set(names([*runs, runs[0]]))) == len(runs) + 1


def test_the_printers_say_the_same_and_the_page_is_the_same_each_time(tmp_path: Path) -> None:
    found = side_by_side(write(tmp_path, 1), write(tmp_path, 2, only(slow(1.3))), write(tmp_path, 3))
    text, summary = shown(found), render_summary(found)
    assert plain(found.answer) in text
    for section in found.sections:
        assert plain(section.finding) in text
        assert plain(section.caption).split(". ", maxsplit=1)[0] in text
    assert f"| {VICTIM.replace('-', chr(92) + '-')} |" in summary
    assert "✗ **1.29" in summary
    assert json.loads(render_data(found))["standings"]["rows"][1]["tally"]["slower"] == 1
    assert render_page(found) == render_page(found)
    own = render_page(found).replace(plotly_js(), "")
    assert "http://" not in own
    assert len(own) < 200_000


def test_hostile_names_are_text(tmp_path: Path) -> None:
    harness = {"version": HOSTILE, "commit": HOSTILE, "dirty": False, "source": None}
    found = side_by_side(write(tmp_path, 1), write(tmp_path, 2, harness=harness, environment={"hostname": HOSTILE}))
    assert HOSTILE not in render_page(found)


@pytest.mark.parametrize(
    "edit",
    [
        lambda case, record: None,
        lambda case, record: fake_run.fail(record, "oom", "too large"),
        lambda case, record: record | {"metrics": {}},
    ],
    ids=["no record", "all failed", "no metric"],
)
@pytest.mark.parametrize("place", [1, 2])
def test_whatever_is_missing_the_page_stands(tmp_path: Path, edit: Edit, place: int) -> None:
    edits = {place: edit}
    found = side_by_side(write(tmp_path, 1, edits.get(1)), write(tmp_path, 2, edits.get(2)))
    assert plain(found.answer).startswith("No two runs have times that may be compared")
    assert "Standing" in shown(found)
    assert render_summary(found)


def test_runs_that_cannot_stand_side_by_side_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    target = tmp_path / "page.html"
    first, second = write(tmp_path, 1), write(tmp_path, 2)

    def refused(*folders: Path) -> str:
        with pytest.raises(ReportError) as error:
            render_beside(folders, html=target)
        assert not target.exists()
        return str(error.value)

    assert "is named twice" in refused(first, second, first)
    twin = fake_run.write_run(tmp_path / "twin", CASES, edit=again(1), started="2026-11-21T02:14:02+00:00")
    assert "are the same run" in refused(first, twin)
    assert "more than a page has room for" in refused(*(write(tmp_path / "many", number) for number in range(7)))
    other = fake_run.write_run(tmp_path / "other", [fake_run.make_case("late", "dense")])
    assert "no case in common" in refused(first, other)
    file = json.loads((other / "run.json").read_text("utf-8"))
    file["suite"]["name"] = "gpu"
    (other / "run.json").write_text(json.dumps(file), "utf-8")
    assert "is of suite gpu" in refused(first, other)


# the command


def report(*arguments: object) -> Result:
    return HERE.invoke(app, ["report", *map(str, arguments)])


def test_the_command_writes_the_page_beside_the_runs(tmp_path: Path) -> None:
    first, second = write(tmp_path, 1), write(tmp_path, 2)
    done = report(first, second, "--beside", "--title", "Two")
    assert done.exit_code == 0, done.stderr
    assert done.stdout == f"{tmp_path / 'beside.html'}\n"
    assert "No run is fastest" in done.stderr
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {
        "beside.html", "beside.json", "beside.summary.md", "method.html",
    }  # fmt: skip
    assert "<title>Two</title>" in (tmp_path / "beside.html").read_text("utf-8")


def test_the_command_writes_a_page_against_a_baseline_into_the_run(tmp_path: Path) -> None:
    base, candidate = write(tmp_path, 1), write(tmp_path, 2)
    done = report(candidate, "--baseline", base)
    assert done.exit_code == 0, done.stderr
    assert done.stdout == f"{candidate / 'against.html'}\n"
    assert done.stderr.startswith("Against the baseline run-1: no regression of times beyond noise")
    assert (candidate / "against.json").exists()
    assert not (candidate / "report.json").exists()
    assert sorted(path.name for path in base.iterdir()) == ["records.jsonl", "run.json"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("A", "B", "--baseline", "A"), "holds one RUN against another"),
        (("A", "--beside"), "is one; name another"),
        (("A", "--baseline", "A"), "its own baseline"),
        (("A", "--baseline", "nowhere"), "there is no such folder"),
        (("A", "--baseline", "B", "-o", "A/run.json"), "is a file of the run itself"),
        (("A", "--baseline", "B", "-o", "A/report.html"), "name the page against its baseline otherwise"),
        (("A", "--baseline", "B", "-o", "nowhere/page.html"), "does not exist"),
        (("A", "B", "--beside", "-o", "A/page.html"), "lies in the run folder"),
    ],
)
def test_bad_input_is_one_sentence_and_2(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    places = {"A": write(tmp_path, 1), "B": write(tmp_path, 2)}
    given = [
        str(tmp_path / word) if "/" in word or word == "nowhere" else str(places.get(word, word)) for word in words
    ]
    given = [word.replace(f"{tmp_path}/A/", f"{places['A']}/") for word in given]
    done = report(*given)
    assert done.exit_code == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
