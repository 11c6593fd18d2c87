"""A night: its commands, its exit code and its sentence."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from harness.case import Case
from harness.cli import app
from harness.cli.exits import Exit
from harness.devices.interface import NoSuchDevice
from harness.devices.names import Detected
from harness.nightly import steps
from harness.nightly.night import (
    FIRST_WINS,
    WORDS,
    NightError,
    first_of,
    read_gate,
    read_night,
    write_night,
)
from tests import fake_run
from tests.ceilings import keep_ceilings
from tests.nights import invent, night, spend
from tests.test_cli import ROOT, harness
from tests.test_gate import heavier
from tests.test_versus import CASES, VICTIM, again, only

ELSEWHERE = {"kind": "cuda", "name": "NVIDIA H200", "threads": 2, "memory_bytes": 8 << 30}
TINY = """
title = "A dense FFN"
[base]
d_model = 32
d_ff = 32
tokens = 8
batch = 2
[[variant]]
name = "dense"
layer = "dense"
[measure]
probes = ["flops", "memory"]
"""


def broken(record: dict[str, Any]) -> dict[str, Any]:
    return fake_run.fail(record, "oom", "out of memory")


def test_the_first_of_several_codes_wins_as_the_commands_have_it() -> None:
    assert set(FIRST_WINS) | {0} == set(map(int, Exit)) == set(WORDS)
    assert first_of() == first_of(0, 0) == 0
    assert [first_of(0, 1), first_of(1, 4), first_of(4, 3), first_of(3, 5), first_of(5, 2), first_of(2, 130)] == [
        1, 4, 3, 5, 2, 130,
    ]  # fmt: skip
    assert first_of(0, -9) == 3  # killed


def test_a_night_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = night(code=1, vanished=("a",), appeared=("b", "c"))
    write_night(tmp_path, written)
    assert read_night(tmp_path) == written


@pytest.mark.parametrize(
    ("text", "words"),
    [(None, "no nightly.json"), ("{", "cannot be read"), ('{"schema": 99}', "newer harness"), ("[]", "cannot be read")],
)
def test_what_is_no_night_is_said(tmp_path: Path, text: str | None, words: str) -> None:
    if text is not None:
        (tmp_path / "nightly.json").write_text(text)
    with pytest.raises(NightError, match=words):
        read_night(tmp_path)


# driving


def test_a_night_like_its_baseline_ends_with_0_and_all_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = spend(tmp_path / "night", monkeypatch, real=("report", "compare"))
    assert (found.code, found.compared) == (0, True)
    assert "none that the policy counts is worse than in the baseline quick (9f3c1ab41d07, 2026-11-21)" in found.why
    names = {path.name for path in (tmp_path / "night").iterdir()}
    assert names >= {"run", "report.html", "comparison.md", "gate.json", "junit.xml", "nightly.json", "log.txt"}
    assert [step.name for step in found.steps] == ["run", "report", "compare"]  # the gate is the last
    log = (tmp_path / "night" / "log.txt").read_text()
    assert "$ harness compare" in log
    assert "report.html" in log
    assert "--baseline" in next(line for line in log.splitlines() if line.startswith("$ harness report"))
    assert "no regression of times beyond noise" in (tmp_path / "night" / "report.summary.md").read_text("utf-8")


def test_a_baseline_without_a_common_case_leaves_the_report_to_the_run_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = [fake_run.make_case("late", "dense")]
    found = spend(tmp_path / "night", monkeypatch, cases=other, real=("report", "compare"))
    assert found.code == 4
    log = (tmp_path / "night" / "log.txt").read_text()
    assert "--baseline" not in next(line for line in log.splitlines() if line.startswith("$ harness report"))
    assert (tmp_path / "night" / "report.html").exists()


def test_what_is_worse_ends_with_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = spend(tmp_path / "night", monkeypatch, only(heavier))
    assert found.code == 1
    assert "1 is worse than in the baseline quick" in found.why
    told = read_gate(tmp_path / "night")
    assert told is not None
    assert [row["id"] for row in told["gate"]["failures"]] == [VICTIM]


def test_a_case_that_fails_on_both_sides_is_forgiven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = spend(tmp_path / "night", monkeypatch, only(broken), base=only(broken), code=3)
    assert found.code == 0


def test_a_case_that_fails_tonight_ends_with_3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = spend(tmp_path / "night", monkeypatch, only(broken), code=3)
    assert found.code == 3
    assert "1 is worse" in found.why


def test_a_new_case_that_fails_is_not_forgiven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new = CASES[-1].id

    def breaks(case: Case, record: dict[str, Any]) -> dict[str, Any]:
        return broken(record) if case.id == new else record

    found = spend(tmp_path / "night", monkeypatch, breaks, cases=CASES[:-1], code=3)
    assert (found.code, found.appeared) == (3, (new,))
    assert "Cases that the baseline quick" in found.why


def test_a_baseline_of_another_device_ends_with_4(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = spend(tmp_path / "night", monkeypatch, device=ELSEWHERE)
    assert found.code == 4
    assert "was made on Test CPU (invented), and this is NVIDIA H200" in found.why
    assert read_gate(tmp_path / "night") is not None  # what has no noise is compared all the same


def test_without_a_baseline_there_is_a_report_and_0(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = spend(tmp_path / "night", monkeypatch, cases=None)
    assert (found.code, found.compared, found.baseline) == (0, False, None)
    assert "nothing to compare with" in found.why
    assert [step.name for step in found.steps] == ["run", "report"]
    assert spend(tmp_path / "b", monkeypatch, cases=None, code=3).code == 3


@pytest.mark.parametrize(("code", "words"), [(2, "ended with 2"), (5, "ended with 5"), (130, "was interrupted")])
def test_a_run_that_did_not_take_place_is_not_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, words: str
) -> None:
    found = spend(tmp_path / "night", monkeypatch, code=code)
    assert found.code == code
    assert words in found.why
    assert "compare" not in [step.name for step in found.steps]


# steps


def test_a_command_is_told_and_kept(tmp_path: Path) -> None:
    told: list[str] = []
    ended = steps.run_step("plan", ["plan", "nothing-of-that-name"], tmp_path, told.append)
    assert (ended.name, ended.code) == ("plan", 2)
    log = (tmp_path / "log.txt").read_text()
    assert log.startswith("$ harness plan nothing-of-that-name\n")
    assert told
    assert ended.words == told[-1].strip()
    assert told[0] in log


@pytest.mark.parametrize("before", [signal.default_int_handler, signal.SIG_IGN])
def test_ctrl_c_is_handed_on_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: Any) -> None:
    """Also by a night in the background, where a shell has Ctrl-C ignored."""
    program = tmp_path / "program.py"
    program.write_text(
        "import sys, time\n"
        "try:\n    print('at work', file=sys.stderr, flush=True); time.sleep(60)\n"
        "except KeyboardInterrupt:\n    print('ended in order', file=sys.stderr); sys.exit(0)\n"
    )
    monkeypatch.setattr(steps, "PROGRAM", (str(program),))

    def interrupt(words: str) -> None:
        if words == "at work":
            threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()

    start, usual = time.monotonic(), signal.signal(signal.SIGINT, before)
    try:
        ended = steps.run_step("run", [], tmp_path, interrupt)
    finally:
        signal.signal(signal.SIGINT, usual)
    assert time.monotonic() - start < 20
    assert (ended.code, ended.words) == (130, "ended in order")


# the command


def test_a_real_night(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    keep_ceilings()
    (tmp_path / "tiny.toml").write_text(TINY)
    own = {"HARNESS_BASELINES": str(tmp_path / "kept"), "GITHUB_STEP_SUMMARY": str(tmp_path / "job.md")}
    asked = ("--suite", "tiny.toml", "--device", "cpu", "-o", "night", "--keep-as", "tiny")
    done = harness("nightly", *asked, cwd=tmp_path, **own)
    assert done.returncode == 0, done.stderr
    assert "no baseline tiny was kept yet" in done.stderr
    assert "kept as the baseline tiny" in done.stderr
    assert (tmp_path / "job.md").read_text() == (tmp_path / "night" / "summary.md").read_text()
    assert records(tmp_path / "kept" / "tiny") == records(tmp_path / "night" / "run")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that has a baseline `quick`, and is where the command is called."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HARNESS_BASELINES", raising=False)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    fake_run.write_run(tmp_path / "baselines" / "quick", CASES, edit=again(1))
    return tmp_path


def nightly(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["nightly", *map(str, words)])


def test_a_worse_night_is_held_said_again_and_accepted(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    invent(monkeypatch, edit=only(heavier))
    held = nightly("-o", "night", "--exit-zero", "--keep-as", "new")
    assert held.exit_code == 0, held.stderr
    assert held.stdout == "night/summary.md\n"
    assert "not kept as new, since the night ends with 1" in held.stderr
    assert nightly("--of", "night").exit_code == 1
    refused = nightly("--of", "night", "--keep-as", "quick")
    assert (refused.exit_code, "--replace puts this run" in refused.stderr) == (2, True)
    assert nightly("--of", "night", "--keep-as", "quick", "--replace").exit_code == 0
    assert nightly("-o", "next").exit_code == 0


def records(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "records.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--replace",), "--replace is for --keep-as"),
        (("--of", "nowhere"), "is no night's folder"),
        (("--of", "baselines", "--policy", "exact"), "--of is about a night that is over"),
        (("--baseline", "no/such/run"), "the baseline no/such/run cannot be read"),
        (("--policy", "no-such"), "no-such"),
        (("--keep-as", "../up"), "is no name for a baseline"),
        (("--keep-as", "quick"), "there is a baseline quick already"),
        (("-o", "baselines"), "baselines is not empty"),
        (("--suite", "quik"), "did you mean: quick"),
        (("--suite", "no/such.toml"), "there is no such file"),
        (("--device", "tpu"), "--device tpu: expected auto, cpu or cuda"),
        (("--budget", "soon"), "--budget soon"),
        (
            ("--suite", "smoke", "--baseline", "quick"),
            "the baseline quick is a run of another suite, quick, and tonight measures smoke",
        ),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_measured(home: Path, words: tuple[str, ...], told: str) -> None:
    done = nightly(*words)
    assert (done.exit_code, done.stdout) == (2, "")
    assert told in done.stderr
    assert not (home / "runs").exists()


def test_a_suite_with_a_fault_is_told_before_there_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text(TINY + "rouds = 3\n")
    own = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(tmp_path / "job.md")}
    done = harness("nightly", "--suite", "bad.toml", "-o", "out", cwd=tmp_path, **own)
    assert done.returncode == 2
    assert f"::error file=bad.toml,line={TINY.count(chr(10)) + 1}::" in done.stderr
    assert "did you mean: rounds" in done.stderr
    assert not (tmp_path / "out").exists()
    told = (tmp_path / "job.md").read_text()
    assert told.startswith("# ! it could not be asked: bad")
    assert "did you mean: rounds" in told


def test_a_device_that_is_not_here_is_told_before_there_is_a_folder(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(device: str, tell: object = None) -> Detected:
        raise NoSuchDevice(f"no {device} device")

    monkeypatch.setattr("harness.devices.names.detect", absent)
    done = nightly("--device", "cuda", "-o", "out")
    assert (done.exit_code, done.stdout) == (5, "")
    assert "no cuda device" in done.stderr
    assert not (home / "out").exists()
