"""The gate on claims: what was shown of the baseline, and is refuted, or no longer shown, of the candidate."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import pytest

from harness.case import Case
from harness.declare.policy import USUAL, Policy, parse_policy
from reports.read import read_run
from reports.versus.gate import Gate, confirmed, document, judge, lines
from reports.versus.junit import render_junit
from tests import fake_run
from tests.test_versus import CASES, again

FLAT = {"metric": "latency_ms", "along": "experts", "where": "variant == 'soft'", "expect": "flat", "within": 0.3}
LIGHT = {"metric": "memory_peak_bytes", "where": "layer == 'soft'", "expect": "at_most", "value": 1e12}
TIMES: Policy = USUAL.model_copy(update={"rules": [USUAL.rules[0].model_copy(update={"alert": "ignore"})]})
"""Looks at no number, so that claims alone decide."""


def run(folder: Path, power: float, *, spread: float = 0.0, claims: tuple[dict[str, Any], ...] = (FLAT,)) -> Path:
    """Write a run in which times grow with experts to that power, and every second round by `spread`."""

    def edit(case: Case, record: dict[str, Any]) -> dict[str, Any]:
        experts, time = case.experts or 1, record["metrics"]["latency_ms"]
        time["rounds"] = [experts ** (power + spread * (-1) ** n) * (1 + 1e-4 * n) for n in range(8)]
        return record

    suite = fake_run.run_file(CASES)["suite"]
    suite["claims"] = [{"id": f"claim-{n}", "text": "It holds."} | claim for n, claim in enumerate(claims)]
    return fake_run.write_run(folder, CASES, edit=again(1, edit), suite=suite)


def gate(folder: Path, before: float, after: float, policy: Policy = TIMES, **options: Any) -> Gate:
    base, candidate = run(folder / "base", before), run(folder / "candidate", after, **options)
    return judge(read_run(base), read_run(candidate), policy)


def test_a_claim_that_held_and_is_refuted_shuts_the_gate(tmp_path: Path) -> None:
    found = gate(tmp_path, 0.0, 1.0, spread=0.01)
    (one,) = found.refuted
    assert (one.before, one.claim.verdict, one.alert) == ("confirmed", "refuted", "fail")
    assert not found.passes
    told = list(lines(found))
    assert "FAILED: claim claim-0 was confirmed and is refuted: 16.0× [15.6, 16.4] (It holds.)" in told
    assert told[-1] == "The gate is shut: 1 claim newly refuted."
    expected = {"id": "claim-0", "before": "confirmed", "after": "refuted", "alert": "fail"}
    assert document(found)["claims"] == [expected]


@pytest.mark.parametrize(("before", "after"), [(0.0, 0.0), (1.0, 1.0), (1.0, 0.0)])
def test_what_holds_or_never_held_is_nothing(tmp_path: Path, before: float, after: float) -> None:
    found = gate(tmp_path, before, after)
    assert found.passes
    assert found.claims == ()


def test_a_new_claim_that_is_refuted_shuts_it_too(tmp_path: Path) -> None:
    base, candidate = run(tmp_path / "base", 1.0, claims=()), run(tmp_path / "candidate", 1.0)
    (one,) = judge(read_run(base), read_run(candidate), TIMES).refuted
    assert one.words.startswith("claim claim-0 is new and is refuted")


@pytest.mark.parametrize(("alert", "claims"), [("fail", 1), ("warn", 1), ("ignore", 0)])
def test_the_policy_says_what_a_refuted_claim_means(tmp_path: Path, alert: str, claims: int) -> None:
    rule = '[[rule]]\nmetrics = ["params"]\n'
    found = gate(tmp_path, 0.0, 1.0, parse_policy(f'refuted = "{alert}"\n{rule}'))
    assert found.passes is (alert != "fail")
    assert len(found.claims) == claims
    assert any(line.startswith("warning: claim claim-0") for line in lines(found)) is (alert == "warn")


def test_a_claim_that_is_no_longer_decided_is_a_warning(tmp_path: Path) -> None:
    found = gate(tmp_path, 0.0, 0.0, spread=0.5)
    (one,) = found.claims
    assert (one.before, one.claim.verdict, one.alert) == ("confirmed", "undecided", "warn")
    assert found.passes


def test_a_claim_about_times_is_measured_again_and_must_be_refuted_twice(tmp_path: Path) -> None:
    first = gate(tmp_path / "a", 0.0, 1.0)
    assert set(first.suspects) == set(first.refuted[0].claim.rows)
    assert confirmed(first, first).refuted == first.refuted
    cleared = confirmed(first, gate(tmp_path / "b", 0.0, 0.0))
    assert cleared.passes
    assert cleared.claims == ()
    assert any("measured again it is not refuted" in line for line in lines(cleared))


def test_a_claim_without_noise_needs_no_second_look(tmp_path: Path) -> None:
    base = run(tmp_path / "base", 0.0, claims=(LIGHT,))
    heavy = run(tmp_path / "candidate", 0.0, claims=(LIGHT | {"value": 1.0},))
    first = judge(read_run(base), read_run(heavy), TIMES)
    assert first.suspects == ()
    assert confirmed(first, judge(read_run(base), read_run(base), TIMES)).refuted == first.refuted


def test_junit_has_a_test_for_a_claim_that_turned(tmp_path: Path) -> None:
    failed = Xml.fromstring(render_junit(gate(tmp_path / "a", 0.0, 1.0)))
    (test,) = [one for one in failed.iter("testcase") if one.get("classname") == "harness.claims"]
    assert test.get("name") == "claim-0"
    assert "was confirmed and is refuted" in (test[0].get("message") or "")
    assert (failed.get("tests"), failed.get("failures")) == (str(len(CASES) + 1), "1")
    told = Xml.fromstring(render_junit(gate(tmp_path / "b", 0.0, 0.0, spread=0.5)))
    assert (told.get("failures"), told.get("skipped")) == ("0", "1")
