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

import psutil
import pytest

from harness.record import OkRecord, parse_record
from tests.ceilings import keep_ceilings

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
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    keep_ceilings()
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
    assert names == {
        "quick", "smoke", "model-size", "experts", "top-k", "slots", "batch-size", "recipes", "models", "peers",
        "routing", "determinism", "claims", "claims-gpu", "gpu", "gpu-energy", "parallel",
    }  # fmt: skip


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
    done = harness("report", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "report.html").read_bytes() == first


def test_interrupted_and_resumed(tmp_path: Path) -> None:
    long = suite(
        tmp_path,
        TINY.replace("seconds_per_visit = 0.001", "seconds_per_visit = 1.0").replace("rounds = 2", "rounds = 4"),
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
    assert len({(visit["key"], visit["probe"], visit["round"]) for visit in visits}) == len(visits) == 9
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "complete"


def begun(folder: Path) -> subprocess.Popen[str]:
    """Start a run of half a minute in `folder`/run and return once it has made two visits."""
    long = TINY.replace("seconds_per_visit = 0.001", "seconds_per_visit = 1.0").replace("rounds = 2", "rounds = 4")
    command = [sys.executable, "-m", "harness.cli", "run", str(suite(folder, long)), "-o", str(folder / "run")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    journal = folder / "run" / "journal.jsonl"
    end = time.monotonic() + 60
    while not (journal.exists() and journal.read_text().count("\n") >= 2):
        assert time.monotonic() < end, "no visit was made within a minute"
        time.sleep(0.05)
    return process


def test_two_signals_at_once_leave_the_report_and_the_hint(tmp_path: Path) -> None:
    process = begun(tmp_path)
    process.send_signal(signal.SIGINT)
    time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "once more ends it at once" in err
    assert "harness run --resume" in err
    assert "Traceback" not in err
    assert Path(out.strip()).exists()


def test_a_third_signal_ends_at_once_and_the_run_stays(tmp_path: Path) -> None:
    process = begun(tmp_path)
    for _ in range(3):
        process.send_signal(signal.SIGINT)
        time.sleep(0.02)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.endswith("`harness run --resume` goes on\n")
    assert harness("report", tmp_path / "run").returncode == 0


def test_a_resumed_run_keeps_its_threads(tmp_path: Path) -> None:
    path = tmp_path / "run" / "run.json"
    harness("run", suite(tmp_path), "-o", tmp_path / "run", "--threads", "1", OMP_NUM_THREADS="2")
    assert json.loads(path.read_text())["threads"] == 1
    journal = tmp_path / "run" / "journal.jsonl"
    journal.write_text(journal.read_text().splitlines(keepends=True)[0])
    done = harness("run", "--resume", tmp_path / "run", OMP_NUM_THREADS="2")
    assert done.returncode == 0, done.stderr
    assert json.loads(path.read_text())["device"]["threads"] == 1
    done = harness("run", "--resume", tmp_path / "run", OMP_NUM_THREADS="1")
    ends(2, done, "OMP_NUM_THREADS differs from when the run began")


def _numbers(count: int) -> str:
    return ",".join(map(str, range(1, count + 1)))


def test_a_budget_ends_a_run_with_a_report_and_no_fault(tmp_path: Path) -> None:
    long = suite(tmp_path, TINY.replace("seconds_per_visit = 0.001", "seconds_per_visit = 1.0"))
    # A visit has 200 blocks at most, and a block a millisecond at least: only calls of some milliseconds fill a second.
    # 64 visits of more than half a second are far more than the budget, whatever the machine.
    large = [f"--set={axis}" for axis in ("d_model=256", "d_ff=1024", "tokens=512", f"batch={_numbers(32)}")]
    done = harness("run", long, "-o", tmp_path / "run", *large, "--budget", "12s")
    assert done.returncode == 0, done.stderr
    assert "the run's time budget was used up; go on with: harness run --resume" in done.stderr
    assert Path(done.stdout.strip()).exists()
    assert json.loads((tmp_path / "run" / "run.json").read_text())["end"] == "over_budget"


# how commands end when something is wrong


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [("--budget", "soon", "such as 90s, 30m, 2h or 1h30m"), ("--memory", "16", "such as 512M or 16G")],
)
def test_an_amount_that_is_none_says_what_was_expected(option: str, value: str, expected: str) -> None:
    ends(2, harness("run", "smoke", option, value), f"{option} {value}", expected)


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


@pytest.mark.parametrize(
    "option", [("--threads", "0"), ("--memory", "1G"), ("--device", "auto"), ("--set", "batch=1"), ("-o", "x")]
)
def test_a_run_goes_on_as_it_was_begun(tmp_path: Path, option: tuple[str, str]) -> None:
    done = harness("run", "--resume", tmp_path, *option)
    ends(2, done, "leave out SUITE, -o, --set, --select, --device, --threads, --memory, --no-prune and --trace")


def test_traces_need_the_probe_that_profiles(tmp_path: Path) -> None:
    done = harness("run", suite(tmp_path), "--trace", "-o", tmp_path / "run")
    ends(2, done, "--trace keeps what the probe phases records")
    assert not (tmp_path / "run").exists()


def test_more_threads_than_cores(tmp_path: Path) -> None:
    done = harness("run", suite(tmp_path), "--threads", "999999", "-o", tmp_path / "run")
    cores = psutil.cpu_count()
    ends(2, done, f"--threads 999999: this machine has {cores} logical cores; expected 0 to {cores}")
    assert not (tmp_path / "run").exists()


def test_a_refused_run_leaves_no_folder_and_may_try_again(tmp_path: Path) -> None:
    from harness.devices.names import detect
    from harness.engine.locks import device_lock

    tiny = suite(tmp_path)
    with device_lock(detect("cpu").name, Path("elsewhere")):
        ends(2, harness("run", tiny, "-o", tmp_path / "run"), "is in use by process", "elsewhere")
    assert not (tmp_path / "run").exists()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".lock").touch()
    assert harness("run", tiny, "-o", tmp_path / "run").returncode == 0


def test_a_cache_that_cannot_be_written_costs_a_warning(tmp_path: Path) -> None:
    done = harness("run", suite(tmp_path), "-o", tmp_path / "run", XDG_CACHE_HOME="/proc/nope", TMPDIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "the ceilings cannot be kept in /proc/nope" in done.stderr
    assert "XDG_CACHE_HOME" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_run_in_which_nothing_fits_says_so(tmp_path: Path) -> None:
    huge = suite(tmp_path, TINY.replace("d_ff = 64", "d_ff = 1000000000"))
    done = harness("run", huge, "-o", tmp_path / "run")
    assert done.returncode == 3, done.stderr
    assert "no case has numbers; the most frequent reason: skipped: does not fit" in done.stderr
    assert "(1 of 1 cases)" in done.stderr


def without_cuda(folder: Path, name: str) -> dict[str, str]:
    """Return variables under which NVML sees a GPU, and torch, whose version says nothing of it, does not."""
    (folder / "site").mkdir()
    (folder / "site" / "pynvml.py").write_text(NVML)
    (folder / "site" / "sitecustomize.py").write_text(
        "from importlib import metadata\nversion = metadata.version\n"
        f"metadata.version = lambda name: {name!r} if name == 'torch' else version(name)\n"
    )
    return {"PYTHONPATH": f"{folder / 'site'}:{ROOT}", "CUDA_VISIBLE_DEVICES": "0"}


NVML = """
from tests.ceilings import keep_ceilings
from tests.scripted_cuda import ScriptedNvml
nvml = ScriptedNvml()
def __getattr__(name):
    return getattr(nvml, name)
"""


@pytest.mark.parametrize("ceilings", ["known", "unknown"])
@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_a_gpu_that_torch_cannot_use_is_exit_5(tmp_path: Path, device: str, ceilings: str) -> None:
    from harness.devices.ceilings import Ceilings, save

    if ceilings == "known":
        save(Ceilings("NVIDIA Scripted", {"float32": 1e11}, 1e10, 2**34, "2026-01-01", "2.13.0"))
    variables = without_cuda(tmp_path, "2.13.0")
    done = harness("run", suite(tmp_path), "--device", device, "-o", tmp_path / "run", cwd=ROOT, **variables)
    ends(5, done, "no CUDA device: torch", "install a CUDA build of torch, or use --device cpu")
    assert not (tmp_path / "run").exists()


def test_auto_takes_the_cpu_where_torch_is_built_for_it(tmp_path: Path) -> None:
    done = harness("plan", suite(tmp_path), cwd=ROOT, **without_cuda(tmp_path, "2.13.0+cpu"))
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("harness: NVIDIA Scripted is here, but torch 2.13.0+cpu is a build for the CPU")


def test_a_report_that_cannot_be_written_after_a_run(tmp_path: Path) -> None:
    process = begun(tmp_path)
    (tmp_path / "run" / "report.html").mkdir()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert "report.html" in err
    assert "harness report" in err
    assert "harness run --resume" in err
    assert "Traceback" not in err


def test_a_whole_run_survives_a_stdout_that_takes_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "harness.cli", "run", str(suite(tmp_path)), "-o", str(tmp_path / "run")]
    with Path("/dev/full").open("w") as full:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, env=environment, check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "complete"
    assert (tmp_path / "run" / "report.html").exists()


def test_a_case_that_fails_makes_exit_3(tmp_path: Path) -> None:
    slow = suite(tmp_path, TINY + "timeout = 0.000001\n")
    done = harness("run", slow, "-o", tmp_path / "run")
    assert done.returncode == 3, done.stderr
    assert "timeout" in done.stderr
    assert (tmp_path / "run" / "report.html").exists()


def test_several_selections_hold_together(tmp_path: Path) -> None:
    path = suite(tmp_path, TINY.replace("batch = 2", "") + "[sweep]\nbatch = [1, 2, 4]\n")
    done = harness("plan", path, "--json", "--select", "batch > 1", "--select", "batch < 4")
    assert [case["case"]["batch"] for case in json.loads(done.stdout)["cases"]] == [2]
