"""Checkouts for tests of paired runs: this harness with the scripted worker in the place of its own, without torch."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.sweeps import ROOT

WORKER = """
import sys
sys.path.append({root!r})
from dataclasses import replace
from tests import scripted_worker

FACTORS = {factors!r}
FAILING = {failing!r}
scripted = scripted_worker.answer

def answer(request, folder):
    result = scripted(request, folder)
    if request.probe == "latency" and request.variant in FAILING:
        return replace(result, status="crashed", reason="ValueError: planted", values={{}})
    factor = FACTORS.get(request.variant, 1.0)
    times = [factor * sample for sample in result.values.get("latency_ms", [])]
    return replace(result, values=result.values | ({{"latency_ms": times}} if times else {{}}))

scripted_worker.answer = answer

def main():
    sys.argv.insert(1, {log!r})
    scripted_worker.main()

if __name__ == "__main__":
    main()
"""


def make_checkout(
    folder: Path, factors: dict[str, float] | None = None, *, failing: tuple[str, ...] = (), log: Path | None = None
) -> Path:
    """Return a checkout's root; the times of variants are multiplied by `factors`, and `failing` ones have none."""
    shutil.copytree(ROOT / "harness", folder / "harness", ignore=shutil.ignore_patterns("__pycache__"))
    plant(folder, factors, failing=failing, log=log)
    return folder


def plant(
    folder: Path, factors: dict[str, float] | None = None, *, failing: tuple[str, ...] = (), log: Path | None = None
) -> None:
    """Change what a checkout's worker does."""
    log = log or folder.parent / f"{folder.name}.log"
    text = WORKER.format(root=str(ROOT), factors=factors or {}, failing=failing, log=str(log))
    (folder / "harness" / "engine" / "worker.py").write_text(text)


def git(folder: Path, *arguments: str) -> str:
    """Run git as nobody in particular."""
    own = ["-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", "-C", str(folder), *own, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def commit(folder: Path, message: str) -> str:
    """Commit all there is, and return the commit."""
    if not (folder / ".git").exists():
        git(folder, "init", "--quiet")
        (folder / ".gitignore").write_text("__pycache__/\n*.log\n")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message)
    return git(folder, "rev-parse", "HEAD")
