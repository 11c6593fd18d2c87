"""The section on predictions: errors from planted times, and what is predicted elsewhere."""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from harness.case import Case
from harness.declare.cluster_file import load_cluster, parse_cluster
from harness.declare.costs import cost
from harness.declare.faults import SuiteError
from harness.declare.predict import predict
from harness.declare.roofs import Roofs
from reports import render
from reports.figures import elsewhere
from reports.figures import prediction as drawing
from reports.page import render_page
from reports.read import read_run
from reports.review import review
from reports.sections.prediction import Predictions
from reports.sections.prediction_pairs import factor
from reports.words import plain
from tests import fake_run
from tests.fake_run import CEILINGS, Edit, make_case
from tests.test_cli import ends, harness

ROOFS = Roofs.read(asdict(CEILINGS), "cpu")


def soft(**axes: Any) -> Case:
    return make_case("soft", "soft", experts=8, mixing="soft", **axes)


def dense(**axes: Any) -> Case:
    return make_case("dense", "dense", **axes)


def takes(times: float | dict[str, float]) -> Edit:
    """Return an edit after which each case takes so many times what is predicted, by variant."""

    def edit(case: Case, record: dict[str, Any]) -> dict[str, Any]:
        ratio = times if isinstance(times, float) else times[case.variant]
        value = {"value": 1e3 * ratio * predict(case, ROOFS).seconds}
        return record | {"metrics": record["metrics"] | {"latency_ms": value}}

    return edit


def section(folder: Path, cases: list[Case], edit: Edit | None = None, **top: Any) -> Predictions:
    return review(read_run(fake_run.write_run(folder / "run", cases, edit=edit, **top))).prediction


def test_a_factor_is_the_same_either_way() -> None:
    assert factor(2) == pytest.approx(2)
    assert factor(0.5) == pytest.approx(2)


def test_the_median_and_the_worst_error_are_the_finding(tmp_path: Path) -> None:
    cases = [soft(), soft(batch=1), dense()]
    made = section(tmp_path, cases, takes({"soft": 1.5, "dense": 0.25}))
    assert plain(made.finding) == "Predictions are off by 1.50× in the median of 3 cases, by 4.00× in the worst."
    assert "worst is dense" in plain(made.caption)
    assert [(group.name, len(group.pairs)) for group in made.variants] == [("soft", 2), ("dense", 1)]
    assert [group.error for group in made.variants] == pytest.approx([1.5, 4.0])
    assert made.variants[1].ratio == pytest.approx(0.25)
    assert sum(len(group.pairs) for group in made.bounds) == 3


@pytest.mark.parametrize(
    ("hfu", "beaten"),
    [
        ({"value": 2.3, "low": 2.2, "high": 2.5}, True),
        ({"value": 1.1, "low": 0.9, "high": 1.2}, False),
        ({"value": 1.1}, True),
    ],
)
def test_ceilings_that_cases_beat_are_the_heading(tmp_path: Path, hfu: dict[str, float], beaten: bool) -> None:
    def edit(case: Case, record: dict[str, Any]) -> dict[str, Any]:
        own = hfu if case.layer == "soft" else {"value": 0.5, "low": 0.4, "high": 0.6}
        taken = takes(0.5)(case, record) or record
        return taken | {"metrics": taken["metrics"] | {"hfu": own}}

    made = section(tmp_path, [soft(), dense()], edit)
    told = "The ceilings are too low to predict by: 1 of 2 cases beat them."
    assert (plain(made.finding) == told) == beaten
    assert (made.attention == "! 1") == beaten
    assert ("off by 2.00× in the median for that reason too" in plain(made.caption)) == beaten


def test_the_roofline_of_the_whole_pass_alone_is_told_beside(tmp_path: Path) -> None:
    made = section(tmp_path, [soft()], takes(1.0))
    (pair,) = made.pairs
    price = cost(soft())
    assert pair.plain == pytest.approx(1e3 * max(price.flops_executed / 1.2e11, price.bytes / 2.1e10))
    assert f"alone is off by {pair.measured / pair.plain:.2f}×" in plain(made.caption)


def test_measured_launches_and_rates_of_few_rows_are_used(tmp_path: Path) -> None:
    slow: list[Any] = [[float(4 << 20), [[1.0, 1e9], [4096.0, 1.2e11]]]]
    ceilings = asdict(replace(CEILINGS, launch_s=1e-3, products={"float32": slow}))
    before = section(tmp_path / "a", [soft()]).pairs[0]
    after = section(tmp_path / "b", [soft()], ceilings=ceilings).pairs[0]
    assert after.predicted > before.predicted + 15
    assert after.plain == before.plain


def test_a_key_of_a_newer_version_is_let_pass(tmp_path: Path) -> None:
    made = section(tmp_path, [soft()], takes(1.0), ceilings=asdict(CEILINGS) | {"later": 1})
    assert made.pairs[0].ratio == pytest.approx(1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"flops_per_s": "fast"},
        {"bytes_per_s": 0},
        {"launch_s": -1.0},
        {"products": {"float32": [[4e6, [[1.0, 1e9], [1.0, 2e9]]]]}},
        {"products": {"float32": [[4e6, []]]}},
        {"copies": [[2.0, 1e9], [1.0, 1e9]]},
    ],
)
def test_ceilings_that_are_none_predict_nothing(tmp_path: Path, wrong: dict[str, Any]) -> None:
    run = read_run(fake_run.write_run(tmp_path / "run", [soft()], ceilings=asdict(CEILINGS) | wrong))
    assert run.file.roofs is None


def test_other_programs_are_left_out_and_counted(tmp_path: Path) -> None:
    made = section(tmp_path, [soft(), soft(compile=True), soft(dtype="bfloat16")])
    assert len(made.pairs) == 1
    assert made.left_out == 2
    assert "2 timed cases of other programs, over ranks or without a ceiling left out." in plain(made.caption)


def test_without_ceilings_or_times_the_section_says_why(tmp_path: Path) -> None:
    made = section(tmp_path / "a", [soft()], ceilings=None)
    assert made.missing == "The ceilings of this device were not measured in these cases’ format: harness doctor does."
    untimed = section(tmp_path / "b", [soft()], lambda _, record: fake_run.without(record, "latency"))
    assert untimed.missing == "No case has times to hold against a prediction: no layer gave any."
    assert made.pairs == untimed.pairs == ()


def test_every_case_is_on_the_chart_and_on_the_line_where_it_is_foreseen(tmp_path: Path) -> None:
    run = read_run(fake_run.write_run(tmp_path / "run", [soft(), soft(batch=1), dense()], edit=takes(1.0)))
    made = review(run)
    (drawn,) = drawing.figures(made)
    assert sorted(y for trace in drawn.figure.data for y in trace.y) == [1.0, 1.0, 1.0]
    assert drawn.alt == plain(made.prediction.finding)
    assert 1 in drawn.figure.layout.yaxis.tickvals
    assert "id=fig-prediction" in render_page(made)


def test_of_very_many_cases_the_worst_and_the_best_stay() -> None:
    pairs = list(section_of_many(3 * drawing.MOST))
    shown = drawing.thinned(pairs)
    assert len(shown) == drawing.MOST
    errors = [pair.error for pair in pairs]
    assert {max(errors), min(errors)} <= {pair.error for pair in shown}
    assert drawing.thinned(pairs[:5]) == pairs[:5]


def section_of_many(number: int) -> Any:
    from reports.sections.prediction_pairs import Pair
    from reports.subjects import Subject

    subject = Subject("soft", "soft", 0, "", "soft-1")
    return (Pair(subject, "", 1.0, 1.0 + index, 1.0, "memory") for index in range(number))


# elsewhere


def test_a_cluster_stands_beside_what_was_measured(tmp_path: Path) -> None:
    cluster = load_cluster("h200-node").model_copy(update={"ranks": [1, 8]})
    run = read_run(fake_run.write_run(tmp_path / "run", [soft(), dense()], edit=takes(2.0)))
    made = review(run, cluster=cluster)
    shown = made.prediction
    assert shown.places == ("NVIDIA H200 × 1", "NVIDIA H200 × 8")
    assert [len(row.priced) for row in shown.elsewhere] == [2, 2]
    assert "nothing was measured" in plain(shown.caption)
    assert "On this device the model is off by 2.00×." in plain(shown.caption)
    (drawn,) = elsewhere.figures(made)
    figure = drawn.figure
    assert [trace.name for trace in figure.data] == ["measured here", *shown.places]
    here = [row.measured or math.nan for row in shown.elsewhere]
    assert list(figure.data[0].x) == pytest.approx(here, rel=0.005)
    page = render_page(made)
    assert "NVIDIA H200 × 8, ms" in page
    assert cluster.title in page


def test_a_page_without_a_cluster_says_nothing_of_one(tmp_path: Path) -> None:
    page = render_page(review(read_run(fake_run.write_run(tmp_path / "run", [soft(), dense()]))))
    assert "fig-elsewhere" not in page
    assert "Predicted on" not in page


def test_a_cluster_that_cannot_price_the_run_is_refused(tmp_path: Path) -> None:
    source = 'title = "x"\n[[device]]\nname = "x"\nflops_per_s = { bfloat16 = 1e12 }\n'
    source += "bytes_per_s = 1e9\nmemory_bytes = 1e9\n"
    folder = fake_run.write_run(tmp_path / "run", [soft()])
    with pytest.raises(SuiteError, match="x has no peak for float32"):
        render(folder, html=tmp_path / "p.html", cluster=parse_cluster(source))
    assert not (tmp_path / "p.html").exists()
    path = tmp_path / "x.toml"
    path.write_text(source)
    ends(2, harness("report", folder, "--cluster", path, "-o", tmp_path / "p.html"), "x.toml:4", "no peak for float32")
    ends(2, harness("report", folder, folder, "--cluster", path), "these are several: name one run")


def test_finding_and_caption_are_sentences(tmp_path: Path) -> None:
    made = section(tmp_path, fake_run.quick_cases())
    for words in (plain(made.finding), plain(made.caption)):
        assert words.endswith(".")
        assert "  " not in words
        assert "None" not in words
