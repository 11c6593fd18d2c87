"""The commands as a user types them: what stands on stdout, what on stderr, and how they end."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.record import OkRecord, parse_record

ROOT = Path(__file__).parent.parent

TINY = """
title = "A dense FFN"
[base]
d_model = 32
d_ff = 64
tokens = 8
batch = 2
[[variant]]
name = "dense"
layer = "dense"
[measure]
probes = ["latency"]
rounds = 2
seconds_per_visit = 0.001
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own, with this device's ceilings in it, so that no run measures them."""
    from harness.devices.ceilings import Ceilings, save
    from harness.devices.names import detect

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    save(Ceilings(detect("cpu").name, {"float32": 1e11, "bfloat16": 1e11}, 1e10, 2**34, "2026-01-01", "2.13.0"))
    return tmp_path / "cache"


def harness(*arguments: str | Path, cwd: Path = ROOT, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    command = [sys.executable, "-m", "harness.cli", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **variables}
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment, check=False)


def suite(folder: Path, text: str = TINY) -> Path:
    path = folder / "tiny.toml"
    path.write_text(text, "utf-8")
    return path


def test_help_names_every_command_and_exit_code() -> None:
    done = harness("--help")
    assert done.returncode == 0
    for word in ("suites", "plan", "run", "report", "doctor", "schema", "Exit codes", "130"):
        assert word in done.stdout


def test_suites_lists_what_is_shipped() -> None:
    names = {row["name"] for row in json.loads(harness("suites", "--json").stdout)["suites"]}
    assert names == {"quick", "smoke", "model-size", "experts", "top-k", "slots", "batch-size"}


def test_plan_prints_the_fields_of_the_design_page() -> None:
    data = json.loads(harness("plan", "smoke", "--json").stdout)
    assert data["schema"] == 1
    fields = {"id", "key", "variant", "case", "params", "params_active", "flops_model", "flops_executed", "bytes"}
    for case in data["cases"]:
        assert fields | {"seconds", "fits"} <= set(case)
        assert case["seconds"] > 0
        assert case["fits"] is True


def test_plan_without_ceilings_gives_a_hint_and_no_seconds(tmp_path: Path) -> None:
    done = harness("plan", "smoke", XDG_CACHE_HOME=str(tmp_path / "none"))
    assert done.returncode == 0
    assert "harness doctor" in done.stderr
    seconds = json.loads(harness("plan", "smoke", "--json", XDG_CACHE_HOME=str(tmp_path / "none")).stdout)["cases"]
    assert {case["seconds"] for case in seconds} == {None}


def test_plan_loads_no_torch() -> None:
    done = harness("plan", "smoke", PYTHONPROFILEIMPORTTIME="1")
    assert re.search(r"\|\s+pydantic\b", done.stderr)
    assert not re.search(r"\|\s+torch\b", done.stderr)


def test_schema_is_json_schema() -> None:
    assert json.loads(harness("schema").stdout)["type"] == "object"


def test_run_measures_and_ends_with_the_report(tmp_path: Path) -> None:
    done = harness("run", suite(tmp_path), "-o", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{tmp_path / 'run' / 'report.html'}\n"
    written = {path.name for path in (tmp_path / "run").iterdir()}
    assert {"run.json", "journal.jsonl", "records.jsonl", "report.html", "summary.md", "report.json"} <= written
    record = parse_record((tmp_path / "run" / "records.jsonl").read_text().splitlines()[0])
    assert isinstance(record, OkRecord)
    assert record.metrics["latency_ms"].value > 0  # type: ignore[operator]
    assert record.backend == "fused"


def test_json_gives_one_document(tmp_path: Path) -> None:
    data = json.loads(harness("run", suite(tmp_path), "-o", tmp_path / "run", "--json").stdout)
    assert data["status"] == "complete"
    assert data["cases"] == {"ok": 1}


def test_report_renders_the_same_bytes_again(tmp_path: Path) -> None:
    harness("run", suite(tmp_path), "-o", tmp_path / "run")
    first = (tmp_path / "run" / "report.html").read_bytes()
    done = harness("report", tmp_path / "run", "-o", tmp_path / "again.html")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "again.html").read_bytes() == first


def test_interrupted_and_resumed(tmp_path: Path) -> None:
    long = suite(
        tmp_path,
        TINY.replace("seconds_per_visit = 0.001", "seconds_per_visit = 1.0").replace("rounds = 2", "rounds = 30"),
    )
    command = [sys.executable, "-m", "harness.cli", "run", str(long), "-o", str(tmp_path / "run")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    journal = tmp_path / "run" / "journal.jsonl"
    end = time.monotonic() + 60
    while not (journal.exists() and journal.read_text().count("\n") >= 2):
        assert time.monotonic() < end, "no visit was made within a minute"
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "harness run --resume" in err
    assert (tmp_path / "run" / "report.html").exists()

    before = [json.loads(line)["visit"] for line in journal.read_text().splitlines()]
    done = harness("run", "--resume", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    visits = [json.loads(line) for line in journal.read_text().splitlines()]
    assert [visit["visit"] for visit in visits][: len(before)] == before
    assert len({(visit["key"], visit["probe"], visit["round"]) for visit in visits}) == len(visits) == 31
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "complete"


# how commands end when something is wrong


def ends(code: int, done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    for word in words:
        assert word in done.stderr


def test_a_gpu_that_is_not_there_is_exit_5(tmp_path: Path) -> None:
    ends(5, harness("run", "smoke", "--device", "cuda", "-o", tmp_path / "run"), "no CUDA device", "--device cpu")
    assert not (tmp_path / "run").exists()


def test_a_device_of_another_kind_is_exit_2() -> None:
    ends(2, harness("plan", "smoke", "--device", "tpu"), "expected auto, cpu or cuda")


@pytest.mark.parametrize("command", ["plan", "run"])
def test_a_misspelt_suite_names_the_nearest(command: str) -> None:
    ends(2, harness(command, "quik"), "quik", "quick")


def test_all_faults_of_a_suite_at_once(tmp_path: Path) -> None:
    bad = suite(tmp_path, TINY.replace("batch = 2", 'batch = "two"\ncolour = 1').replace("rounds = 2", "rouns = 2"))
    done = harness("run", bad, "-o", tmp_path / "run")
    ends(2, done, "tiny.toml:7", "tiny.toml:8", "colour", "rouns", "rounds")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("what", [".", "missing.toml"])
def test_a_folder_and_a_missing_file(tmp_path: Path, what: str) -> None:
    ends(2, harness("plan", what, cwd=tmp_path))


def test_a_full_folder_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("years of work")
    ends(2, harness("run", suite(tmp_path), "-o", tmp_path / "run"), "is not empty")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["thesis.txt"]


def test_no_suite_and_no_run(tmp_path: Path) -> None:
    ends(2, harness("run"), "harness suites")
    ends(2, harness("run", "--resume", tmp_path), "is not a run folder")
    ends(2, harness("run", "smoke", "--resume", tmp_path), "leave out SUITE")
    ends(2, harness("report", tmp_path / "nowhere"), "is not a run folder")


def test_a_report_that_cannot_be_written(tmp_path: Path) -> None:
    harness("run", suite(tmp_path), "-o", tmp_path / "run")
    ends(2, harness("report", tmp_path / "run", "-o", tmp_path / "no" / "page.html"), "does not exist")


def test_a_case_that_fails_makes_exit_3(tmp_path: Path) -> None:
    slow = suite(tmp_path, TINY + "timeout = 0.000001\n")
    done = harness("run", slow, "-o", tmp_path / "run")
    assert done.returncode == 3, done.stderr
    assert "timeout" in done.stderr
    assert (tmp_path / "run" / "report.html").exists()
