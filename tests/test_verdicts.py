"""How `harness compare` ends: bad input in a sentence and before any work, and an exit code for each outcome."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from harness.cli import app
from harness.declare.shipped import shipped_policies
from tests import fake_run
from tests.fake_run import Edit
from tests.test_versus import CASES, VICTIM, again, only, slow

FAILED = only(lambda record: fake_run.fail(record, "crashed", "it fell over"))
ANOTHER_GPU = {"device": fake_run.run_file(CASES)["device"] | {"name": "Another GPU (invented)"}}
DISTRUSTED = {"noise": {"ratio": 1.2, "low": 1.1, "high": 1.3, "cells": 2, "pairs": 12, "rounds": 6, "differ": True}}


def heavier(record: dict[str, Any]) -> dict[str, Any]:
    record["metrics"]["memory_peak_bytes"]["value"] += 1
    return record


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return fake_run.write_run(tmp_path / "base", CASES, edit=again(1))


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Path]:
    def write(edit: Edit | None = None, name: str = "candidate", **top: Any) -> Path:
        return fake_run.write_run(tmp_path / name, CASES, edit=again(2, edit), **top)

    return write


def compared(*arguments: str | Path) -> Result:
    """Run `harness compare`, and hold that no file of the folders named changes."""
    folders = [Path(each) for each in arguments[:2]]
    before = _bytes(folders)
    done = CliRunner().invoke(app, ["compare", *map(str, arguments)])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    assert _bytes(folders) == before
    return done


def _bytes(folders: list[Path]) -> dict[Path, bytes]:
    return {path: path.read_bytes() for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()}


def gated(*arguments: str | Path) -> Result:
    return compared(*arguments, "--gate", "--no-again")


def refused(done: Result, *words: str) -> None:
    """Hold that it ended with exit 2, one sentence on stderr and nothing on stdout."""
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("harness: ")
    assert done.stderr.count("\n") == 1
    for word in words:
        assert word in done.stderr


# bad input


@pytest.mark.parametrize("status", ["complete", "running"])
@pytest.mark.parametrize("side", [0, 1])
def test_a_run_by_a_newer_schema(base: Path, run: Callable[..., Path], side: int, status: str) -> None:
    newer = run(name="newer", schema=99, status=status)
    folders = (newer, base) if side == 0 else (base, newer)
    refused(compared(*folders), "newer", "schema 99", "reads up to 1")


def test_a_record_by_a_newer_schema(base: Path, run: Callable[..., Path]) -> None:
    newer = run(name="newer")
    lines = (newer / "records.jsonl").read_text("utf-8").replace('"schema":1', '"schema":99')
    assert '"schema":99' in lines
    (newer / "records.jsonl").write_text(lines, "utf-8")
    refused(compared(base, newer), "newer", "schema 99")


def test_no_case_in_common_writes_nothing(base: Path, tmp_path: Path) -> None:
    other = fake_run.write_run(tmp_path / "other", [fake_run.make_case("alone", "dense", d_ff=64)])
    (tmp_path / "compared.md").write_text("the last one")
    for options in ((), ("--gate", "--junit", tmp_path / "gate.xml")):
        done = compared(base, other, "-o", tmp_path / "compared.md", *options)
        assert done.exit_code == 4
        assert "no case in common" in done.stderr
    assert (tmp_path / "compared.md").read_text() == "the last one"
    assert not (tmp_path / "gate.xml").exists()


def test_the_same_folder_twice(base: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(base)
    refused(compared(base, base), "same run folder")
    refused(compared(base, tmp_path / "link"), "same run folder")


def test_a_policy_that_matches_nothing(base: Path, run: Callable[..., Path], tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text('[[rule]]\nmetrics = ["latency_ms"]\nwhere = "variant == \'nobody\'"\n')
    refused(gated(base, run(), "--policy", policy), str(policy), "none of its rules")
    policy.write_text('[[rule]]\nmetrics = ["latency_graph_ms"]\n')
    refused(gated(base, run(), "--policy", policy), "none of its rules")


def test_a_policy_whose_expression_has_no_value(base: Path, run: Callable[..., Path], tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text("[[rule]]\nmetrics = ['latency_ms']\nwhere = \"batch > 'a'\"\n")
    done = gated(base, run(), "--policy", policy)
    assert (done.exit_code, done.stdout) == (2, "")
    assert f"{policy}:3: rule[0].where: \"batch > 'a'\" gives no value" in done.stderr


def test_a_shipped_policy_goes_by_its_name(base: Path, run: Callable[..., Path]) -> None:
    assert gated(base, run(), "--policy", "exact").exit_code == 0


def test_a_single_rule_that_matches_nothing_is_told(base: Path, run: Callable[..., Path], tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text('[[rule]]\nmetrics = ["params"]\n[[rule]]\nmetrics = ["params", "det_causal"]\n')
    done = gated(base, run(), "--policy", policy)
    assert done.exit_code == 0
    assert "the rule for params, det_causal decides on nothing" in done.stderr


def test_the_rules_of_a_shipped_policy_that_rest_are_no_news(base: Path, run: Callable[..., Path]) -> None:
    """It is for every suite: these runs have no energy, and no token in flight alone."""
    candidate = run()
    for named in ("nightly", str(shipped_policies()["nightly"])):
        done = gated(base, candidate, "--policy", named)
        assert done.exit_code == 0
        assert "decides on nothing" not in done.stderr


def test_a_gate_that_saw_no_times_is_not_called_open(base: Path, run: Callable[..., Path], tmp_path: Path) -> None:
    for blind in (run(name="elsewhere", **ANOTHER_GPU), run(name="noisy", **DISTRUSTED)):
        done = gated(base, blind)
        assert done.exit_code == 4
        assert "neither open nor shut: it saw no times, and of what has no noise nothing is worse" in done.stdout
        assert "gate is open" not in done.stdout
    other = fake_run.write_run(tmp_path / "other", [fake_run.make_case("alone", "dense", d_ff=64)])
    done = gated(base, other)
    assert (done.exit_code, "neither open nor shut: nothing can be compared" in done.stdout) == (4, True)


@pytest.mark.parametrize("option", ["-o", "--junit"])
def test_a_file_that_cannot_be_written_is_found_first(
    base: Path, run: Callable[..., Path], tmp_path: Path, option: str
) -> None:
    """Before the runs are read: one of them is none, and that is not what is told."""
    nothing = tmp_path / "nothing"
    refused(gated(base, nothing, option, tmp_path / "none" / "file"), "file: the folder", "does not exist")
    refused(gated(base, nothing, option, base / "run.json" / "file"), "run.json is no folder, but a file")
    refused(gated(base, nothing, option, tmp_path), "it is a folder")
    refused(gated(base, run(), option, base / "run.json"), "part of the run")


def test_two_outputs_in_one_file(base: Path, run: Callable[..., Path], tmp_path: Path) -> None:
    refused(gated(base, run(), "-o", tmp_path / "a", "--junit", tmp_path / "a"), "the same file")


def test_another_gpu_forbids_times_and_what_has_no_noise_is_judged(base: Path, run: Callable[..., Path]) -> None:
    done = gated(base, run(only(heavier), **ANOTHER_GPU))
    assert done.exit_code == 4
    assert "the gate saw no times: name: Test CPU (invented), then Another GPU (invented)" in done.stderr
    assert f"FAILED: ✗ {VICTIM}: memory_peak_bytes worse" in done.stdout


def test_a_policy_without_times_needs_none(base: Path, run: Callable[..., Path], tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text('[[rule]]\nmetrics = ["memory_*", "params"]\n')
    assert gated(base, run(**ANOTHER_GPU), "--policy", policy).exit_code == 0
    assert gated(base, run(only(heavier), **ANOTHER_GPU), "--policy", policy).exit_code == 1


def test_a_run_whose_own_cells_differ_is_not_believed(base: Path, run: Callable[..., Path]) -> None:
    done = gated(base, run(only(slow(1.3)), **DISTRUSTED))
    assert done.exit_code == 4
    assert "Nothing is called faster or slower: the A/A cells of candidate" in done.stdout


# exit codes: of 2, 5, 3, 4 and 1 the first that holds


@pytest.mark.parametrize(
    ("edit", "top", "code"),
    [
        (None, {}, 0),
        (only(slow(1.1)), {}, 1),
        (only(slow(0.9)), {}, 0),
        (only(heavier), {}, 1),
        (only(lambda record: None), {}, 1),
        (FAILED, {}, 3),
        (only(slow(1.1)), ANOTHER_GPU, 4),
        (FAILED, ANOTHER_GPU, 3),
    ],
)
def test_exit_codes(base: Path, run: Callable[..., Path], edit: Edit | None, top: dict[str, Any], code: int) -> None:
    candidate = run(edit, **top)
    assert gated(base, candidate).exit_code == code
    assert compared(base, candidate).exit_code == 0
    assert gated(base, candidate, "--exit-zero").exit_code == 0


def test_usage_comes_before_all(base: Path, run: Callable[..., Path], tmp_path: Path) -> None:
    done = gated(base, run(FAILED, **ANOTHER_GPU), "--policy", tmp_path / "none.toml")
    assert done.exit_code == 2
    refused(gated(base, tmp_path / "nothing", "--exit-zero"), "nothing")


def test_no_such_device_comes_before_a_regression(base: Path, run: Callable[..., Path], tmp_path: Path) -> None:
    """Suspects are to be measured again where no GPU is; both runs were made on one."""
    for folder in (base, candidate := run(only(slow(1.1)))):
        document = json.loads((folder / "run.json").read_text())
        document["device"] |= {"kind": "cuda", "name": "A GPU (invented)"}
        document["suite"]["source"] = (
            'title = "A"\n[base]\nd_model = 8\nd_ff = 8\n[[variant]]\nname = "a"\nlayer = "dense"\n'
        )
        (folder / "run.json").write_text(json.dumps(document))
    done = compared(base, candidate, "--gate")
    assert done.exit_code == 5
    assert "CUDA" in done.stderr
