"""The gate: what a policy lets pass, what alerts once, and what alerts twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import pytest
import typer

from harness.cli.wanted import Wanted
from harness.declare.policy import USUAL, Policy, Rule
from harness.declare.suite import load_suite
from harness.engine.sweep import RunResult
from reports.read import read_run
from reports.versus.gate import Gate, confirmed, judge, lines
from reports.versus.junit import render_junit
from tests import fake_run
from tests.ceilings import keep_ceilings
from tests.fake_run import Edit
from tests.sweeps import ROOT
from tests.test_cli import harness
from tests.test_versus import CASES, VICTIM, again, only, slow


def gate(folder: Path, edit: Edit | None = None, policy: Policy = USUAL) -> Gate:
    base = fake_run.write_run(folder / "base", CASES, edit=again(1))
    candidate = fake_run.write_run(folder / "candidate", CASES, edit=again(2, edit))
    return judge(read_run(base), read_run(candidate), policy)


def heavier(record: dict[str, Any]) -> dict[str, Any]:
    record["metrics"]["memory_peak_bytes"]["value"] += 1
    return record


def another_layer(record: dict[str, Any]) -> dict[str, Any]:
    record["metrics"]["params"]["value"] += 1
    return record


def test_two_runs_of_one_code_pass(tmp_path: Path) -> None:
    found = gate(tmp_path)
    assert found.passes
    assert not found.suspects
    assert "open" in list(lines(found))[-1]


@pytest.mark.parametrize(("change", "suspects"), [(slow(1.1), 1), (heavier, 0), (another_layer, 0)])
def test_what_is_worse_fails_and_times_are_suspects(
    tmp_path: Path, change: Callable[[dict[str, Any]], dict[str, Any]], suspects: int
) -> None:
    found = gate(tmp_path, only(change))
    assert len(found.failures) == 1
    assert len(found.suspects) == suspects
    assert "shut" in list(lines(found))[-1]


def test_a_case_that_fails_or_vanishes(tmp_path: Path) -> None:
    failed = gate(tmp_path, only(lambda record: fake_run.fail(record, "timeout", "too long")))
    assert [row.verdict for row in failed.failures] == ["failed"]
    lenient = Policy(missing="warn", rule=USUAL.rules)
    gone = gate(tmp_path / "b", only(lambda record: None), lenient)
    assert gone.passes
    assert [row.verdict for row in gone.warnings] == ["missing"]


def test_a_threshold_lets_pass_and_a_warning_is_told(tmp_path: Path) -> None:
    wide = Policy(rule=[Rule(metrics=["latency_ms"], threshold=0.5), Rule(metrics=["memory_*"], threshold=0.01)])
    assert gate(tmp_path, only(slow(1.1)), wide).passes
    assert gate(tmp_path / "b", only(heavier), wide).passes
    told = gate(tmp_path / "c", only(slow(1.1)), Policy(rule=[Rule(metrics=["latency_ms"], alert="warn")]))
    assert told.passes
    assert len(told.warnings) == 1


def test_only_what_alerts_twice_counts(tmp_path: Path) -> None:
    first = gate(tmp_path, only(slow(1.1)))
    assert confirmed(first, first).failures == first.failures
    cleared = confirmed(first, gate(tmp_path / "b"))
    assert cleared.passes
    assert len(cleared.cleared) == 1
    assert any(line.startswith("cleared:") for line in lines(cleared))


def test_what_has_no_noise_needs_no_second_look(tmp_path: Path) -> None:
    first = gate(tmp_path, only(heavier))
    assert confirmed(first, gate(tmp_path / "b")).failures == first.failures


def test_junit_has_a_test_a_case(tmp_path: Path) -> None:
    document = Xml.fromstring(render_junit(gate(tmp_path, only(slow(1.1)))))
    assert (document.get("tests"), document.get("failures"), document.get("errors")) == (str(len(CASES)), "1", "0")
    (failure,) = document.iter("failure")
    assert VICTIM in (failure.get("message") or "")
    failed = Xml.fromstring(
        render_junit(gate(tmp_path / "b", only(lambda record: fake_run.fail(record, "oom", "a < b & c"))))
    )
    assert failed.get("errors") == "1"


SUITE = """
title = "A dense FFN"
[base]
d_model = 256
d_ff = 512
tokens = 64
batch = 2
[sweep]
batch = [2, 4]
[[variant]]
name = "dense"
layer = "dense"
[measure]
probes = ["latency"]
rounds = 3
a_a = 0                              # what a busy machine could tell is no matter here
seconds_per_visit = 0.02
"""


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a run of a real layer."""
    folder = tmp_path_factory.mktemp("gate")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        keep_ceilings()
        (folder / "tiny.toml").write_text(SUITE)
        done = harness("run", folder / "tiny.toml", "-o", folder / "run")
        assert done.returncode == 0, done.stderr
    return folder


def tampered(measured: Path, name: str, factor: float) -> Path:
    """Return a copy of the run whose times are `factor` times as long, as another night's might be."""
    folder = measured / name
    folder.mkdir()
    for file in ("run.json", "journal.jsonl"):
        (folder / file).write_bytes((measured / "run" / file).read_bytes())
    records = [json.loads(line) for line in (measured / "run" / "records.jsonl").read_text().splitlines()]
    for record in records:
        time = record["metrics"]["latency_ms"]
        time["rounds"] = [value * factor for value in time["rounds"]]
    (folder / "records.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return folder


def test_a_checkout_with_real_layers_is_measured_beside_itself(measured: Path) -> None:
    (measured / "short.toml").write_text(SUITE.replace("rounds = 3", "rounds = 2").replace("[2, 4]", "[2]"))
    cache = str(measured / "cache")
    done = harness("compare", ROOT, ROOT, "--paired", measured / "short.toml", "-o", measured / "pair",
                   XDG_CACHE_HOME=cache)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    base, candidate = (read_run(measured / "pair" / side) for side in ("base", "candidate"))
    assert base.file.harness == candidate.file.harness
    assert [result.status for run in (base, candidate) for result in run.results] == ["ok", "ok"]
    assert len(base.results[0].rounds()) == 2


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"harness": {"source": "0" * 16, "commit": "0" * 40}}, "its code is neither this checkout's nor that of"),
        ({"environment": {"torch": "9.9"}}, "torch differ between the two runs"),
        ({"sources": {"layers": {"dense": "0" * 16}}}, "its layers' source is not what it was"),
    ],
)
def test_without_its_baseline_the_candidate_is_measured_again_alone(
    measured: Path, change: dict[str, dict[str, Any]], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness.cli import again as module

    monkeypatch.setattr(module, "_alone", lambda plan, wanted, detected, folder: folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(measured / "cache"))
    told: list[str] = []
    monkeypatch.setattr(module, "note", told.append)
    base = tampered(measured, f"base-{next(iter(change))}", 1 / 20)
    document = json.loads((base / "run.json").read_text())
    for part, values in change.items():
        document[part] |= values
    (base / "run.json").write_text(json.dumps(document))
    found = module.measure_again(base, measured / "run", [document["cases"][0]["id"]])
    assert found is not None
    assert found[0] == base
    assert why in told[-1]


def test_a_second_look_that_is_cut_short_judges_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from harness.cli import again as module
    from harness.cli.planning import detect_or_exit, plan_or_exit

    cut = RunResult(tmp_path, "interrupted", "interrupted", [], 0, 0)
    monkeypatch.setattr("harness.engine.runner.run", lambda *_, **__: cut)
    detected = detect_or_exit("cpu")
    wanted = Wanted(load_suite("smoke"), "smoke", [], None, "cpu")
    with pytest.raises(typer.Exit) as end:
        module._alone(plan_or_exit(wanted.suite, (), None, detected), wanted, detected, tmp_path)
    assert end.value.exit_code == 130
    assert "the second look was cut short; give the same command again" in capsys.readouterr().err


def test_another_checkouts_run_is_not_measured_again(measured: Path) -> None:
    candidate = tampered(measured, "other-code", 20.0)
    document = json.loads((candidate / "run.json").read_text())
    document["harness"]["source"] = "0" * 16
    (candidate / "run.json").write_text(json.dumps(document))
    done = harness("compare", measured / "run", candidate, "--gate", XDG_CACHE_HOME=str(measured / "cache"))
    assert done.returncode == 1
    assert "this checkout's code is not the run's" in done.stderr


@pytest.mark.parametrize("option", ["--policy", "--junit"])
def test_the_gates_options_want_the_gate(measured: Path, option: str) -> None:
    done = harness("compare", measured / "run", measured / "run", option, "x")
    assert done.returncode == 2
    assert "--gate" in done.stderr
