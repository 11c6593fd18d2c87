"""The report's section on determinism: what a cell says, what the heading says, and what routers do at ties."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.case import Case
from reports.sections.determinism import Determinism
from reports.sections.determinism_cells import COLUMNS, DETAILS, Cell
from reports.words import plain
from tests import fake_run
from tests.cases import dense, expert_choice, token_choice
from tests.test_review import review_of

TILED = dense(variant="tiled", backend="fixed_tile", batch=8)
PLAIN = dense(variant="plain", batch=8)
DROPPING = token_choice(variant="dropping", batch=8, capacity_factor=1.0)
ROUTED = token_choice(variant="routed", batch=8)
COUPLED = expert_choice(variant="coupled", batch=8)


def values(axis: str, share: float, **ends: float | str) -> dict[str, dict[str, float | str]]:
    """Return the metrics of an axis as a record holds them."""
    own = {f"det_{axis}": share} | {f"det_{axis}_{end}": value for end, value in ends.items()}
    return {name: {"value": value} for name, value in own.items()}


EQUAL: dict[str, Any] = {"max_rel": 0.0, "changed": 0.0, "cause": "none", "bound": 0.00581}
ROUNDING: dict[str, Any] = {
    "max_rel": 5.2, "changed": 0.0, "cause": "rounding", "detail": "gemm_tiling", "proof": "taps",
}  # fmt: skip
DROP: dict[str, Any] = {"max_rel": 9e6, "changed": 0.25, "cause": "drop", "detail": "drop", "proof": "float64"}
FLIP: dict[str, Any] = {
    "max_rel": 9e6, "changed": 0.1, "cause": "routing_flip", "detail": "routing_flip", "proof": "replay",
}  # fmt: skip
COUPLING: dict[str, Any] = DROP | {"cause": "coupling", "detail": "coupling"}
SEEN: dict[str, dict[str, dict[str, float | str]]] = {
    "tiled": values("batch_size", 1.0, **EQUAL) | values("environment", 0.0, **ROUNDING),
    "plain": values("batch_size", 0.0, **ROUNDING),
    "dropping": values("batch_size", 0.5, **DROP) | values("padding", 0.7, **DROP),
    "routed": values("batch_size", 0.9, **FLIP),
    "coupled": values("batch_size", 0.6, **COUPLING),
}


def section_of(folder: Path, *cases: Case, more: dict[str, float] | None = None) -> Determinism:
    def edit(case: Case, record: dict[str, Any]) -> dict[str, Any]:
        record = fake_run.without(record, "det_")
        record["metrics"] |= SEEN[case.variant] | {name: {"value": value} for name, value in (more or {}).items()}
        return record

    return review_of(folder, list(cases), edit).determinism


def cell_of(section: Determinism, variant: str, axis: str = "batch_size") -> Cell:
    cell = next(row for row in section.rows if row.variant == variant).cell(axis)
    assert cell is not None
    return cell


@pytest.fixture(scope="module")
def section(tmp_path_factory: pytest.TempPathFactory) -> Determinism:
    return section_of(tmp_path_factory.mktemp("run"), TILED, PLAIN, DROPPING, ROUTED, COUPLED)


@pytest.mark.parametrize(
    ("variant", "words"),
    [
        ("tiled", ("eq", "bit-equal", "< 0.59 % of rows differ", "")),
        ("plain", ("rd", "rounding", "no row equal, 5.20 eps", "products’ tiling, seen at its taps")),
        ("dropping", ("dr", "drops", "25 % of rows change", "capacity, stays in float64")),
        ("routed", ("fl", "routing flips", "10 % of rows change", "routing, gone when replayed")),
        ("coupled", ("cp", "coupled", "25 % of rows change", "by design, stays in float64")),
    ],
)
def test_a_cell_says_what_changes_why_and_what_confirmed_it(
    section: Determinism, variant: str, words: tuple[str, ...]
) -> None:
    cell = cell_of(section, variant)
    assert (cell.kind, cell.word, cell.detail, cell.why) == words


def test_rounding_that_float64_confirmed_is_gone_there(tmp_path: Path) -> None:
    made = section_of(tmp_path, PLAIN, more={})
    assert cell_of(made, "plain").why.endswith("seen at its taps")
    boxed = {"det_batch_size_proof": {"value": "float64"}}

    def edit(_: Case, record: dict[str, Any]) -> dict[str, Any]:
        record["metrics"] |= SEEN["plain"] | boxed
        return record

    assert cell_of(review_of(tmp_path / "other", [PLAIN], edit).determinism, "plain").why == (
        "products’ tiling, gone in float64"
    )


def test_the_columns_are_the_axes_that_were_measured(section: Determinism) -> None:
    assert [axis for axis, *_ in section.columns] == ["batch_size", "padding", "environment"]
    assert {"drops", "environment", "causal", "padding"} < set(COLUMNS)
    assert len(set(DETAILS.values())) == len(DETAILS)


def test_the_heading_says_to_whom_neighbours_matter_and_who_keeps_every_bit(tmp_path: Path) -> None:
    def heading(*cases: Case) -> str:
        folder = tmp_path / "-".join(case.variant for case in cases)
        return plain(section_of(folder, *cases).finding)

    assert heading(TILED) == "Beyond rounding, no row depends on its neighbours."
    assert heading(TILED, PLAIN) == (
        "Beyond rounding, no row depends on its neighbours; tiled keeps every bit when the batch size changes."
    )
    assert heading(TILED, PLAIN, DROPPING) == (
        "Beyond rounding, a row’s neighbours matter only to dropping; "
        "tiled keeps every bit when the batch size changes."
    )
    assert heading(PLAIN, COUPLED, DROPPING) == (
        "Beyond rounding, a row’s neighbours matter only to coupled and dropping."
    )


def test_ties_stand_below_the_matrix_where_a_router_was_measured(tmp_path: Path, section: Determinism) -> None:
    assert section.ties == ()
    flips = {"flip_rate": 0.0, "flip_rate_predicted": 2e-5, "tie_flip_rate": 0.4375, "tie_flips_left": 0.0}
    (tie,) = section_of(tmp_path, ROUTED, more=flips).ties
    assert tie.name.startswith("routed")
    assert (tie.flips, tie.predicted, tie.at_ties, tie.left) == ("0 %", "0.002 %", "44 %", "0 %")
    (quiet,) = section_of(tmp_path / "quiet", ROUTED, more={"flip_rate": 0.0, "tie_flip_rate": 0.0}).ties
    assert (quiet.at_ties, quiet.left) == ("0 %", "–")


def test_variants_are_counted_and_not_their_rows(tmp_path: Path) -> None:
    """A variant in two number formats is one; it is batch-invariant only if it is in both."""
    half = token_choice(variant="half", batch=8, dtype="bfloat16")
    cases = [TILED, half, token_choice(variant="half", batch=8), DROPPING]

    def edit(case: Case, record: dict[str, Any]) -> dict[str, Any]:
        record = fake_run.without(record, "det_")
        share = SEEN[case.variant] if case.variant != "half" else _half(case.dtype)
        record["metrics"] |= share
        return record

    made = review_of(tmp_path, cases, edit)
    (card,) = (card for card in made.cards if card.kind == "determinism")
    assert len(made.determinism.rows) == 4
    assert (card.word, card.big, card.interval) == ("not batch-invariant", "2 of 3", "variants")
    assert card.text == (
        "whose rows, all or some, change when the batch size does; "
        "bit for bit the same: tiled; in part half (grouped, f32)"
    )


def test_the_card_counts_what_its_word_says(tmp_path: Path) -> None:
    def card(*cases: Case) -> tuple[str, str, str]:
        made = review_of(tmp_path / "-".join(case.variant for case in cases), list(cases), _seen)
        (found,) = (card for card in made.cards if card.kind == "determinism")
        return found.word, found.big, found.text

    assert card(TILED) == ("batch-invariant", "1 of 1", "whose rows keep every bit when the batch size changes: tiled")
    assert card(PLAIN, DROPPING) == (
        "not batch-invariant",
        "2 of 2",
        "whose rows, all or some, change when the batch size does; why: drops and rounding",
    )


def test_the_heading_counts_configurations_and_not_their_names(tmp_path: Path) -> None:
    """Four droppers in two formats are eight configurations of four names."""
    cases = [replace(DROPPING, variant=name, dtype=dtype) for name in "abcd" for dtype in ("float32", "bfloat16")]
    made = review_of(tmp_path, cases, lambda case, record: _seen(DROPPING, record))
    assert plain(made.determinism.finding) == "Beyond rounding, a row’s neighbours matter in 8 of 8 configurations."


def test_the_heading_says_whose_configurations_it_counts(tmp_path: Path) -> None:
    """Four of five droppers drop in both formats, the fifth in one."""
    names = [(name, dtype) for name in "abcde" for dtype in ("float32", "bfloat16")]
    cases = [replace(DROPPING, variant=name, dtype=dtype) for name, dtype in names]

    def edit(case: Case, record: dict[str, Any]) -> dict[str, Any]:
        return _seen(TILED if (case.variant, case.dtype) == ("e", "bfloat16") else DROPPING, record)

    made = review_of(tmp_path, cases, edit)
    assert plain(made.determinism.finding) == (
        "Beyond rounding, a row’s neighbours matter in 9 of 10 configurations: all of a, b, c and d, some of e."
    )


def test_what_keeps_every_bit_of_all_variants_is_named(tmp_path: Path) -> None:
    """Two variants, each in two backends: neither keeps every bit, one of the backends does for both."""
    cases = [
        token_choice(variant=name, batch=8, backend=backend) for name in ("a", "b") for backend in ("grouped", "loop")
    ]

    def edit(case: Case, record: dict[str, Any]) -> dict[str, Any]:
        return fake_run.without(_seen(TILED if case.backend == "loop" else PLAIN, record), "latency_ms")

    made = review_of(tmp_path, cases, edit)
    (card,) = (card for card in made.cards if card.kind == "determinism")
    assert card.big == "2 of 2"
    assert card.text.endswith("bit for bit the same: all 2 with loop")
    assert plain(made.answer).endswith(
        "0 of 2 variants keep every bit of a row when the batch size changes, "
        "2 more only in some of their configurations; with loop all 2 do."
    )


def _seen(case: Case, record: dict[str, Any]) -> dict[str, Any]:
    record = fake_run.without(record, "det_")
    record["metrics"] |= SEEN[case.variant]
    return record


def _half(dtype: str) -> dict[str, dict[str, float | str]]:
    return values("batch_size", 1.0, **EQUAL) if dtype == "float32" else values("batch_size", 0.5, **ROUNDING)
