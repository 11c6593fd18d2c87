"""A report needs no torch: `nox -s torchless` sees it in an environment without one, and this with one hidden."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def blocked(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, cwd=ROOT, check=False)


def test_every_command_that_only_looks_works_without_torch() -> None:
    done = blocked("-m", "tests.torchless", "--block")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "every command did its work without torch" in done.stdout


def test_torch_is_hidden_indeed() -> None:
    hide = "import sys; from tests.torchless import NoTorch; sys.meta_path.insert(0, NoTorch())"
    done = blocked("-c", f"{hide}; import harness.layers.dense")
    assert done.returncode != 0
    assert "No module named 'torch'" in done.stderr
