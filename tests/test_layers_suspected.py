"""Layers that look slower as a whole: suspected where no case of theirs alerts, and judged by a second look alone."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from harness.case import Case
from harness.declare.policy import USUAL, Policy, Rule
from harness.judge.compare import changes, paired_changes
from reports.read import read_run
from reports.versus import text
from reports.versus.gate import Gate, confirmed, document, judge, lines
from reports.versus.layers import slower_layers
from reports.versus.pairs import Pair, pairs
from tests import fake_run

CASES = fake_run.sweep_cases()
SOFT = {case.id for case in CASES if case.variant == "soft"}
NOISY = 0.1
"""Noise of a round, in which 10 % more of one case is lost."""


def folder(path: Path, seed: int, soft: float = 1.0, noise: float = NOISY, speed: float = 1.0) -> Path:
    """Write a run of eight rounds; `soft` is what its Soft MoE takes, `speed` what its machine takes, of before."""

    def drawn(case: Case, record: dict[str, Any]) -> dict[str, Any]:
        draw = random.Random(f"{seed}{case.id}")
        data: dict[str, Any] = json.loads(json.dumps(record, default=lambda value: value.model_dump()))
        time = data["metrics"]["latency_ms"]
        takes = time["value"] * speed * (soft if case.variant == "soft" else 1.0)
        time["rounds"] = [takes * draw.lognormvariate(0, noise) for _ in range(8)]
        return data

    return fake_run.write_run(path, CASES, edit=drawn)


def gate(path: Path, seed: int = 2, policy: Policy = USUAL, **candidate: float) -> Gate:
    base, other = (
        folder(path / "base", 1, noise=candidate.get("noise", NOISY)),
        folder(path / "other", seed, **candidate),
    )
    return judge(read_run(base), read_run(other), policy)


def test_a_layer_is_suspected_where_none_of_its_cases_alerts(tmp_path: Path) -> None:
    found = gate(tmp_path, soft=1.1)
    assert not found.failures
    assert found.passes
    assert [one.name for one in found.versus.layers] == ["soft"]
    assert set(found.suspects) == SOFT
    assert next(iter(lines(found))).startswith("suspect: soft as a whole (5 cases) beside the other layers: 1.")
    assert {row["id"] for row in document(found)["suspected"]} == SOFT  # type: ignore[attr-defined]
    assert "soft" in json.dumps(text.document(found.versus)["layers"])


def test_its_cases_fail_as_the_second_look_has_them(tmp_path: Path) -> None:
    first = gate(tmp_path / "first", soft=1.1)
    cleared = confirmed(first, gate(tmp_path / "sound", seed=3, noise=0.005))
    assert cleared.passes
    assert not cleared.warnings
    assert next(iter(lines(cleared))).endswith("what its cases say for themselves counts")
    shut = confirmed(first, gate(tmp_path / "slow", seed=3, soft=1.1, noise=0.005))
    assert {(row.id, row.metric) for row in shut.failures} == {(one, "latency_ms") for one in SOFT}
    assert not shut.passes


def test_what_a_second_look_finds_elsewhere_is_its_first_alert(tmp_path: Path) -> None:
    first = gate(tmp_path / "first", soft=1.1)
    elsewhere = confirmed(first, gate(tmp_path / "all", seed=3, soft=1.1, noise=0.005, speed=1.2))
    assert {row.id for row in elsewhere.failures} == SOFT


def test_a_machine_that_is_slower_throughout_raises_no_suspicion(tmp_path: Path) -> None:
    assert not gate(tmp_path, speed=1.3).versus.layers


def test_a_policy_that_counts_no_time_asks_for_no_second_look(tmp_path: Path) -> None:
    exact = Policy(rule=[Rule(metrics=["latency_ms"], alert="ignore"), Rule(metrics=["params"])])
    assert not gate(tmp_path, soft=1.1, policy=exact).suspects


def test_equals_are_suspected_in_one_sweep_of_twenty(tmp_path: Path) -> None:
    both = list(pairs(*(read_run(folder(tmp_path / name, 1)) for name in ("a", "b"))))
    found = sum(bool(slower_layers(_drawn(both, seed), changes)) for seed in range(200))
    assert found <= stats.binom.ppf(0.99, 200, 0.05)


def test_rounds_side_by_side_are_judged_as_such(tmp_path: Path) -> None:
    both = list(pairs(*(read_run(folder(tmp_path / name, 1)) for name in ("a", "b"))))
    assert not slower_layers(both, paired_changes)
    slower = [replace(pair, candidate=_times(pair.candidate, 1.03 if pair.id in SOFT else 1.0)) for pair in both]
    assert [one.name for one in slower_layers(slower, paired_changes)] == ["soft"]
    assert not slower_layers(slower, changes)


def _drawn(both: list[Pair], seed: int) -> list[Pair]:
    rng = np.random.default_rng(seed)

    def times(result: Any) -> Any:
        old = result.metrics["latency_ms"]
        rounds = (old.value * np.exp(rng.normal(0, NOISY, 8))).tolist()
        return replace(result, metrics={"latency_ms": replace(old, rounds=rounds)})

    return [Pair(times(pair.base), times(pair.candidate)) for pair in both]


def _times(result: Any, factor: float) -> Any:
    old = result.metrics["latency_ms"]
    new = replace(old, rounds=[factor * one for one in old.rounds])
    return replace(result, metrics=result.metrics | {"latency_ms": new})
