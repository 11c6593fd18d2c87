"""Commands whose streams are full or closed, or whose folder is gone: a sentence, an exit code, never a traceback."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ceilings import keep_ceilings

ROOT = Path(__file__).parent.parent


def shell(line: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run a line of bash in which `harness` is the command line; its exit code is that of the first of a pipe."""
    function = f'harness() {{ {shlex.quote(sys.executable)} -m harness.cli "$@"; }}; '
    return subprocess.run(
        ["bash", "-c", f"{function}{line}; exit ${{PIPESTATUS[0]}}"],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )


@pytest.mark.parametrize("command", ["plan quick --all", "plan smoke --json", "suites", "--help", "--version"])
@pytest.mark.parametrize(("stdout", "why"), [(">/dev/full", "No space left on device"), (">&-", "Bad file descriptor")])
def test_data_that_stdout_does_not_take_is_an_error(command: str, stdout: str, why: str) -> None:
    done = shell(f"harness {command} {stdout}")
    assert done.returncode == 2
    assert done.stderr == f"harness: stdout cannot be written ({why}): send it to a file or a pipe that can be\n"


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))  # with ceilings, or stderr would tell of none
    keep_ceilings()
    done = shell("harness plan quick --all | head -1")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("\n") == 1


@pytest.mark.parametrize("stderr", ["2>/dev/full", "2>&-"])
@pytest.mark.parametrize(("command", "code"), [("plan quik", 2), ("plan --nonsense", 2), ("plan smoke", 0)])
def test_a_stderr_that_takes_nothing_changes_nothing(command: str, code: int, stderr: str) -> None:
    done = shell(f"harness {command} {stderr}")
    assert (done.returncode, done.stderr) == (code, "")


def test_all_streams_closed() -> None:
    assert shell("harness plan smoke <&- >&- 2>&-").returncode == 2


@pytest.mark.parametrize("command", ["plan quick", "run smoke", "suites", "report run", "doctor"])
def test_a_folder_that_is_gone(tmp_path: Path, command: str) -> None:
    done = shell(f"mkdir gone && cd gone && rmdir ../gone && harness {command}", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "harness: the current folder is gone; change to another one"
    assert "Traceback" not in done.stderr
