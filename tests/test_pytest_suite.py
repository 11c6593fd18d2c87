"""A suite under pytest: its cases are items that pytest-benchmark times, and its faults are sentences."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.devices.names import detect
from harness.engine.locks import device_lock
from harness.layers.dense import Dense
from tests.pytest_sessions import arguments, load_all

pytest_plugins = ["pytester"]

TINY = """
title = "Two layers"

[base]
d_model = 16
d_ff = 32
batch = 2
tokens = 4

[[variant]]
name = "top-2"
layer = "token_choice"
experts = 4
top_k = 2
sweep.batch = [1, 2]

[[variant]]
name = "plain"
layer = "dense"

[measure]
probes = ["flops", "latency", "memory"]
rounds = 3
seconds_per_visit = 0.001
min_samples = 1
"""
BROKEN = TINY.replace('layer = "dense"', 'layer = "dence"').replace("rounds = 3", "rounds = 0")
OWN = """
[[variant]]
name = "own"
layer = "own:build"
"""
Run = Callable[..., pytest.RunResult]


@pytest.fixture(scope="module", autouse=True)
def loaded() -> None:
    load_all()


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run pytest on `suite.toml` and what else is given, in a folder and with locks of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(pytester.path / "cache"))
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)  # by which pytest-benchmark would stand aside
    pytester.path.joinpath("suite.toml").write_text(TINY)

    def start(*words: str, process: bool = False) -> pytest.RunResult:
        begin = pytester.runpytest_subprocess if process else pytester.runpytest_inprocess
        return begin(*arguments(), *words)

    return start


def read(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


def test_cases_are_items_named_by_their_ids(run: Run) -> None:
    done = run("suite.toml", "--collect-only", "-q")
    assert done.outlines[:3] == [
        "suite.toml::top-2-d16-f32-e4-k2-b1-m4-f32-forward",
        "suite.toml::top-2-d16-f32-e4-k2-b2-m4-f32-forward",
        "suite.toml::plain-d16-f32-b2-m4-f32-forward",
    ]


def test_each_is_timed_by_pytest_benchmark_with_its_metrics_beside(run: Run, pytester: pytest.Pytester) -> None:
    done = run("suite.toml", "--benchmark-json=out.json", "--junitxml=junit.xml")
    done.assert_outcomes(passed=3)
    written = read(pytester.path / "out.json")
    first = written["benchmarks"][0]
    told = first["extra_info"]
    assert first["fullname"] == "suite.toml::top-2-d16-f32-e4-k2-b1-m4-f32-forward"
    assert (first["group"], first["params"]["experts"], first["options"]["timer"]) == ("suite", 4, "device")
    assert told["flops_counted"] == told["flops_executed"] > 0
    assert told["memory_weights_bytes"] == 4 * told["params"]
    assert told["notes"][0].startswith("all rounds were taken in pytest's process")
    assert len(first["stats"]["data"]) == 3
    assert first["stats"]["median"] == pytest.approx(told["latency_ms"] * 1e-3)
    assert told["latency_ms_low"] <= told["latency_ms"] <= told["latency_ms_high"]
    assert 'name="memory_peak_bytes"' in (pytester.path / "junit.xml").read_text()


def test_the_environment_goes_through_pytest_benchmarks_hooks(run: Run, pytester: pytest.Pytester) -> None:
    run("suite.toml", "-k", "plain", "--benchmark-json=out.json").assert_outcomes(passed=1, deselected=2)
    written = read(pytester.path / "out.json")
    found = detect("cpu")
    assert written["machine_info"]["moe_harness"]["device"] == {"kind": "cpu", "name": found.name}
    assert written["machine_info"]["moe_harness"]["torch"] == torch.__version__
    assert written["commit_info"]["moe_harness"]["source"]
    assert written["moe_harness"]["device"]["threads"] == torch.get_num_threads()
    assert written["moe_harness"]["environment"]["python"]


def test_keywords_find_layers_and_shapes(run: Run) -> None:
    run("suite.toml", "-k", "token_choice and b2", "--benchmark-disable").assert_outcomes(passed=1, deselected=2)


def test_benchmarks_alone_or_none_of_them(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_other(): pass")
    run("suite.toml", "test_benchmarks_alone_or_none_of_them.py", "--benchmark-skip").assert_outcomes(
        skipped=3, passed=1
    )
    only = run("suite.toml", "test_benchmarks_alone_or_none_of_them.py", "--benchmark-only", "-k", "plain or other")
    only.assert_outcomes(passed=1, skipped=1, deselected=2)


def test_saved_sessions_are_compared(run: Run, pytester: pytest.Pytester) -> None:
    run("suite.toml", "-k", "plain", "--benchmark-autosave")
    second = run("suite.toml", "-k", "plain", "--benchmark-autosave", "--benchmark-compare")
    second.stdout.fnmatch_lines_random(
        ["*plain-d16-f32-b2-m4-f32-forward (0001*", "*plain-d16-f32-b2-m4-f32-forward (NOW)*"]
    )
    assert "machine_info is different" not in str(second.stderr) + str(second.stdout)
    command = [sys.executable, "-m", "pytest_benchmark", "compare", "--columns=median"]
    done = subprocess.run(command, cwd=pytester.path, capture_output=True, text=True, check=True)
    assert done.stdout.count("plain-d16-f32-b2-m4-f32-forward") == 2


def test_a_suite_without_latency_is_no_benchmark(run: Run, pytester: pytest.Pytester) -> None:
    pytester.path.joinpath("suite.toml").write_text(TINY.replace('"latency", ', ""))
    run("suite.toml", "-k", "plain").assert_outcomes(passed=1, deselected=2)
    run("suite.toml", "--benchmark-only").assert_outcomes(skipped=3)


def test_options_narrow_and_override(run: Run) -> None:
    done = run("suite.toml", "--collect-only", "-q", "--harness-set=d_ff=48", "--harness-select=variant == 'plain'")
    assert done.outlines[0] == "suite.toml::plain-d16-f48-b2-m4-f32-forward"
    assert "1 test collected" in str(done.stdout)


def test_all_faults_of_a_suite_are_shown_and_no_traceback(run: Run, pytester: pytest.Pytester) -> None:
    pytester.path.joinpath("suite.toml").write_text(BROKEN)
    done = run("suite.toml")
    done.assert_outcomes(errors=1)
    shown = str(done.stdout)
    assert "suite.toml:19: variant[1].layer" in shown
    assert "did you mean: dense" in shown
    assert "measure.rounds" in shown
    assert "Traceback" not in shown
    assert "harness/" not in shown


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ("--harness-set=bach=1", "--harness-set bach=1: there is no axis 'bach'"),
        ("--harness-select=batch == 99", "--harness-select: 'batch == 99' holds for no case"),
        ("--harness-device=tpu", "there is no kind of device named 'tpu'"),
    ],
)
def test_an_option_that_fits_no_suite_is_said_in_its_own_name(run: Run, option: str, sentence: str) -> None:
    done = run("suite.toml", option)
    done.assert_outcomes(errors=1)
    assert sentence in str(done.stdout)


def test_unsupported_is_skipped_and_incorrect_or_out_of_memory_fails(run: Run, pytester: pytest.Pytester) -> None:
    pytester.path.joinpath("own.py").write_text(
        "import torch\n"
        "from harness.layers.interface import Unsupported\n"
        "def build(case):\n"
        "    if case.batch == 1: raise Unsupported('own needs two')\n"
        "    if case.batch == 2: return torch.nn.Linear(16, 8)\n"
        "    return Full()\n"
        "class Full(torch.nn.Module):\n"
        "    def forward(self, x): raise MemoryError('no more')\n"
    )
    own = TINY[: TINY.index("[[variant]]")] + OWN + "sweep.batch = [1, 2, 3]\n" + TINY[TINY.index("[measure]") :]
    pytester.path.joinpath("suite.toml").write_text(own)
    done = run("suite.toml", "-rs", "-W", "error::pytest_benchmark.logger.PytestBenchmarkWarning")
    done.assert_outcomes(skipped=1, failed=2)
    shown = str(done.stdout)
    assert "own needs two" in shown
    assert "incorrect: the output is [2, 4, 8] float32, expected [2, 4, 16] float32" in shown
    assert "oom: out of memory on the host, in check: MemoryError: no more" in shown


def test_a_wrong_layer_fails_by_its_float64_check(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    right = Dense.forward
    monkeypatch.setattr(
        Dense, "forward", lambda self, x: right(self, x) * 1.01 if x.dtype != torch.float64 else right(self, x)
    )
    done = run("suite.toml", "-k", "plain")
    done.assert_outcomes(failed=1, deselected=2)
    assert "incorrect: the output differs from the float64 reference" in str(done.stdout)


def test_two_sessions_do_not_measure_each_other(run: Run, pytester: pytest.Pytester) -> None:
    with device_lock(detect("cpu").name, pytester.path):
        done = run("suite.toml", "-k", "plain")
    done.assert_outcomes(failed=1, deselected=2)
    assert f"is in use by process {os.getpid()}" in str(done.stdout)


def test_only_what_is_named_is_collected(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_other(): pass")
    run().assert_outcomes(passed=1)
    pytester.makeini("[pytest]\nharness_suites = *.toml\n")
    run("--benchmark-skip").assert_outcomes(passed=1, skipped=3)


def test_without_pytest_benchmark_a_suite_says_what_to_install(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_other(): pass\ndef test_mine(subject): pass")
    done = run("suite.toml", "test_without_pytest_benchmark_a_suite_says_what_to_install.py", "-p", "no:benchmark")
    done.assert_outcomes(errors=1)
    assert 'pip install "moe-harness[pytest]"' in str(done.stdout)
    run("-p", "no:benchmark").assert_outcomes(passed=1, errors=1)


def test_pytest_starts_as_light_as_without_it(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        "import sys\n"
        "def test_nothing():\n"
        "    heavy = {name.partition('.')[0] for name in sys.modules}\n"
        "    assert not heavy & {'torch', 'numpy', 'scipy', 'pandas', 'pydantic', 'typer', 'rich'}\n"
        "    ours = {name for name in sys.modules if name.startswith('harness')}\n"
        "    room = {'plugin', 'clock', 'fixture'}\n"
        "    assert ours == {'harness', 'harness.testing', *(f'harness.testing.{name}' for name in room)}\n"
    )
    done = run(process=True)
    done.assert_outcomes(passed=1)


def test_collecting_a_suite_loads_no_torch(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        "import sys\ndef pytest_collection_finish(session): print('torch is here:', 'torch' in sys.modules)"
    )
    done = run("suite.toml", "--collect-only", "-q", process=True)
    assert "torch is here: False" in str(done.stdout)


def test_a_session_of_its_own_takes_a_measuring_process_conditions(run: Run, pytester: pytest.Pytester) -> None:
    run("suite.toml", "-k", "plain", "--benchmark-json=out.json", process=True).assert_outcomes(passed=1, deselected=2)
    assert read(pytester.path / "out.json")["machine_info"]["moe_harness"]["variables"]["GOMP_SPINCOUNT"] == "10000"
