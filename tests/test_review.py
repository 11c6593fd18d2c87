from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.case import Case
from harness.declare.costs import cost
from harness.declare.match import matched
from reports import ReportError, render
from reports.context import Context
from reports.data import render_data
from reports.families import NAMES, family_of
from reports.page import render_page
from reports.read import read_run
from reports.review import Review, review
from reports.sections.cases import command
from reports.sections.ratios_blocks import against_dense
from reports.settings import setting_of
from reports.theme import HUE
from reports.words import plain
from tests import fake_run


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Review:
    return review(read_run(fake_run.write_run(tmp_path_factory.mktemp("run") / "quick", fake_run.quick_cases())))


def review_of(folder: Path, cases: list[Case], edit: fake_run.Edit | None = None, **top: Any) -> Review:
    return review(read_run(fake_run.write_run(folder / "run", cases, edit=edit, **top)))


def timed(record: dict[str, Any], rounds: list[float]) -> dict[str, Any]:
    """Return `record` with these times, round by round."""
    record["metrics"]["latency_ms"] = {"value": sorted(rounds)[len(rounds) // 2], "low": min(rounds),
                                       "high": max(rounds), "n": 5, "rounds": rounds}  # fmt: skip
    return record


def all_text(made: Review) -> str:
    return " ".join([plain(made.answer), *(plain(s.finding) + plain(s.caption) for s in made.sections)])


def test_the_answer_says_who_is_fastest_by_how_much_where_and_whether_it_is_batch_invariant(quick: Review) -> None:
    text = plain(quick.answer)
    best = against_dense(quick.ratios.blocks[0])[0]
    assert text.startswith("At size S, batch 8, forward: at equal FLOPs dense-1 is fastest")
    assert best.interval is not None
    assert f"{best.value:.2f}×" in text
    assert best.candidate.phrase in text
    assert "not batch-invariant" in text


def test_batch_invariance_is_that_of_the_case_that_is_named(tmp_path: Path) -> None:
    """Capacity by the sequence keeps every bit, and stands first; the fastest layer shares it over the batch."""

    def edit(case: Case, record: dict[str, Any]) -> dict[str, Any]:
        coupled = case.group == "batch"
        record["metrics"]["det_batch_size"] = {"value": 0.25 if coupled else 1.0}
        record["metrics"]["det_batch_size_cause"] = {"value": "coupling" if coupled else "none"}
        return timed(record, [0.5 if coupled else 0.8 if case.group else 1.0] * 5)

    cases = [fake_run.make_case("ec", "expert_choice", experts=8, group=group) for group in ("sequence", "batch")]
    made = review_of(tmp_path, [*cases, fake_run.make_case("dense", "dense")], edit)
    text = plain(made.answer)
    assert "ec with 8 experts, capacity shared by the batch is fastest" in text
    assert "ec (capacity shared by the batch) is not batch-invariant (75 % of its rows change, by coupling)" in text
    assert "bit for bit" not in text


CERTAIN, LEVEL, NOISY = [1.0] * 5, [1.0, 1.001, 0.999, 1.0, 1.0], [0.4, 2.5, 0.5, 2.2, 0.6]


@pytest.mark.parametrize(
    ("first", "second", "finding", "answer"),
    [
        (
            [0.9 * n for n in NOISY],
            [0.95 * n for n in LEVEL],
            "B beats the dense FFN of equal FLOPs.",
            r"B takes 0\.950*× \[0\.9.*\] the time of dense, and cannot be told apart from A",
        ),
        (
            [0.8 * n for n in LEVEL],
            [0.9 * n for n in LEVEL],
            "A beats the dense FFN of equal FLOPs, as does 1 more of 2.",
            r"A is fastest, 0\.800*× \[0\..*\] the time of dense",
        ),
        (
            [0.9 * n for n in NOISY],
            LEVEL,
            "A cannot be told apart from the dense FFN of equal FLOPs.",
            r"no layer is surely fastest: A cannot be told apart from dense, at 0\..*× \[0\..*\] its time; A is .*and",
        ),
        (
            LEVEL,
            [2.0 * n for n in LEVEL],
            "A is level with the dense FFN of equal FLOPs, and none is ahead of it.",
            "A and dense take the same time within 2 %",
        ),
        (
            [3.0 * n for n in LEVEL],
            [2.0 * n for n in LEVEL],
            "No layer beats the dense FFN of equal FLOPs; B comes nearest.",
            r"dense is fastest, and B, the next, takes 2\.0+×",
        ),
    ],
    ids=["a noisy 0.90 hides no certain 0.95", "a runner-up that is slower", "undecided", "level", "all slower"],
)
def test_what_is_undecided_is_not_called_level(
    tmp_path: Path, first: list[float], second: list[float], finding: str, answer: str
) -> None:
    rounds = {"A": first, "B": second, "dense": CERTAIN}
    cases = [fake_run.make_case(name, "token_choice", experts=8, top_k=1, capacity_factor=None) for name in "AB"]
    made = review_of(tmp_path, [*cases, fake_run.make_case("dense", "dense")],
                     lambda case, record: timed(record, rounds[case.variant]))  # fmt: skip
    said = plain(made.ratios.finding).replace(" with 8 experts", "")
    assert said == finding
    assert re.search(answer, plain(made.answer).replace(" with 8 experts", ""))


def test_an_undecided_ratio_is_not_said_as_a_fact(tmp_path: Path) -> None:
    cases = [fake_run.make_case("tc", "token_choice", experts=8), fake_run.make_case("soft", "soft", experts=8)]
    made = review_of(tmp_path, cases, lambda case, record: timed(record, NOISY if case.layer == "soft" else CERTAIN))
    for text in (plain(made.answer), plain(made.ratios.caption)):
        assert re.search(r"[sS]oft with 8 experts cannot be told apart from tc with 8 experts at .*: \d", text)
        assert "takes" not in text.split(". ")[0]


def test_the_finding_looks_at_every_dense_ffn(tmp_path: Path) -> None:
    """Four layers lose to dense-1, the FFN that most stand against; one beats dense-2, and that is not passed over."""

    def edit(case: Case, record: dict[str, Any]) -> dict[str, Any]:
        ms = {"top-1": 2.0, "soft": 2.0, "expert-choice": 2.0, "dense-2": 4.0}.get(case.variant, 1.0)
        return timed(record, [ms] * 5)

    made = review_of(tmp_path, fake_run.quick_cases(), edit)
    assert plain(made.ratios.finding) == (
        "No layer beats dense-1 of equal FLOPs; top-1 with 8 experts, capacity 1.25 comes nearest;"
        " top-2 with 8 experts, capacity 1.25 beats dense-2."
    )


def test_activations_are_not_compared_with_each_other(tmp_path: Path) -> None:
    relu = [fake_run.make_case("top-1", "token_choice", experts=8, top_k=1, activation="relu", gated=g) for g in (0, 1)]
    dense = [fake_run.make_case("dense", "dense", activation=a, gated=True) for a in ("silu", "relu")]
    made = review_of(tmp_path, [*relu, *dense])
    (block,) = made.ratios.blocks
    assert [(row.candidate.id, row.reference.id) for row in block.rows] == [(relu[1].id, dense[1].id)]
    assert block.where == "size S, batch 8, forward, reglu"


def test_the_answer_names_the_setting_of_its_ratio(tmp_path: Path) -> None:
    """Most cases, and so the first setting, have relu; what can be compared has gelu."""
    cases = [fake_run.make_case("top-1", "token_choice", experts=e, top_k=1, activation="relu") for e in (4, 8, 16)]
    cases += [fake_run.make_case(name, "token_choice", experts=8, top_k=1) for name in ("top-1", "other")]
    made = review_of(tmp_path, cases)
    assert plain(made.answer).startswith("At size S, batch 8, forward, gelu: other with 8 experts ")


SWEPT: dict[str, tuple[Any, Any]] = {
    "routing": ("learned", "balanced"),
    "backend": ("reference", "grouped"),
    "group": ("sequence", "batch"),
    "shared_experts": (0, 1),
    "capacity_factor": (1.25, None),
    "experts": (8, 16),
    "top_k": (1, 2),
    "d_ff": (1536, 1544),
    "dtype": ("float32", "bfloat16"),
    "scope": ("layer", "block"),
    "causal": (False, True),
    "depth": (2, 4),
    "vocabulary": (0, 1000),
    "patch": (14, 16),
    "compile": (False, True),
    "activation": ("gelu", "relu"),
    "gated": (False, True),
    "tokens": (64, 196),
    "pass_": ("forward", "train"),
}


@pytest.mark.parametrize("axis", SWEPT)
def test_rows_that_differ_in_an_axis_are_told_apart(tmp_path: Path, axis: str) -> None:
    own = {"experts": 8, "top_k": 1, "capacity_factor": None, "backend": "reference"}
    cases = [fake_run.make_case("A", "token_choice", **(own | {axis: value})) for value in SWEPT[axis]]
    shared = axis not in (*own, "routing", "group", "shared_experts", "d_ff")
    references = [fake_run.make_case("dense", "dense", **({axis: v} if shared else {})) for v in SWEPT[axis]]
    made = review_of(tmp_path, [*cases, *references])
    rows = [(block.where, row.candidate.phrase) for block in made.ratios.blocks for row in block.rows]
    assert len(rows) == len(set(rows)) == 2, rows


def test_pairs_share_everything_that_is_not_the_layer(quick: Review) -> None:
    rows = [row for block in quick.ratios.blocks for row in block.rows]
    cases = {case.id: case for case in fake_run.quick_cases()}
    assert len(rows) > 60
    for row in rows:
        assert setting_of(cases[row.candidate.id]) == setting_of(cases[row.reference.id])


def test_a_budget_is_called_equal_only_where_it_is(quick: Review) -> None:
    rows = [row for block in quick.ratios.blocks for row in block.rows]
    assert {row.budget for row in rows if row.flops and 0.95 < row.flops < 1.05} == {"equal FLOPs"}
    unequal = [row for row in rows if row.flops and row.flops < 0.8]
    assert unequal
    assert all("the FLOPs" in row.budget for row in unequal)


def test_top_2_stands_against_the_dense_ffn_of_its_own_flops(quick: Review) -> None:
    references = {
        row.candidate.variant: row.reference.variant
        for row in quick.ratios.blocks[0].rows
        if row.reference.family == "dense"
    }
    assert references["top-1"] == "dense-1"
    assert references["top-2"] == "dense-2"


def test_ratios_are_those_of_the_rounds(tmp_path: Path) -> None:
    def twice(case: Case, record: dict[str, Any]) -> dict[str, Any]:
        factor = 2.0 if case.layer == "token_choice" else 1.0
        drift = [1.0, 1.3, 0.8, 1.1, 1.0]
        record["metrics"]["latency_ms"] = {
            "value": factor,
            "low": 0.8 * factor,
            "high": 1.3 * factor,
            "n": 5,
            "rounds": [factor * d for d in drift],
        }
        return record

    made = review_of(tmp_path, fake_run.sweep_cases(), twice)
    row = next(r for r in made.ratios.blocks[0].rows if r.candidate.family == "sparse")
    assert row.interval is not None
    assert (row.value, row.interval.low, row.interval.high) == pytest.approx((2, 2, 2))
    assert row.verdict == "slower"


def test_a_card_of_one_variant_says_which_of_its_cases_it_is_about(tmp_path: Path) -> None:
    made = review_of(tmp_path, [fake_run.make_case("soft", "soft", experts=experts) for experts in (4, 16)])
    (card,) = (card for card in made.cards if card.kind == "memory")
    assert [name.text for name in card.title] == ["soft", "soft"]
    assert card.text.endswith("16 experts against 4 experts, size S, batch 8, forward")


def test_cards_follow_the_suites_headline(quick: Review, tmp_path: Path) -> None:
    assert [card.kind for card in quick.cards] == ["ratio", "ratio", "memory", "determinism"]
    assert [name.text for name in quick.cards[0].title] == ["top-1", "dense-1"]
    suite = fake_run.run_file(fake_run.quick_cases())["suite"]
    headline = ["soft / top-1", "no such variant / dense-1", "memory"]
    made = review_of(tmp_path, fake_run.quick_cases(), suite=suite | {"headline": headline})
    assert [card.kind for card in made.cards] == ["ratio", "memory"]
    without = review_of(tmp_path, fake_run.quick_cases(), suite=suite | {"headline": []})
    assert [card.kind for card in without.cards] == ["ratio", "ratio", "ratio", "determinism"]


def test_a_card_names_the_own_axes_of_both_sides(tmp_path: Path) -> None:
    """A reference of fewer experts is not said to have the candidate's; a dense FFN's width goes without saying."""
    cases = [fake_run.make_case("soft", "soft", experts=experts, slots=slots) for experts, slots in ((16, 1), (32, 1))]
    cases += [fake_run.make_case("top-2", "token_choice", experts=8), fake_run.make_case("dense", "dense")]
    suite = fake_run.run_file(cases)["suite"] | {"headline": ["soft / top-2", "soft / dense", "memory"]}
    against, alone, _ = review_of(tmp_path, cases, suite=suite).cards
    assert " experts against 8 experts, " in against.text
    assert "against" not in alone.text


def test_pairs_of_the_headline_are_compared_wherever_both_stand(tmp_path: Path) -> None:
    """A variant that only one activation has: its card is of that setting, and the table has its rows."""
    cases = [fake_run.make_case("top-2", "token_choice", experts=8, tokens=tokens) for tokens in (64, 196)]
    cases += [replace(case, variant="rival", backend="reference") for case in cases[:1]]
    suite = fake_run.run_file(cases)["suite"] | {"headline": ["rival / top-2"]}
    made = review_of(tmp_path, cases, suite=suite)
    assert [[name.text for name in card.title] for card in made.cards] == [["rival", "top-2"]]
    (row,) = (row for block in made.ratios.blocks for row in block.rows)
    assert (row.candidate.variant, row.reference.variant, row.setting.tokens) == ("rival", "top-2", 64)


def test_a_layer_of_no_family_does_not_choose_the_first_screen(tmp_path: Path) -> None:
    ours = [fake_run.make_case("top-2", "token_choice", experts=8, activation=act) for act in ("gelu", "silu")]
    cases = [*ours, fake_run.make_case("dense", "dense", activation="silu"), replace(ours[0], variant="more")]

    def edit(case: Case, record: dict[str, Any]) -> dict[str, Any]:
        return record

    made = Context(read_run(fake_run.write_run(tmp_path / "run", cases, edit=edit)))
    assert made.headline is not None
    assert made.headline.activation == "silu", "dense and sparse against sparse twice"


def _boxed(case: Case, record: dict[str, Any]) -> dict[str, Any]:
    """Return the record of a black box: nothing that a closed form gives, no cause of what differs."""
    if case.variant != "mine":
        return record
    forms = ("params_active", "flops_model", "flops_executed", "memory_predicted", "det_batch_size_cause")
    return fake_run.without(record, *forms)


def test_a_black_box_is_compared_by_what_was_counted(tmp_path: Path) -> None:
    dense = fake_run.make_case("dense", "dense")
    cases = [dense, replace(dense, variant="mine")]
    planned = fake_run.run_file(cases)["cases"]
    unpriced = dict.fromkeys(("params", "params_active", "flops_model", "flops_executed", "bytes", "seconds", "fits"))
    box = {"layer": "mine:build"}
    folder = fake_run.write_run(tmp_path / "run", cases, edit=_boxed)
    document = json.loads((folder / "run.json").read_text())
    document["cases"] = [planned[0], {**planned[1], **unpriced, "case": planned[1]["case"] | box}]
    document["suite"]["variants"][1]["layer"] = "mine:build"
    (folder / "run.json").write_text(json.dumps(document))
    made = review(read_run(folder))
    (row,) = made.ratios.blocks[0].rows
    assert (row.candidate.variant, row.candidate.family, row.equal) == ("mine", "other", "FLOPs")
    cells = {row.variant: row.cell("batch_size") for row in made.determinism.rows}
    assert cells["mine"] is not None
    assert (cells["mine"].kind, cells["mine"].word) == ("un", "cause unknown")


@pytest.mark.parametrize(
    ("axis", "values", "sloped"),
    [
        ("experts", (4, 8, 16, 32), {"top-2", "soft"}),
        ("slots", (1, 2, 4), {"soft"}),
        ("batch", (1, 4, 8), {"top-2", "soft", "dense"}),
        ("top_k", (1, 2, 4), {"top-2"}),
    ],
)
def test_a_swept_axis_has_a_panel(tmp_path: Path, axis: str, values: tuple[int, ...], sloped: set[str]) -> None:
    made = review_of(tmp_path, fake_run.sweep_cases(axis, values))
    panels = {panel.axis: panel for panel in made.scaling.panels}
    assert set(panels) == {axis}
    lines = panels[axis].lines
    assert {line.variant for line in lines if line.slope is not None and line.follows is None} == sloped
    assert all([point.x for point in line.points] == list(values) for line in lines if line.slope is not None)


def test_lines_of_a_panel_share_their_setting(quick: Review) -> None:
    cases = {case.id: case for case in fake_run.quick_cases()}
    for panel in quick.scaling.panels:
        used = [cases[point.id] for line in panel.lines for point in line.points]
        for field in ("batch", "tokens", "dtype", "pass_"):
            if field != panel.axis:
                assert len({getattr(case, field) for case in used}) == 1, (panel.axis, field)
        if panel.axis != "size":
            assert len({case.d_model for case in used}) == 1


def test_flat_is_said_only_where_the_interval_allows_it(tmp_path: Path) -> None:
    def level(case: Case, record: dict[str, Any]) -> dict[str, Any]:
        rounds = [1.0, 1.01, 0.99, 1.0, 1.02]
        slope = 1.0 if case.layer == "soft" else 0.0
        factor = float(case.experts or 1) ** slope
        record["metrics"]["latency_ms"] |= {"value": factor, "rounds": [factor * r for r in rounds]}
        return record

    made = review_of(tmp_path, fake_run.sweep_cases(), level)
    assert plain(made.scaling.finding) == "Soft’s time grows as E^1.00 [1.00, 1.00]; top-2’s is flat in experts."


def test_a_slope_that_is_neither_flat_nor_certain_cannot_be_told(tmp_path: Path) -> None:
    def noisy(case: Case, record: dict[str, Any]) -> dict[str, Any]:
        jitter = [1, 4, 0.25, 2, 0.5] if case.experts == 64 else [1.0] * 5
        return timed(record, [1.0 + j for j in jitter] if case.layer == "soft" else [1.0] * 5)

    made = review_of(tmp_path, fake_run.sweep_cases(), noisy)
    text = plain(made.scaling.finding)
    assert text == "Whether soft’s time grows with experts cannot be told; top-2’s is flat in experts."


def test_scaling_says_which_of_a_variants_lines_it_draws(tmp_path: Path) -> None:
    """Soft MoE at 1 and at 2 slots an expert: the heading is true of one of them alone."""
    cases = [fake_run.make_case("soft", "soft", experts=experts, slots=slots)
             for experts in (8, 32) for slots in (1, 2)]  # fmt: skip
    capped = [fake_run.make_case("top-1", "token_choice", top_k=1, experts=experts, capacity_factor=capacity)
              for experts in (8, 32) for capacity in (None, 1.25)]  # fmt: skip
    made = review_of(tmp_path, [*cases, *capped])
    text, said = plain(made.scaling.finding), plain(made.scaling.caption)
    assert text.startswith("Soft’s time (1 slot) ")
    assert "; top-1’s (dropless) " in text
    assert " Drawn are soft (1 slot) and top-1 (dropless)." in said


def soft_and_matched_dense() -> list[Case]:
    """Return the README's suite: Soft MoE of 8 to 64 experts, and the dense FFN of each one's FLOPs."""
    soft = [fake_run.make_case("soft", "soft", experts=experts, tokens=64) for experts in (8, 16, 32, 64)]
    return [*soft, *matched(fake_run.make_case("dense", "dense", tokens=64), soft, "flops")]


def test_a_matched_dense_ffn_stands_where_it_is_matched(tmp_path: Path) -> None:
    cases = soft_and_matched_dense()
    made = review_of(tmp_path, cases)
    (panel,) = made.scaling.panels
    soft, dense = panel.lines
    assert len({point.id for point in dense.points}) == 4
    assert [point.x for point in dense.points] == [8, 16, 32, 64]
    flops = {case.id: cost(case).flops_model for case in cases}
    for a, b in zip(soft.points, dense.points, strict=True):
        assert flops[a.id] / flops[b.id] == pytest.approx(1, abs=0.03)
    assert (dense.follows, dense.detail) == ("soft", "matched to soft")
    assert "dense" not in plain(made.scaling.finding)
    assert "dense to soft" in plain(made.scaling.caption)


def test_a_matched_dense_ffn_without_its_match_is_left_out(tmp_path: Path) -> None:
    *soft, first = soft_and_matched_dense()[:5]
    made = review_of(tmp_path, [*soft, first])
    assert first.layer == "dense"
    assert [line.variant for line in made.scaling.panels[0].lines] == ["soft"]


def test_determinism_rows_are_set_apart_by_what_couples_them(quick: Review) -> None:
    rows = {(row.variant, row.detail.split(",")[0]): row for row in quick.determinism.rows}
    axis = [name for name, _, _ in quick.determinism.columns].index("composition")
    assert rows["top-1", "capacity 1.25"].cells[axis].kind == "dr"
    assert rows["top-1", "dropless"].cells[axis].kind == "eq"
    assert rows["expert-choice", "batched"].cells[axis].kind == "cp"
    assert "expert-choice" in plain(quick.determinism.finding)
    assert "soft" not in plain(quick.determinism.finding)


def test_a_cell_tells_the_worst_case(tmp_path: Path) -> None:
    def one_bad(case: Case, record: dict[str, Any]) -> dict[str, Any]:
        if case.layer == "dense" and case.batch == 8:
            record["metrics"] |= {"det_run": {"value": 0.5}, "det_run_cause": {"value": "rounding"}}
        return record

    made = review_of(tmp_path, fake_run.quick_cases(), one_bad)
    row = next(row for row in made.determinism.rows if row.variant == "dense-1")
    cell = row.cell("run")
    assert cell is not None
    assert (cell.kind, cell.share) == ("rd", 0.5)
    assert cell.worst is not None
    assert "-b8-" in cell.worst


def test_coverage_counts_by_kind_of_failure(tmp_path: Path) -> None:
    def some_fail(case: Case, record: dict[str, Any]) -> dict[str, Any] | None:
        if case.experts == 32:
            return fake_run.fail(record, "oom", "needs 9 GiB, the device has 8")
        return None if case.layer == "dense" else record

    made = review_of(tmp_path, fake_run.quick_cases(), some_fail)
    assert made.coverage.counts == {"oom": 56, "missing": 16}
    assert plain(made.coverage.text) == "56 of 128 cases ok, 56 out of memory and 16 missing."
    assert made.memory.attention == "! 56"
    assert "runs out of memory" in plain(made.memory.finding) or "run out" in plain(made.memory.finding)


@pytest.mark.parametrize("status", ["oom", "timeout", "crashed", "unsupported", "incorrect", "skipped"])
def test_a_run_without_a_single_number_says_so(tmp_path: Path, status: str) -> None:
    made = review_of(tmp_path, fake_run.quick_cases(), lambda _, record: fake_run.fail(record, status, "because"))
    assert plain(made.answer).startswith("No case has numbers")
    assert made.cards == ()
    for section in (made.ratios, made.scaling, made.phases, made.memory, made.determinism, made.routing, made.noise):
        assert section.missing, section.id


def test_sections_without_data_say_why(tmp_path: Path) -> None:
    prefixes = ("latency", "memory", "det_", "phase_", "load_", "tokens_per_s")
    made = review_of(tmp_path, fake_run.quick_cases(), lambda _, record: fake_run.without(record, *prefixes))
    assert made.ratios.missing == "No case has latency: no layer gave any."
    assert plain(made.answer) == (
        "No times were measured; 128 cases ran without a fault: at size S, batch 8, forward, soft with 8 experts, 1"
        " slot does the least, 151 MFLOP, and top-2 with 32 experts, capacity 1.25 the most, 2.43 GFLOP."
    )
    for section in (made.scaling, made.memory, made.determinism, made.routing, made.phases):
        assert section.missing, section.id


def test_why_something_is_missing_depends_on_what_was_asked_for(tmp_path: Path) -> None:
    def untimed(_: Case, record: dict[str, Any]) -> dict[str, Any]:
        return fake_run.without(record, "latency", "phase_")

    made = review_of(tmp_path, fake_run.quick_cases(), untimed, status="interrupted")
    assert made.ratios.missing == "The run ended before any latency was measured."
    assert made.phases.missing == "No case has phases: the suite does not measure it."


def test_one_variant_has_nothing_to_stand_against(tmp_path: Path) -> None:
    cases = [fake_run.make_case("soft", "soft", experts=experts) for experts in (4, 8, 16)]
    made = review_of(tmp_path, cases)
    assert made.ratios.missing == "Only soft has times (3 cases): there is nothing to hold it against."
    assert "Soft has nothing to stand against; its time grows with experts" in plain(made.answer)


def test_one_case(tmp_path: Path) -> None:
    made = review_of(tmp_path, [fake_run.make_case("soft", "soft", experts=8)])
    assert plain(made.answer).startswith("Soft with 8 experts takes ")
    assert plain(made.coverage.text) == "The one case is ok."
    assert made.scaling.missing


@pytest.mark.parametrize("axis", ["scope", "causal", "compile", "dtype"])
def test_an_axis_without_a_panel_may_vary_where_nothing_scales(tmp_path: Path, axis: str) -> None:
    made = review_of(tmp_path, [fake_run.make_case("soft", "soft", experts=8, **{axis: v}) for v in SWEPT[axis]])
    assert (made.scaling.missing or "").startswith("No axis with a panel, such as experts or batch, takes two values")


def test_no_case(tmp_path: Path) -> None:
    made = review_of(tmp_path, [])
    assert plain(made.answer) == "No case was planned, so there is no answer."


def test_two_names_of_one_layer_stand_against_each_other(tmp_path: Path) -> None:
    cases = [fake_run.make_case(name, "dense") for name in ("A", "B")]
    made = review_of(tmp_path, cases)
    assert [(r.candidate.variant, r.reference.variant) for r in made.ratios.blocks[0].rows] == [("B", "A")]


def test_a_value_without_rounds_has_no_verdict(tmp_path: Path) -> None:
    def bare(_: Case, record: dict[str, Any]) -> dict[str, Any]:
        record["metrics"]["latency_ms"] = {"value": 1.0}
        return record

    made = review_of(tmp_path, fake_run.quick_cases(), bare)
    assert {row.verdict for row in made.ratios.blocks[0].rows} == {"undecided"}
    assert made.noise.missing == "No latency has an interval: fewer than two rounds."


def test_every_row_has_its_command(quick: Review) -> None:
    row = quick.cases.rows[0]
    assert (
        command(quick.cases, row.subject.id) == f"harness run quick --select 'id == \"{row.subject.id}\"' --device cpu"
    )


def test_a_compiled_case_shows_what_compiling_takes(tmp_path: Path) -> None:
    def edit(case: Case, record: dict[str, Any]) -> dict[str, Any]:
        return record | {"metrics": record["metrics"] | {"compile_ms": {"value": 1234.0}}} if case.compile else record

    eager = fake_run.make_case("soft", "soft", experts=8)
    made = review_of(tmp_path, [eager, replace(eager, compile=True)], edit)
    assert [row.compiling.value for row in made.cases.rows] == [None, 1234.0]
    assert "torch.compile takes 1234 ms, caches cold" in render_page(made)
    assert json.loads(render_data(made))["cases"]["rows"][1]["compiling"] == {"text": "1234 ms", "value": 1234.0}


def test_overrides_stand_in_the_command(tmp_path: Path) -> None:
    suite = fake_run.run_file(fake_run.quick_cases())["suite"] | {"overrides": ["batch=[1, 8]"]}
    made = review_of(tmp_path, fake_run.quick_cases(), suite=suite, command="harness run my/own.toml --device cpu")
    assert command(made.cases, "it").startswith("harness run my/own.toml --set 'batch=[1, 8]' --select ")


def test_an_interrupted_run_has_a_banner(tmp_path: Path) -> None:
    made = review_of(tmp_path, fake_run.sweep_cases(), lambda case, record: record if case.layer == "soft" else None,
                     status="interrupted", finished=None)  # fmt: skip
    (banner,) = made.banners
    assert banner.startswith("The run was interrupted: 9 of 14 cases have no result yet")


@pytest.mark.parametrize(
    ("end", "words"),
    [("over_budget", "The run's time budget was used up: 9"), ("no_device", "The device was lost: 9")],
)
def test_a_run_that_was_cut_short_says_by_what(tmp_path: Path, end: str, words: str) -> None:
    def cut(case: Case, record: dict[str, Any]) -> dict[str, Any]:
        left_out = fake_run.fail(record, "skipped", "not reached") | {"end": end}
        return record if case.layer == "soft" else left_out

    made = review_of(tmp_path, fake_run.sweep_cases(), cut, status="interrupted", end=end)
    (banner,) = made.banners
    assert banner.startswith(words)


def test_a_run_that_was_cut_short_with_every_result_counts_none_that_lack(tmp_path: Path) -> None:
    made = review_of(tmp_path, fake_run.sweep_cases(), status="interrupted", end="over_budget")
    (banner,) = made.banners
    assert banner.startswith("The run's time budget was used up: some cases may lack rounds; ")


def test_rounds_under_load_are_counted_in_a_table_of_their_own(tmp_path: Path) -> None:
    def mark(case: Case, record: dict[str, Any]) -> dict[str, Any]:
        note = "2 of 5 rounds were taken while other processes had the cores"
        return record | {"marks": {"busy": 2}, "notes": [note]} if case.layer == "soft" else record

    noise = review_of(tmp_path, fake_run.sweep_cases(), mark).noise
    (row,) = noise.marked
    assert (row.text, row.rounds, row.cases) == ("while other processes had the cores", 10, 5)
    assert noise.marked_rounds == 14 * fake_run.ROUNDS
    assert not any("rounds were taken" in note.text for note in noise.notes)
    page = render_page(review_of(tmp_path / "again", fake_run.sweep_cases(), mark))
    assert "taken while other processes had the cores" in page


def full_from(batch: int) -> fake_run.Edit:
    """Return an edit after which cases run out of memory at `batch`, and larger ones were not tried."""

    def edit(case: Case, record: dict[str, Any]) -> dict[str, Any]:
        if case.layer == "dense" or case.batch < batch:
            return record
        if case.batch == batch:
            return fake_run.fail(record, "oom", "out of memory on the device: scripted") | {"end": "oom_device"}
        return fake_run.fail(record, "skipped", "needs no less memory than another") | {"end": "pruned"}

    return edit


def test_remarks_that_differ_in_their_numbers_alone_are_one(tmp_path: Path) -> None:
    took = iter(range(100, 1000))

    def mark(case: Case, record: dict[str, Any]) -> dict[str, Any]:
        return record | {"notes": [f"had not settled: took 1.{next(took)}x", "this layer marks no phase"]}

    noise = review_of(tmp_path / "run", fake_run.sweep_cases(), mark).noise
    cases = len(fake_run.sweep_cases())
    told = [(note.text, note.cases) for note in noise.notes]
    assert told == [
        ("had not settled: took 1.100x; others with other numbers", cases),
        ("this layer marks no phase", cases),
    ]


def test_the_frontier_of_memory_is_drawn_along_its_axis(tmp_path: Path) -> None:
    some = [fake_run.make_case("soft", "soft", experts=8, batch=batch) for batch in (64, 1, 8, 512)]
    some += [fake_run.make_case("dense", "dense", batch=batch) for batch in (1, 8)]
    made = review_of(tmp_path, some, full_from(64))
    (row,) = made.memory.frontier
    assert (row.subject.variant, row.axis) == ("soft", "batch")
    assert [(step.value, step.state) for step in row.steps] == [
        ("1", "ran"), ("8", "ran"), ("64", "full"), ("512", "left"),
    ]  # fmt: skip
    assert "8 experts" in row.where
    assert "batch" not in row.where
    page = render_page(made)
    assert "Where memory ran out" in page
    assert '<span class="fr full" title="soft-S-e8-s1-b64-f32-forward: out of memory">64</span>' in page


def test_the_closed_form_is_not_held_against_compiled_cases(tmp_path: Path) -> None:
    some = [fake_run.make_case("soft", "soft", experts=8, batch=batch) for batch in (1, 8)]
    made = review_of(tmp_path, [*some, *(replace(case, compile=True) for case in some)])
    assert [pair.subject.id for pair in made.memory.pairs] == [case.id for case in some]
    alone = review_of(tmp_path / "alone", [replace(case, compile=True) for case in some])
    assert [(bar.predicted, bar.gap) for bar in alone.memory.bars] == [(None, None)]
    assert "no peaks that a closed form predicts" in plain(alone.memory.caption)
    assert render_page(alone)


def test_a_run_with_memory_enough_has_no_frontier(tmp_path: Path) -> None:
    made = review_of(tmp_path, fake_run.sweep_cases())
    assert made.memory.frontier == ()
    assert "Where memory ran out" not in render_page(made)


def test_records_that_break_off_are_read_up_to_the_cut(tmp_path: Path) -> None:
    folder = fake_run.write_run(tmp_path / "run", fake_run.sweep_cases())
    path = folder / "records.jsonl"
    path.write_bytes(path.read_bytes()[:-200])
    made = review(read_run(folder))
    assert made.banners == ("records.jsonl breaks off in line 14: this page shows what stands before it.",)
    assert made.coverage.counts == {"missing": 1}


def test_lines_that_are_no_records_are_counted(tmp_path: Path) -> None:
    folder = fake_run.write_run(tmp_path / "run", fake_run.sweep_cases())
    path = folder / "records.jsonl"
    lines = path.read_text("utf-8").splitlines()
    lines[2] = lines[2].replace('"value":', '"value":NaN,"was":', 1)
    path.write_text("\n".join(lines) + "\n", "utf-8")
    made = review(read_run(folder))
    assert "1 of 14 lines of records.jsonl are no valid records, the first is line 3" in made.banners[0]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / "run.json").unlink(), "is no run directory: it has no run.json"),
        (lambda folder: (folder / "records.jsonl").unlink(), "has a run.json but no records.jsonl"),
        (lambda folder: (folder / "run.json").write_text("{"), "run.json cannot be read: "),
        (lambda folder: (folder / "run.json").write_text("[]"), "run.json is not a run's description: "),
        (
            lambda folder: (folder / "run.json").write_text('{"schema": 2}'),
            "has schema 2, and this version reads up to",
        ),
        (
            lambda folder: (folder / "run.json").write_text('{"schema": 1}'),
            "run.json is not a run's description: suite",
        ),
        (lambda folder: (folder / "records.jsonl").write_text('{"schema": 2}\n'), "records.jsonl has schema 2"),
    ],
)
def test_what_is_no_run_is_said_in_one_sentence(tmp_path: Path, spoil: Any, message: str) -> None:
    folder = fake_run.write_run(tmp_path / "run", fake_run.sweep_cases())
    spoil(folder)
    with pytest.raises(ReportError, match=r"^[^\n]+$") as caught:
        render(folder, html=tmp_path / "report.html")
    assert message in str(caught.value)
    assert not (tmp_path / "report.html").exists()


def test_a_missing_folder_and_a_file_are_no_runs(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="it does not exist"):
        render(tmp_path / "nothing", html=tmp_path / "report.html")
    (tmp_path / "file").write_text("")
    with pytest.raises(ReportError, match="is no run directory: a file"):
        render(tmp_path / "file", html=tmp_path / "report.html")


def test_paths_are_checked_before_any_work(tmp_path: Path) -> None:
    folder = fake_run.write_run(tmp_path / "run", fake_run.sweep_cases())
    with pytest.raises(ReportError, match=r"the folder .* does not exist"):
        render(folder, html=tmp_path / "none" / "report.html")
    with pytest.raises(ReportError, match="is a folder"):
        render(folder, html=tmp_path)
    own = [folder / name for name in ("summary.md", "junit.xml", "journal.jsonl", "run.json")]
    for taken in (*own, tmp_path / "page.json"):
        with pytest.raises(ReportError, match="choose another"):
            render(folder, html=taken)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]
    assert sorted(path.name for path in folder.iterdir()) == ["records.jsonl", "run.json"]


def test_only_a_regular_file_is_replaced(tmp_path: Path) -> None:
    folder = fake_run.write_run(tmp_path / "run", fake_run.sweep_cases())
    os.mkfifo(tmp_path / "pipe.html")
    os.mkfifo(tmp_path / "page.json")
    os.mkfifo(tmp_path / "tests.junit.xml")
    for name in ("pipe.html", "page.html", "tests.html"):
        with pytest.raises(ReportError, match="is no regular file"):
            render(folder, html=tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["page.json", "pipe.html", "run", "tests.junit.xml"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    folder = fake_run.write_run(tmp_path / "run", fake_run.sweep_cases())
    (tmp_path / "page.html").symlink_to(tmp_path / "kept.html")
    render(folder, html=tmp_path / "page.html")
    assert (tmp_path / "page.html").is_symlink()
    assert (tmp_path / "kept.html").read_text("utf-8").startswith("<!doctype html>")


def test_files_beside_the_page_are_named_after_it(tmp_path: Path) -> None:
    folder = fake_run.write_run(tmp_path / "run", fake_run.sweep_cases())
    others = {"summary.md": "mine", "report.json": "mine"}
    for name, content in others.items():
        (tmp_path / name).write_text(content)
    rendered = render(folder, html=tmp_path / "page.html")
    assert (rendered.summary.name, rendered.data.name) == ("page.summary.md", "page.json")
    assert {name: (tmp_path / name).read_text() for name in others} == others
    inside = render(folder, html=folder / "report.html")
    assert (inside.summary, inside.data) == (folder / "summary.md", folder / "report.json")
    assert (rendered.junit, inside.junit) == (tmp_path / "page.junit.xml", folder / "junit.xml")


def test_the_time_of_a_resumed_run_is_that_of_its_visits(tmp_path: Path) -> None:
    folder = fake_run.write_run(tmp_path / "run", fake_run.sweep_cases(), finished="2026-11-24T09:00:00+00:00")
    untold = review(read_run(folder))
    assert plain(untold.provenance.finding) == "One command repeats the run, on Test CPU (invented)."
    assert untold.facts[3].lines == (
        "21 Nov 2026, 02:14 UTC to 24 Nov 2026, 09:00 UTC",
        "5 rounds a case",
        "noise floor not known",
    )
    lines = [json.dumps({"visit": visit, "seconds": 31.5}) for visit in range(4)]
    (folder / "journal.jsonl").write_text("\n".join([*lines, '{"visit": 4, "seconds": 9']), "utf-8")
    told = review(read_run(folder))
    assert plain(told.provenance.finding) == "One command repeats the run, 2 min 6 s of visits, on Test CPU (invented)."
    assert told.facts[3].lines[1] == "2 min 6 s of visits, 5 rounds a case"


def test_every_sentence_ends_and_holds_no_stray_value(quick: Review) -> None:
    for section in quick.sections:
        assert plain(section.finding).endswith("."), section.id
    text = all_text(quick)
    for stray in ("None", "nan", "{", "}", "  ", " ,", " ."):
        assert stray not in text, stray


def test_report_json_is_the_review(quick: Review, tmp_path: Path) -> None:
    folder = fake_run.write_run(tmp_path / "run", fake_run.quick_cases())
    rendered = render(folder, html=tmp_path / "report.html")
    data = json.loads(rendered.data.read_text("utf-8"))
    assert "".join(span["text"] for span in data["answer"]) == plain(quick.answer) == rendered.verdict
    assert data["ratios"]["blocks"][0]["groups"][0]["rows"][0]["value"] == quick.ratios.blocks[0].rows[0].value


def test_many_variants_share_four_fillings(tmp_path: Path) -> None:
    case = fake_run.make_case("v", "token_choice", experts=8)
    made = review_of(tmp_path, [replace(case, variant=f"v{index}") for index in range(9)])
    assert [identity.step for identity in made.identities] == [0, 1, 2, 3, 0, 1, 2, 3, 0]


def test_a_dense_mixture_has_words_of_its_own_and_no_colour() -> None:
    family = family_of("dense_moe")
    assert (NAMES[family], HUE[family]) == ("dense mixture", HUE[family_of("plug-in")])


def test_the_headline_setting_is_the_largest_batch_forward(tmp_path: Path) -> None:
    context = Context(read_run(fake_run.write_run(tmp_path / "run", fake_run.quick_cases())))
    assert context.headline is not None
    assert (context.headline.batch, context.headline.pass_, context.headline.size) == (8, "forward", "S")
    assert {setting.batch for setting in context.largest_batch} == {8}


def test_reports_needs_no_torch() -> None:
    code = "import sys, reports, reports.page, reports.summary, reports.data; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_page_leaves_torchs_build_flags_to_run_json(tmp_path: Path) -> None:
    build = "GCC 13.3; OpenMP 201511 (a.k.a. OpenMP 4.5); Build settings: CXX_FLAGS= -O2 -Wall"
    device = {"kind": "cpu", "name": "Test CPU (invented)", "torch_build": build}
    made = review_of(tmp_path, [fake_run.make_case("dense", "dense")], device=device)
    (fact,) = [fact for fact in made.provenance.facts if fact.name == "Device torch build"]
    assert fact.lines == ("GCC 13.3; OpenMP 201511; flags in run.json",)


def test_provenance_says_a_fact_of_the_device_once(tmp_path: Path) -> None:
    device = {"kind": "cpu", "name": "Test CPU (invented)", "class": "Test CPU (invented)", "memory_bytes": 2**34}
    environment = {"cpu": "Test CPU (invented)", "memory_bytes": 2**35, "kernel": "6.1"}
    made = review_of(tmp_path, [fake_run.make_case("dense", "dense")], device=device, environment=environment)
    told = {fact.name: fact.lines for fact in made.provenance.facts}
    assert {"Device class", "CPU"}.isdisjoint(told)
    assert (told["Device memory"], told["Memory"]) == (("16.0 GiB",), ("32.0 GiB",)), "a container's share is told"


def test_provenance_lists_the_devices_of_a_run_that_was_spread(tmp_path: Path) -> None:
    devices = [
        {"name": "cpu:0", "class": "Test CPU", "cores": "0,1"},
        {"name": "10.0.0.4/cuda:1", "class": "Test GPU", "hostname": "node-4", "node": "c0ffee"},
    ]
    spread = review_of(tmp_path / "spread", [fake_run.make_case("dense", "dense")], devices=devices)
    (fact,) = [fact for fact in spread.provenance.facts if fact.name == "Devices"]
    assert fact.lines == ("cpu:0, cores 0,1", "10.0.0.4/cuda:1 on node-4")
    alone = review_of(tmp_path / "alone", [fake_run.make_case("dense", "dense")])
    assert not [fact for fact in alone.provenance.facts if fact.name == "Devices"]
