"""A run's claims: each expectation decided on cases with known numbers, and turned over by ones that violate it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.case import Case
from reports.claims import Decided
from reports.page import render_page
from reports.read import read_run
from reports.review import Review, review
from tests import fake_run
from tests.test_versus import again

CASES = fake_run.sweep_cases()


def made(folder: Path, times: float, *claims: dict[str, Any], **values: float) -> Review:
    """Return the review of a run in which time grows with experts to the power `times`, and metrics have `values`."""

    def edit(case: Case, record: dict[str, Any]) -> dict[str, Any]:
        time = record["metrics"]["latency_ms"]
        scale = (case.experts or 1) ** times / time["value"] * (2 if case.layer == "soft" else 1)
        time["rounds"] = [value * scale for value in time["rounds"]]
        time |= {end: time[end] * scale for end in ("value", "low", "high")}
        for name, value in values.items():
            record["metrics"][name] = {"value": value}
        return record

    run = fake_run.run_file(CASES)
    run["suite"]["claims"] = [{"id": str(n), "text": "It holds.", "within": 0.1} | one for n, one in enumerate(claims)]
    return review(read_run(fake_run.write_run(folder, CASES, edit=again(1, edit), suite=run["suite"])))


def only(found: Review) -> Decided:
    (row,) = found.claims.rows
    return row.decided


ALONG = {"metric": "latency_ms", "along": "experts", "where": "variant == 'soft'"}


@pytest.mark.parametrize(
    ("claim", "holding", "violating"),
    [
        (ALONG | {"expect": "flat"}, 0.0, 0.5),
        (ALONG | {"expect": "rises"}, 0.5, 0.0),
        (ALONG | {"expect": "falls"}, -0.5, 0.0),
        (ALONG | {"expect": "exponent", "value": 0.5}, 0.5, 1.0),
    ],
)
def test_along_an_axis(tmp_path: Path, claim: dict[str, Any], holding: float, violating: float) -> None:
    kept = only(made(tmp_path / "a", holding, claim))
    assert (kept.verdict, kept.needs, kept.cases) == ("confirmed", None, 5)
    assert all("soft" in row for row in kept.rows)
    assert only(made(tmp_path / "b", violating, claim)).verdict == "refuted"


def test_one_layer_against_another(tmp_path: Path) -> None:
    claim = {"metric": "latency_ms", "where": "variant == 'top-2'", "against": "variant == 'soft'"}
    assert only(made(tmp_path / "a", 0.0, claim | {"expect": "faster_than"})).verdict == "confirmed"
    assert only(made(tmp_path / "b", 0.0, claim | {"expect": "equal"})).verdict == "refuted"
    swapped = claim | {"where": claim["against"], "against": claim["where"], "expect": "faster_than"}
    assert only(made(tmp_path / "c", 0.0, swapped)).verdict == "refuted"


@pytest.mark.parametrize(
    ("expect", "value", "seen", "word"),
    [
        ("at_least", 1.0, 1.0, "confirmed"),
        ("at_least", 1.0, 0.5, "refuted"),
        ("at_most", 0.5, 0.4, "confirmed"),
        ("at_most", 0.1, 0.4, "refuted"),
        ("equal", 0.5, 0.5, "confirmed"),
        ("equal", 0.5, 0.9, "refuted"),
    ],
)
def test_a_number_without_noise_always_decides(
    tmp_path: Path, expect: str, value: float, seen: float, word: str
) -> None:
    claim = {"metric": "det_composition", "where": "layer == 'soft'", "expect": expect, "value": value}
    assert only(made(tmp_path, 0.0, claim, det_composition=seen)).verdict == word


def test_one_case_without_noise_that_lies_outside_refutes(tmp_path: Path) -> None:
    claim = {"metric": "params", "where": "layer == 'soft'", "along": "experts", "expect": "flat"}
    one = only(made(tmp_path, 0.0, claim))
    assert one.verdict == "refuted"
    assert one.estimate is not None
    assert one.estimate.value > 10


def test_ranks_correlate(tmp_path: Path) -> None:
    claim = {"metric": "latency_ms", "to": "params", "expect": "correlates", "value": 0.2, "where": "layer != 'dense'"}
    assert only(made(tmp_path / "a", 1.0, claim)).verdict == "confirmed"
    assert only(made(tmp_path / "b", -1.0, claim)).verdict == "refuted"


@pytest.mark.parametrize(
    ("claim", "needs"),
    [
        ({}, "a metric and an expectation"),
        ({"metric": "latency_ms", "expect": "flat", "along": "experts", "where": "batch == 99"}, "this run has none"),
        ({"metric": "latency_ms", "expect": "flat", "along": "tokens"}, "cases that differ in tokens alone"),
        ({"metric": "latency_ms", "expect": "flat", "along": "tokens", "moving": ["batch"]}, "in tokens and batch"),
        ({"metric": "compile_ms", "expect": "at_most", "value": 1.0}, "is its probe in [measure]?"),
        ({"metric": "latency_ms", "expect": "faster_than", "against": "batch == 99"}, "a case at the same setting"),
        ({"metric": "latency_ms", "expect": "at_most", "to": "compile_ms", "value": 1.0}, "has compile_ms beside"),
        ({"metric": "latency_ms", "expect": "correlates", "to": "slots", "where": "batch == 8"}, "6 cases or more"),
    ],
)
def test_what_cannot_be_decided_says_why(tmp_path: Path, claim: dict[str, Any], needs: str) -> None:
    one = only(made(tmp_path, 0.0, claim))
    assert one.verdict == "undecided"
    assert needs in (one.needs or "")


def test_the_page_lists_what_was_refuted_first(tmp_path: Path) -> None:
    flat = ALONG | {"expect": "flat", "text": "Time stays <flat>.", "source": "A paper, section 2"}
    rises = ALONG | {"expect": "rises", "text": "Time rises."}
    found = made(tmp_path, 0.5, flat, rises)
    assert [row.decided.verdict for row in found.claims.rows] == ["refuted", "confirmed"]
    assert found.claims.attention == "! 1"
    page = render_page(found)
    assert "Time stays &lt;flat&gt;." in page
    assert "A paper, section 2" in page
    assert "Of 2 claims, 1 holds and 1 does not here." in page


def test_a_suite_without_claims_says_so(tmp_path: Path) -> None:
    found = made(tmp_path, 0.0)
    assert found.claims.missing


@pytest.mark.parametrize(("times", "verdict"), [(0.0, "confirmed"), (0.5, "refuted")])
def test_a_claims_picture_shows_its_verdict(tmp_path: Path, times: float, verdict: str) -> None:
    """The bar lies in the grey where the claim is confirmed, and beside it where it is refuted."""
    found = made(tmp_path / "run", times, ALONG | {"expect": "flat"})
    (row,) = found.claims.rows
    assert row.decided.verdict == verdict
    assert row.picture is not None
    (start, end), (low, high), at = row.picture.holds, row.picture.interval, row.picture.estimate
    assert 0 <= min(start, low) < max(end, high) <= 100
    assert low <= at <= high
    assert (start <= low and high <= end) == (verdict == "confirmed")
    assert (high < start or end < low) == (verdict == "refuted")


def test_an_open_end_of_a_claim_reaches_the_edge_of_its_picture(tmp_path: Path) -> None:
    rises, falls = (made(tmp_path / word, 0.5, ALONG | {"expect": word}).claims.rows[0].picture
                    for word in ("rises", "falls"))  # fmt: skip
    assert rises is not None
    assert falls is not None
    assert rises.holds[1] == 100
    assert falls.holds[0] == 0


def test_a_claim_without_an_estimate_has_no_picture(tmp_path: Path) -> None:
    (row,) = made(tmp_path / "run", 0.5, {"metric": "energy_j", "expect": "flat", "along": "experts"}).claims.rows
    assert row.picture is None
