"""The section on the exchange: what ranks sent, its closed form, whose messages are uneven; from planted records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.case import Case
from harness.declare.costs_exchange import exchange_bytes
from reports import render
from reports.read import read_run
from reports.review import Review, review
from reports.words import plain
from tests import fake_run
from tests.fake_run import Edit, make_case


def spread(layer: str, ranks: int, **axes: Any) -> Case:
    own = {"mixing": "soft", "slots": 2} if layer == "soft" else {}
    return make_case(layer, layer, experts=8, expert_parallel=ranks, **(own | axes))


def cases(**axes: Any) -> list[Case]:
    return [spread(layer, ranks, **axes) for layer in ("token_choice", "soft") for ranks in (1, 2, 4)]


def sent(message: float = 1.0, share: float | None = None, **more: float) -> Edit:
    """Return an edit that plants an exchange: dropless messages of that imbalance, all others of one size."""

    def edit(case: Case, record: dict[str, Any]) -> dict[str, Any]:
        if case.expert_parallel == 1:
            return record
        uneven = message if case.layer == "token_choice" else 1.0
        total = exchange_bytes(case)
        found: dict[str, float] = {"bytes": total, "predicted_bytes": total, "summed_bytes": 512}
        found |= {"message_imbalance": uneven, "imbalance": uneven}
        values = {f"exchange_{name}": {"value": value} for name, value in (found | more).items()}
        values |= {} if share is None else {"phase_exchange_share": {"value": share}}
        return record | {"metrics": record["metrics"] | values}

    return edit


def review_of(folder: Path, some: list[Case], edit: Edit | None = None, **top: Any) -> Review:
    return review(read_run(fake_run.write_run(folder / "run", some, edit=edit, **top)))


def test_the_finding_says_whose_messages_follow_the_data(tmp_path: Path) -> None:
    made = review_of(tmp_path, cases(), sent(1.4)).exchange
    assert plain(made.finding) == (
        "The largest message is 1.40× the mean, in token_choice with 8 experts, 2 ranks; what token_choice sends"
        " depends on the data, the others’ messages have one size."
    )


def test_where_all_are_uneven_there_are_no_others(tmp_path: Path) -> None:
    made = review_of(tmp_path, cases()[:3], sent(1.4)).exchange
    assert plain(made.finding) == "The largest message is 1.40× the mean, in token_choice with 8 experts, 2 ranks."


def test_messages_of_one_size_are_said_to_be(tmp_path: Path) -> None:
    made = review_of(tmp_path, cases()[3:], sent()).exchange
    assert plain(made.finding) == "All messages of a case have one size."


def test_a_row_has_the_bytes_of_the_closed_form_and_those_of_one_rank_none(tmp_path: Path) -> None:
    made = review_of(tmp_path, cases(), sent(1.4, share=0.63)).exchange
    (table,) = made.tables
    by_id = {case.id: case for case in cases()}
    assert [by_id[row.subject.id].expert_parallel for row in table.rows] == [2, 4, 2, 4]
    assert all(row.sent == exchange_bytes(by_id[row.subject.id]) == row.predicted for row in table.rows)
    assert {row.share for row in table.rows} == {0.63}
    assert {row.overlap for row in table.rows} == {None}
    assert table.top >= max(row.sent for row in table.rows)
    assert all(0 <= tick.at <= 100 for tick in table.ticks)


def test_each_pass_has_a_table(tmp_path: Path) -> None:
    both = [*cases(), *cases(pass_="forward_backward")]
    made = review_of(tmp_path, both, sent(1.2)).exchange
    forward, training = made.tables
    assert "forward" in forward.where
    assert training.where != forward.where
    rows = {row.subject.id: row.sent for table in made.tables for row in table.rows}
    once, twice = (rows[spread("soft", 2, pass_=name).id] for name in ("forward", "forward_backward"))
    assert twice == 2 * once


def test_the_caption_names_who_sends_least_and_most(tmp_path: Path) -> None:
    made = review_of(tmp_path, cases(), sent(1.4)).exchange
    sizes = {case: exchange_bytes(case) for case in cases() if case.expert_parallel > 1}
    least, most = min(sizes, key=sizes.__getitem__), max(sizes, key=sizes.__getitem__)
    words = plain(made.caption)
    assert words.lower().startswith(f"{least.variant} with 8 experts, {least.expert_parallel} ranks sends ")
    assert f"{most.variant} with 8 experts, {most.expert_parallel} ranks " in words
    assert words.endswith(".")
    assert "  " not in words


def test_without_ranks_one_sentence_says_why(tmp_path: Path) -> None:
    made = review_of(tmp_path, [spread("soft", 1)]).exchange
    assert made.missing == "No case has an exchange: no layer is spread over ranks (expert_parallel)."


def test_ranks_whose_exchange_nobody_measured_are_said_so(tmp_path: Path) -> None:
    made = review_of(tmp_path, [spread("soft", 2)]).exchange
    assert made.missing == "No case has exchange: the suite does not measure it."


def test_the_page_and_its_twin_say_it(tmp_path: Path) -> None:
    folder = fake_run.write_run(tmp_path / "run", cases(), edit=sent(1.4, overlap=0.25))
    page = render(folder, html=tmp_path / "page.html").html.read_text("utf-8")
    assert page.count("href=#grid-exchange-1") == 4
    assert "method.html#expert-parallelism" in page
    assert "25 %" in page or "25&nbsp;%" in page
    assert "**Exchange.** The largest message is 1.40× the mean" in (tmp_path / "page.summary.md").read_text("utf-8")
