"""The report's routing section: its sentences from invented numbers, and pictures that are what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from harness.case import Case
from reports.markup.shapes import level, steps
from reports.page import render_page
from reports.read import read_run
from reports.review import Review, review
from reports.sections.routing import COLUMNS, Routing
from reports.words import plain
from tests.fake_run import make_case, write_run

ONE = make_case("top-1", "token_choice", experts=16, top_k=1, capacity_factor=1.0, batch=1, tokens=256)


@dataclass(frozen=True)
class Seen:
    """What a case under one load measured; a random router's busiest expert gets 1.6 times its share."""

    busiest: float = 1.0
    drop: float = 0.0
    ms: float = 1.0
    metrics: Mapping[str, float] = field(default_factory=dict)
    series: dict[str, list[float]] = field(default_factory=dict)
    random: tuple[float, ...] = (1.4, 1.6, 1.9)

    def of(self, record: dict[str, Any]) -> dict[str, Any]:
        metrics: dict[str, Any] = {
            "load_max_over_mean": {"value": self.busiest},
            "load_cv": {"value": 0.2},
            "drop_rate": {"value": self.drop},
            **{name: {"value": value} for name, value in self.metrics.items()},
        }
        series = {"expert_load": [1.0] * 16}
        if self.random:
            metrics["load_max_over_mean_null"] = {"value": 1.6}
            metrics["drop_rate_null"] = {"value": 0.098}
            series |= {"load_max_over_mean_null": list(self.random), "drop_rate_null": [0.08, 0.1, 0.12]}
        rounds = [self.ms * (1 + 0.001 * n) for n in range(6)]
        metrics["latency_ms"] = {"value": self.ms, "low": rounds[0], "high": rounds[-1], "rounds": rounds}
        return record | {"metrics": metrics, "series": series | self.series}


def reviewed(folder: Path, seen: dict[str, Seen], case: Case = ONE) -> Review:
    cases = [replace(case, routing=load) for load in seen]
    return review(
        read_run(write_run(folder / "run", cases, edit=lambda one, record: seen[one.routing or "learned"].of(record)))
    )


def section(folder: Path, seen: dict[str, Seen], case: Case = ONE) -> Routing:
    return reviewed(folder, seen, case).routing


def test_a_router_beyond_chance_is_the_finding(tmp_path: Path) -> None:
    made = section(tmp_path, {"learned": Seen(2.5), "hot": Seen(8.0)})
    assert plain(made.finding) == (
        "Before it learns, the router of top-1 with 16 experts, learned load gives one expert 2.50 times its share; "
        "chance alone would give 1.60 times."
    )


def test_a_router_within_what_chance_gives_is_no_finding_against_it(tmp_path: Path) -> None:
    made = section(tmp_path, {"learned": Seen(1.8), "hot": Seen(8.0)})
    assert plain(made.finding).startswith("No router is more uneven than chance: the busiest expert gets 1.80 times")


def test_within_chance_the_busiest_expert_is_the_tables(tmp_path: Path) -> None:
    """Of 1.5 where draws reach 1.9 and 1.2 where they reach 1.3, the first is the busiest."""
    cases = [ONE, replace(ONE, variant="top-2", top_k=2)]
    seen = {"top-1": Seen(1.5), "top-2": Seen(1.2, random=(1.1, 1.3))}
    run = write_run(tmp_path / "run", cases, edit=lambda one, record: seen[one.variant].of(record))
    made = review(read_run(run)).routing
    assert plain(made.finding) == (
        "No router is more uneven than chance: the busiest expert gets 1.50 times its share, in top-1 with 16 experts,"
        " where a random router’s gets 1.40 to 1.90."
    )
    cells = [row.cells[0] for row in made.rows]
    assert ("1.50", "random 1.40 to 1.90") in [(cell.text, cell.below) for cell in cells]
    assert max(float(cell.text) for cell in cells) == 1.5


def test_chance_is_that_of_each_router(tmp_path: Path) -> None:
    """Two experts a token load less unevenly by chance: 1.8 is beyond it there, and 1.9 is not with one."""
    cases = [ONE, replace(ONE, variant="top-2", top_k=2)]
    seen = {"top-1": Seen(1.9), "top-2": Seen(1.8, random=(1.2, 1.4))}
    run = write_run(tmp_path / "run", cases, edit=lambda one, record: seen[one.variant].of(record))
    assert plain(review(read_run(run)).routing.finding).startswith("Before it learns, the router of top-2")


def test_assigned_loads_alone_are_said_to_be_given(tmp_path: Path) -> None:
    made = section(tmp_path, {"iid": Seen(1.5), "hot": Seen(8.0)})
    assert plain(made.finding) == (
        "The most uneven load gives one expert 8.00 times its share, in top-1 with 16 experts, hot load; "
        "the busiest of a random router gets 1.60 times."
    )


def test_loads_that_are_even_have_no_busiest_expert(tmp_path: Path) -> None:
    made = section(tmp_path, {"learned": Seen(1.0, random=())})
    assert plain(made.finding) == "Every expert gets the same load."


def test_without_a_null_model_the_number_stands_alone(tmp_path: Path) -> None:
    made = section(tmp_path, {"learned": Seen(2.5, random=())})
    assert plain(made.finding) == "The busiest expert gets 2.50 times its share, in top-1 with 16 experts."
    assert not any(cell.below for row in made.rows for cell in row.cells)


@pytest.mark.parametrize(("drop", "word"), [(0.104, "within"), (0.2, "outside")])
def test_a_random_router_is_held_against_theory(tmp_path: Path, drop: float, word: str) -> None:
    """256 tokens to 16 experts: 16 each, so 1 / sqrt(2 pi 16) = 9.97 %."""
    made = section(tmp_path, {"learned": Seen(1.5), "iid": Seen(1.5, drop=drop)})
    assert (
        f"A random router (top-1 with 16 experts, iid load) drops {100 * drop:.1f} %, {word} the range of 3 draws "
        "(8.0 % to 12.0 %); its mean is exactly 9.8 %, and the rule says 10.0 %." in plain(made.caption)
    )


def test_the_rule_speaks_of_capacity_factor_1_alone(tmp_path: Path) -> None:
    column = COLUMNS.index("Dropped")
    at_one = section(tmp_path / "1", {"iid": Seen(drop=0.1)})
    above = section(tmp_path / "2", {"iid": Seen(drop=0.1)}, replace(ONE, capacity_factor=1.25))
    assert at_one.rows[0].cells[column].below == "random 9.8 %, rule 10.0 %"
    assert above.rows[0].cells[column].below == "random 9.8 %"
    assert "the rule says" not in plain(above.caption)


def test_the_rule_is_of_the_tokens_that_compete(tmp_path: Path) -> None:
    alone = replace(ONE, batch=4, tokens=64, group="sequence")
    made = section(tmp_path, {"iid": Seen(drop=0.1)}, alone)
    assert made.rows[0].cells[COLUMNS.index("Dropped")].below == "random 9.8 %, rule 19.9 %"


def test_drops_have_a_decimal_and_zero_has_none(tmp_path: Path) -> None:
    made = section(tmp_path, {"learned": Seen(drop=0.0), "hot": Seen(drop=0.4687)})
    texts = [row.cells[COLUMNS.index("Dropped")].text for row in made.rows]
    assert texts == ["0 %", "46.9 %"]
    assert "hot load drops 46.9 % of its assignments, the most of all." in plain(made.caption)


def test_no_drop_is_said_too(tmp_path: Path) -> None:
    assert plain(section(tmp_path, {"learned": Seen()}).caption).startswith("No assignment is dropped.")


def test_the_time_of_a_load_stands_beside_that_of_an_even_one(tmp_path: Path) -> None:
    made = section(tmp_path, {"learned": Seen(), "balanced": Seen(ms=1.0), "hot": Seen(ms=1.5)})
    assert made.columns[-1] == "Time over even"
    assert [row.cells[-1].below for row in made.rows] == ["same", "", "slower"]
    assert [row.cells[-1].text[:5] for row in made.rows] == ["1.00×", "–", "1.50×"]
    assert "Top-1 with 16 experts, hot load takes 1.50× [1.50, 1.50] the time of an even load." in plain(made.caption)


def test_loads_that_cost_no_time_are_said_to_cost_none(tmp_path: Path) -> None:
    made = section(tmp_path, {"balanced": Seen(), "hot": Seen(ms=1.001), "iid": Seen()})
    assert "Of 2 other loads, none is shown to take longer than the even one." in plain(made.caption)


def test_without_an_even_load_there_is_no_such_column(tmp_path: Path) -> None:
    made = section(tmp_path, {"learned": Seen(), "hot": Seen()})
    assert "Time over even" not in made.columns
    assert "Margin" not in made.columns
    assert all(len(row.cells) == len(made.columns) for row in made.rows)


def test_a_peak_that_depends_on_the_routing_is_said(tmp_path: Path) -> None:
    grown = {"memory_peak_bytes": 1 << 20, "memory_worst_bytes": 3 << 20}
    text = plain(section(tmp_path / "1", {"learned": Seen(metrics=grown)}).caption)
    assert "At the worst routing, top-1 with 16 experts takes 3.00 MiB at its peak: 3.00× the 1.00 MiB of its" in text
    even = {"memory_peak_bytes": 1 << 20, "memory_worst_bytes": 1 << 20}
    assert "worst routing" not in plain(section(tmp_path / "2", {"learned": Seen(metrics=even)}).caption)


def test_the_picture_is_the_load_sorted_over_its_mean(tmp_path: Path) -> None:
    load = [2.0, 8.0, 4.0, *[2.0] * 13]
    made = section(tmp_path, {"hot": Seen(4.0, series={"expert_load": load, "expert_load_null": [1.0] * 16})})
    (row,) = made.rows
    mean = sum(load) / 16
    assert row.load == pytest.approx([8 / mean, 4 / mean, *[2 / mean] * 14])
    assert row.random == (1.0,) * 16
    assert made.top == pytest.approx(8 / mean)


def test_tall_bars_are_cut(tmp_path: Path) -> None:
    made = section(tmp_path, {"hot": Seen(16.0, series={"expert_load": [16.0, *[0.0] * 15]})})
    assert made.top == 4.0
    assert steps(made.rows[0].load, made.top) == "M0 100V0h1V100h15V100Z"


def test_paths_are_one_bar_a_value() -> None:
    assert steps((2.0, 1.0, 1.0, 0.0), 2.0) == "M0 100V0h1V50h2V100h1V100Z"
    assert level(1.0, 4.0) == "75"


def test_the_page_has_a_picture_for_each_row(tmp_path: Path) -> None:
    page = render_page(reviewed(tmp_path, {"learned": Seen(), "balanced": Seen(), "hot": Seen()}))
    part = page[page.index("<section id=routing") :]
    part = part[: part.index("</section>")]
    assert part.count("<svg viewBox") == 3
    assert "random 1.40 to 1.90" in part


def test_a_run_that_kept_no_loads_has_its_numbers(tmp_path: Path) -> None:
    made = reviewed(tmp_path, {"learned": Seen(2.0, random=(), series={"expert_load": []})})
    assert made.routing.rows[0].load == ()
    part = render_page(made)
    assert "Load, busiest first" not in part


def test_loads_need_no_times(tmp_path: Path) -> None:
    """A suite that measures no latency, as `determinism`, has its loads all the same."""

    def untimed(case: Case, record: dict[str, Any]) -> dict[str, Any]:
        seen = Seen(busiest=2.5).of(record)
        del seen["metrics"]["latency_ms"]
        return seen

    found = review(read_run(write_run(tmp_path / "run", [ONE], edit=untimed))).routing
    assert found.missing is None
    assert len(found.rows) == 1
    assert found.rows[0].over_even is None
