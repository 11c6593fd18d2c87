"""`nox -s gpu` without a GPU: a step that fails, hangs or finds no time stops no other, and the page says so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.declare.plan import plan
from harness.declare.shipped import shipped_suites
from harness.declare.suite import load_suite
from harness.devices.interface import NoSuchDevice
from harness.devices.names import Detected
from harness.engine.folder import Run
from harness.metrics import METRICS
from harness.record import OkRecord, Value
from tests.ceilings import keep_ceilings
from tests.gpu import findings, session, steps
from tests.gpu.findings import Finding, Gathered, causes, gather
from tests.gpu.leads import LEADS, lead_of
from tests.gpu.steps import ROOT, Ended, Step, run_step
from tests.gpu.summary import render, write_summary

H200 = Detected("cuda", "NVIDIA H200")
DOCTOR: dict[str, dict[str, Any]] = {
    "ceilings": {"flops_per_s": {"float32": 5e13, "bfloat16": 7.85e14}, "bytes_per_s": 4.28e12},
    "datasheet": {"flops_per_s": {"float32": 6.7e13, "bfloat16": 9.895e14}, "bytes_per_s": 4.8e12},
    "noise": {"ratio": 1.0003, "low": 0.999, "high": 1.0016, "pairs": 80, "smallest_change": 0.0019},
}


def step(program: str, name: str = "planted", limit_s: float = 60.0, **more: Any) -> Step:
    return Step(name, "a planted fault", limit_s, ("-c", program), **more)


def run_one(program: str, folder: Path, limit_s: float = 60.0, told: list[str] | None = None) -> Ended:
    return run_step(step(program), folder, "cpu", limit_s, (told if told is not None else []).append, pace_s=0.1)


def found(**changes: Any) -> Gathered:
    return Gathered(**{"device": H200, "seconds": 400.0, "ended": [], **changes})


def is_gone(pid: int) -> bool:
    """Return whether a process that was killed has gone, which may take the system a moment."""
    try:
        psutil.Process(pid).wait(10)
    except psutil.NoSuchProcess:
        return True
    except psutil.TimeoutExpired:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    return True


def by_name(told: list[Finding]) -> dict[str, Finding]:
    return {finding.what: finding for finding in told}


# without a GPU


def test_without_cuda_it_says_so_and_ends_with_5(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def nothing(kind: str) -> Detected:
        raise NoSuchDevice("no CUDA device: NVML does not start (planted)")

    monkeypatch.setattr(session, "detect", nothing)
    assert session.main(["-o", str(tmp_path / "out")]) == 5
    assert "no CUDA device: NVML does not start (planted); nothing was measured" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine").touch()
    assert session.main(["-o", str(tmp_path), "--device", "cpu"]) == 2
    assert "is not empty" in capsys.readouterr().err


def test_the_program_needs_none_of_the_packages_that_only_tests_have() -> None:
    program = "import sys, tests.gpu.session as s; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    assert not {"hypothesis", "playwright", "transformers", "nox", "torch", "plotly"} & set(done.stdout.split())


# steps


def test_a_step_is_done_and_its_output_kept(tmp_path: Path) -> None:
    ended = run_step(step("print(42)", output="answer.txt"), tmp_path, "cpu", 60, print)
    assert (ended.code, ended.words) == (0, "")
    assert (tmp_path / "answer.txt").read_text() == "42\n"


def test_a_step_that_fails_tells_its_code_and_its_last_words(tmp_path: Path) -> None:
    ended = run_one("import sys; print('no such thing', file=sys.stderr); sys.exit(3)", tmp_path)
    assert (ended.code, ended.words) == (3, "it ended with 3: no such thing")


def test_a_step_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "PATIENCE_S", 0.3)
    program = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, file=sys.stderr, flush=True)
time.sleep(600)
"""
    told: list[str] = []
    start = time.monotonic()
    ended = run_one(program, tmp_path, limit_s=2.0, told=told)
    assert ended.code is None
    assert ended.words.startswith("it was not done after 2 s and was ended: ")
    assert time.monotonic() - start < 15
    assert told, "no progress was told"
    assert "s left)" in told[-1]
    child = int(ended.words.rpartition(" ")[2])
    assert is_gone(child)


def test_a_step_that_hangs_may_write_down_what_it_has_first(tmp_path: Path) -> None:
    program = "import time\ntry: time.sleep(600)\nexcept KeyboardInterrupt: print('kept', flush=True)"
    ended = run_step(step(program, output="kept.txt"), tmp_path, "cpu", 6.0, print)
    assert ended.code is None
    assert (tmp_path / "kept.txt").read_text() == "kept\n"


def test_words_of_a_step_say_device_folder_and_budget(tmp_path: Path) -> None:
    words = ("-c", "import sys; print(sys.argv[1:])", "{device}", "{folder}/x", "{budget}s")
    run_step(Step("words", "", 90, words, "words.txt", narrow=("--set", "x=1")), tmp_path, "cpu", 90, print)
    assert (tmp_path / "words.txt").read_text().strip() == str(["cpu", f"{tmp_path}/x", "65s", "--set", "x=1"])


def test_steps_find_this_checkout_first_and_a_cache_of_their_own(tmp_path: Path) -> None:
    program = "import os, harness; print(harness.__file__); print(os.environ['XDG_CACHE_HOME'])"
    run_step(step(program, output="where.txt"), tmp_path, "cpu", 60, print)
    where = (tmp_path / "where.txt").read_text().split()
    assert where == [str(ROOT / "harness" / "__init__.py"), str(tmp_path / "cache")]


# the session


def run_planted(folder: Path, *todo: Step, within: float = 60.0) -> tuple[list[Ended], bool]:
    return session.run_all(todo, folder, Detected("cpu", "a CPU"), time.monotonic() + within)


def test_a_step_that_fails_stops_no_other(tmp_path: Path) -> None:
    ended, interrupted = run_planted(tmp_path, step("raise SystemExit(1)", "bad"), step("print()", "good"))
    assert [bool(one.words) for one in ended] == [True, False]
    assert session._exit_code(ended, interrupted) == 3


def test_a_step_for_which_no_time_is_left_is_not_begun(tmp_path: Path) -> None:
    ended, interrupted = run_planted(tmp_path, step("print()"), within=3.0)
    assert "it was not begun: " in ended[0].words
    assert session._exit_code(ended, interrupted) == 3


def test_a_device_that_torch_does_not_see_ends_the_session_with_5(tmp_path: Path) -> None:
    doctor = step("import sys; print('torch sees none', file=sys.stderr); sys.exit(5)", "doctor")
    ended, interrupted = run_planted(tmp_path, doctor, step("print()"))
    assert len(ended) == 1
    assert ended[0].words == "it ended with 5: torch sees none"
    assert session._exit_code(ended, interrupted) == 5


def test_ctrl_c_ends_the_session_and_keeps_what_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> Ended:
        raise KeyboardInterrupt

    monkeypatch.setattr(session, "run_step", interrupted)
    ended, stopped = run_planted(tmp_path, step("", "first"), step("", "second"))
    assert [one.words for one in ended] == ["it was interrupted"]
    assert session._exit_code(ended, stopped) == 130


@pytest.mark.parametrize("device", ["cuda", "cpu"])
def test_the_limits_of_all_steps_fit_into_eight_minutes(device: str) -> None:
    todo = session.steps(device)
    assert sum(one.limit_s for one in todo) + session.SUMMARY_S <= 60 * session.MINUTES
    assert {"doctor", "tests", "sweep", "energy"} <= {one.name for one in todo}


@pytest.mark.parametrize("suite", ["gpu", "gpu-energy"])
def test_the_suites_can_be_planned_for_a_gpu(suite: str) -> None:
    planned = plan(load_suite(shipped_suites()[suite]), device="cuda", memory_bytes=139 << 30)
    assert planned.cases
    assert all(case.runs for case in planned.cases), [case.unsupported for case in planned.cases]
    families = {case.case.layer for case in planned.cases}
    assert families >= ({"dense", "token_choice"} | ({"expert_choice", "soft"} if suite == "gpu" else set()))


# findings and the page


def ceilings_of(found: Gathered) -> dict[str, Finding]:
    return by_name(list(findings._ceilings(found)))


def test_ceilings_are_held_against_leads_and_datasheet() -> None:
    told = ceilings_of(found(doctor=DOCTOR))
    matmul, copy, single = (
        told[f"{name}/s"] for name in ("matmul, bfloat16, TFLOP", "copy, TB", "matmul, float32, TFLOP")
    )
    assert (matmul.seen, matmul.expected) == ("785 (79% of the datasheet)", "769 to 798; datasheet 989.5")
    assert (copy.seen, copy.expected) == ("4.28 (89% of the datasheet)", "4.3; datasheet 4.8")
    assert (single.seen, single.expected) == ("50 (75% of the datasheet)", "datasheet 67")
    assert {finding.holds for finding in told.values()} == {True}


@pytest.mark.parametrize(("rate", "holds"), [(5e14, False), (8.94e14, False), (7.4e14, True), (1.1e15, False)])
def test_a_ceiling_of_zeros_or_of_a_sick_gpu_is_told(rate: float, holds: bool) -> None:
    doctor = DOCTOR | {"ceilings": {"flops_per_s": {"bfloat16": rate}, "bytes_per_s": 4.3e12}}
    assert ceilings_of(found(doctor=doctor))["matmul, bfloat16, TFLOP/s"].holds is holds


def test_a_ceiling_above_the_datasheet_is_told_of_any_gpu() -> None:
    gpu = Detected("cuda", "NVIDIA L40S")
    doctor = DOCTOR | {"ceilings": {"flops_per_s": {"float32": 9e13}, "bytes_per_s": 1e12}}
    told = ceilings_of(found(device=gpu, doctor=doctor))
    assert (told["matmul, float32, TFLOP/s"].holds, told["copy, TB/s"].holds) == (False, True)


def test_of_a_gpu_that_nobody_knows_the_figures_are_only_told() -> None:
    told = ceilings_of(found(device=Detected("cuda", "NVIDIA Scripted"), doctor=DOCTOR | {"datasheet": None}))
    assert told
    assert {finding.holds for finding in told.values()} == {None}


def test_leads_are_in_order_and_only_of_their_own_gpu() -> None:
    for lead in LEADS.values():
        assert lead.matmul[0] < lead.matmul[1] < 1e15, "the sparse number of a datasheet"
    assert lead_of("NVIDIA GeForce") is None


def test_noise_above_half_a_per_cent_is_told() -> None:
    noisy = {"noise": DOCTOR["noise"] | {"smallest_change": 0.03}}
    assert {finding.holds for finding in findings._noise(found(doctor=DOCTOR))} == {True}
    assert by_name(list(findings._noise(found(doctor=noisy))))["smallest change seen, doctor"].holds is False


def test_the_cells_of_a_sweep_that_differ_are_told(tmp_path: Path) -> None:
    aa = {"cells": 2, "pairs": 12, "rounds": 6, "ratio": 1.1, "low": 1.05, "high": 1.15, "smallest_change": 0.01}
    for differ in (False, True):
        run = Run(tmp_path, {"noise": aa | {"differ": differ}}, [], [])
        told = by_name(list(findings._noise(found(runs={"sweep": run}))))
        assert told["A/A, sweep, 2 cells, 12 pairs"].holds is not differ
        assert told["smallest change seen, sweep, 6 rounds"].seen == "1.00%"


def record(**metrics: float | str) -> OkRecord:
    assert set(metrics) <= set(METRICS)
    values = {name: Value(value=value) for name, value in metrics.items()}
    return OkRecord(schema=1, key="0" * 16, id="dense", variant="dense", case={}, metrics=values)


@pytest.mark.parametrize(
    ("metrics", "what"),
    [
        ({"hfu": 1.2}, "highest HFU"),
        ({"memory_peak_bytes": 130, "memory_predicted_bytes": 100}, "memory: peak over closed form, farthest"),
        ({"latency_graph_ms": 1.3, "latency_hot_ms": 1.0}, "graph over hot time, highest"),
    ],
)
def test_what_must_hold_in_every_case_is_looked_at_in_each(metrics: dict[str, float], what: str) -> None:
    sound = record(hfu=0.5, memory_peak_bytes=100, memory_predicted_bytes=100, latency_graph_ms=0.9, latency_hot_ms=1.0)
    good = by_name(list(findings._shares([sound], on_gpu=True)))
    bad = by_name(list(findings._shares([sound, record(**metrics)], on_gpu=True)))
    assert (good[what].holds, bad[what].holds) == (True, False)


def test_a_whole_session_becomes_one_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real run folder of a real run, beside a step that failed and a doctor's document."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    keep_ceilings(1e13, 1e11)
    command = ["-m", "harness.cli", "run", "smoke", "--select", "variant == 'dense' and pass == 'forward'", "-o"]
    done = subprocess.run(
        [sys.executable, *command, str(tmp_path / "sweep"), "--device", "cpu"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (tmp_path / "doctor.json").write_text(json.dumps(DOCTOR))
    cases = '<testcase name="a"/><testcase name="b"><failure/></testcase><testcase name="c"><skipped/></testcase>'
    (tmp_path / "tests.xml").write_text(
        f'<testsuites><testsuite tests="3" failures="1" errors="0" skipped="1">{cases}</testsuite></testsuites>'
    )
    ended = [
        Ended(step("", "doctor"), 60.2, 0),
        Ended(step("", "energy"), 0.0, None, "it was not begun: 3 s were left"),
    ]
    page = write_summary(tmp_path, gather(tmp_path, H200, ended, 400.0)).read_text()
    assert page.startswith("# NVIDIA H200: all that needs CUDA\n")
    for words in (
        "**1 of 2 steps came to their end in 400 s;", "| 785 (79% of the datasheet) |",
        "| tests that need CUDA | 1 failed, 1 skipped, 1 passed |", "**not as expected**",
        "| cases with numbers, sweep | 2 of 2 | all | as expected |", "dense-d32-f128-b2-m16-f32-forward",
        "## Causes of batch-determinism",
        "| A/A, doctor, 80 pairs | 1.0003 [0.9990, 1.0016] |", "| A/A, sweep, ",
        "- step energy: it was not begun: 3 s were left (`logs/energy.log`)",
    ):  # fmt: skip
        assert words in page
    data = json.loads((tmp_path / "summary.json").read_text())
    assert data["schema"] == 1
    assert len(data["records"]["sweep"]) == 2
    (run,) = gather(tmp_path, H200, ended, 400.0).runs.values()
    assert causes(run)["det_run"] == {"none": 2}


def test_an_empty_folder_makes_a_page_too(tmp_path: Path) -> None:
    page = render(gather(tmp_path, H200, [], 1.0))
    assert "**0 of 0 steps came to their end in 1 s; 0 of 0 figures are as expected.**" in page
