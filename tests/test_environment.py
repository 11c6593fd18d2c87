from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import harness
from harness.engine import environment as environments
from harness.engine.environment import checkout, environment, harness_identity, source_digest


def test_it_is_plain_data_and_names_what_matters() -> None:
    found = environment()
    assert json.loads(json.dumps(found)) == found
    assert found["torch"].startswith("2.")
    assert found["python"].count(".") == 2
    assert {"os", "kernel", "hostname", "cpu", "memory_bytes", "load_1min", "variables"} <= set(found)


def test_only_listed_variables_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "0", "PYTORCH_ALLOC_CONF": "x", "TORCH_LOGS": "recompiles"}
    secret = {
        "TORCH_HUB_TOKEN": "s3",
        "PYTORCH_API_KEY": "s3",
        "AWS_SECRET_ACCESS_KEY": "s3",
        "MY_OMP_NUM_THREADS": "s3",
    }
    for name, value in (kept | secret).items():
        monkeypatch.setenv(name, value)
    found = environment()
    assert kept.items() <= found["variables"].items()
    assert "s3" not in json.dumps(found)


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_a_checkout_has_a_commit_and_is_dirty_when_changed(tmp_path: Path) -> None:
    assert checkout(tmp_path) == (None, None)
    git(tmp_path, "init", "-q")
    assert checkout(tmp_path) == (None, None)
    (tmp_path / "a.txt").write_text("a")
    git(tmp_path, "add", "a.txt")
    git(tmp_path, "commit", "-q", "-m", "a")
    assert checkout(tmp_path) == (git(tmp_path, "rev-parse", "HEAD"), False)
    (tmp_path / "a.txt").write_text("b")
    assert checkout(tmp_path)[1] is True


def test_a_machine_without_git_has_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert checkout(Path.cwd()) == (None, None)


def test_the_digest_sees_every_python_file_and_its_place(tmp_path: Path) -> None:
    (tmp_path / "room").mkdir()
    (tmp_path / "room" / "a.py").write_text("x = 1\n")
    source_digest.cache_clear()
    first = source_digest(tmp_path)
    (tmp_path / "room" / "note.txt").write_text("not source")
    source_digest.cache_clear()
    assert source_digest(tmp_path) == first
    (tmp_path / "room" / "a.py").rename(tmp_path / "a.py")
    source_digest.cache_clear()
    assert source_digest(tmp_path) != first


def test_the_harness_says_which_one_it_is() -> None:
    identity = harness_identity()
    assert identity["version"] == harness.__version__
    assert identity["source"] == source_digest()
    assert len(identity["source"]) == 16


def test_containers_and_virtual_machines_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mark").touch()
    monkeypatch.setattr(environments, "CONTAINER_MARKS", (str(tmp_path / "mark"),))
    monkeypatch.setattr(environments, "cpu_flags", lambda: frozenset({"avx2", "hypervisor"}))
    assert (environment()["container"], environment()["virtual_machine"]) == (True, True)
    monkeypatch.setattr(environments, "cpu_flags", lambda: frozenset())
    assert environment()["virtual_machine"] is None


@pytest.mark.parametrize("module", ["environment", "folder", "fold", "runner", "progress", "locks", "protocol"])
def test_the_runners_side_needs_no_torch(module: str) -> None:
    program = f"import sys, harness.engine.{module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
