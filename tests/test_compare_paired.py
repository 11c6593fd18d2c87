"""`harness compare --paired` as a user calls it: two revisions of a repository, and what is refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.ceilings import keep_ceilings
from tests.checkouts import commit, make_checkout, plant
from tests.sweeps import ROOT
from tests.test_cli import harness

SUITE = """
title = "Scripted layers"
[base]
d_model = 16
d_ff = 32
tokens = 4
batch = 2
[[variant]]
name = "noisy-a"
layer = "dense"
[[variant]]
name = "noisy-b"
layer = "dense"
[measure]
probes = ["latency"]
rounds = 3
a_a = 0
"""


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository whose last commit makes one layer 10 % slower."""
    folder = tmp_path_factory.mktemp("paired")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        keep_ceilings()
    (folder / "suite.toml").write_text(SUITE)
    root = make_checkout(folder / "repo")
    commit(root, "as it was")
    plant(root, {"noisy-b": 1.1})
    commit(root, "slower")
    return root


def in_repo(repo: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command line of the repository's own code, standing in it."""
    cache = str(repo.parent / "cache")
    return harness(*arguments, cwd=repo, PYTHONPATH=f"{repo}:{ROOT}", XDG_CACHE_HOME=cache)


def compare(repo: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return in_repo(repo, "compare", *arguments, "--paired", repo.parent / "suite.toml")


def test_a_slower_revision_shuts_the_gate_and_names_its_layer(repo: Path, tmp_path: Path) -> None:
    out, junit = tmp_path / "out", tmp_path / "junit.xml"
    done = compare(repo, "HEAD~1", ".", "--gate", "-o", out, "--junit", junit, "--json")
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    assert told["paired"] is True
    assert [row["id"].startswith("noisy-b") for row in told["gate"]["failures"]] == [True]
    assert "1 suspect is measured again, side by side" in done.stderr
    assert (out / "again" / "candidate" / "records.jsonl").exists()
    assert "side by side" in (out / "compared.md").read_text("utf-8")
    assert "noisy-b" in junit.read_text("utf-8")


def test_a_revision_against_itself_passes(repo: Path, tmp_path: Path) -> None:
    done = compare(repo, "HEAD", "HEAD", "--gate", "-o", tmp_path / "out")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "The gate is open" in done.stdout
    assert "eta" in done.stderr


def test_ctrl_c_in_the_second_look_says_what_goes_on_and_it_does(repo: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ("HEAD~1", ".", "--gate", "--paired", repo.parent / "suite.toml")
    with subprocess.Popen(
        [sys.executable, "-m", "harness.cli", "compare", *map(str, words), "-o", str(out)],
        cwd=repo,
        env=os.environ
        | {"PYTHONPATH": f"{repo}:{ROOT}", "XDG_CACHE_HOME": str(repo.parent / "cache"), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        begun = out / "again" / "base" / "journal.jsonl"
        while process.poll() is None and not (begun.exists() and begun.stat().st_size):
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        told = process.communicate(timeout=60)[1]
    assert process.returncode == 130, told
    assert f"go on with the same command and --resume {out}: the second look begins anew" in told
    done = compare(repo, "HEAD~1", ".", "--gate", "--resume", out)
    assert done.returncode == 1, done.stderr
    assert (out / "again-2" / "candidate" / "records.jsonl").exists()


def test_a_night_that_is_slow_for_both_sides_is_cleared_and_a_change_is_not(repo: Path, tmp_path: Path) -> None:
    """The baseline was measured by the last commit's code, the candidate by this one's: git has both."""
    suite = repo.parent / "suite.toml"
    done = in_repo(repo, "run", suite, "-o", tmp_path / "night")
    assert done.returncode == 0, done.stderr
    plant(repo, {"noisy-a": 1.5, "noisy-b": 1.1})  # slower by itself: the baseline's code is what decides
    try:
        assert in_repo(repo, "run", suite, "-o", tmp_path / "tonight").returncode == 0
        slow_night(tmp_path / "tonight", 3.0)
        done = in_repo(repo, "compare", tmp_path / "night", tmp_path / "tonight", "--gate")
    finally:
        plant(repo, {"noisy-b": 1.1})
    assert "2 suspects are measured again, side by side" in done.stderr, done.stderr
    assert done.returncode == 1, done.stdout + done.stderr
    cleared = [line for line in done.stdout.splitlines() if line.startswith("cleared:")]
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED:")]
    assert [len(cleared), len(failed)] == [1, 1]
    assert "noisy-b" in cleared[0]
    assert "noisy-a" in failed[0]


def slow_night(run: Path, factor: float) -> None:
    """Make all times of a run longer, as a busy machine might."""
    records = [json.loads(line) for line in (run / "records.jsonl").read_text().splitlines()]
    for record in records:
        time = record["metrics"]["latency_ms"]
        time["rounds"] = [value * factor for value in time["rounds"]]
    (run / "records.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))


@pytest.mark.parametrize(
    ("sides", "options", "code", "words"),
    [
        (("nowhere", "."), (), 2, "nowhere is neither a folder nor a revision"),
        ((".", "/"), (), 2, "/ holds no harness"),
        ((".", "."), ("--base-python", "/none"), 2, "/none cannot be started"),
        ((".", "."), ("--select", "batch == 99"), 2, "batch == 99"),
        ((".", "."), ("--set", "nothing=2"), 2, "there is no axis 'nothing'"),
        ((".", "."), ("--resume", "/none"), 2, "/none"),
        ((".", "."), ("--device", "cuda"), 5, "CUDA"),
        ((".", "."), ("-o", "/dev/null"), 2, "/dev/null"),
    ],
)
def test_what_cannot_be_measured_is_one_sentence_and_leaves_nothing(
    repo: Path, tmp_path: Path, sides: tuple[str, str], options: tuple[str, ...], code: int, words: str
) -> None:
    out = () if {"-o", "--resume"} & set(options) else ("-o", tmp_path / "out")
    done = compare(repo, *sides, *options, *out)
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_folder_that_holds_something_is_not_written_to(repo: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    done = compare(repo, ".", ".", "-o", tmp_path)
    assert done.returncode == 2
    assert "is not empty" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize("option", ["--base-python", "--candidate-python", "--resume", "--select", "--memory"])
def test_what_is_for_paired_wants_paired(tmp_path: Path, option: str) -> None:
    done = harness("compare", tmp_path, tmp_path, option, "1G")
    assert done.returncode == 2
    assert "are for --paired SUITE" in done.stderr
