"""The steps of `nox -s gpu`: each a command with a time limit of its own; one that fails stops no other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
HARNESS = ("-m", "harness.cli")
LOGS = "logs"
WRITES_S = 25.0
"""What a run is given above its measuring, to come up and to write its records and its report."""
PATIENCE_S = 10.0
"""Between the request to stop, on which a run writes down what it has, and the end of all its processes."""
PACE_S = 5.0
"""Between two lines of progress."""


@dataclass(frozen=True, slots=True)
class Step:
    """One command, in which {device}, {folder} and {budget} stand for what the session says."""

    name: str
    what: str
    """What it is for, in a few words."""
    limit_s: float
    words: tuple[str, ...]
    """Arguments of this Python."""
    output: str | None = None
    """Where its stdout goes; None: to its log."""
    narrow: tuple[str, ...] = ()
    """Further words on a CPU, which only rehearses."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What came of a step."""

    step: Step
    seconds: float
    code: int | None
    """Exit code; None: it was ended, or never begun."""
    words: str = ""
    """Why it failed; empty where it did not."""


def run_step(
    step: Step, folder: Path, device: str, limit_s: float, tell: Callable[[str], None], pace_s: float = PACE_S
) -> Ended:
    """Run one step for at most `limit_s` seconds, and return what came of it; never raises but for Ctrl-C."""
    log = folder / LOGS / f"{step.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    output = folder / step.output if step.output else log
    start = time.monotonic()
    with log.open("ab") as errors, output.open("ab") as answers, _heard():
        command = _command(step, folder, device, limit_s)
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=answers, stderr=errors, cwd=ROOT, env=_environment(folder),
            start_new_session=True,
        )  # fmt: skip
        try:
            ended = _wait(process, start + limit_s, lambda left: tell(_progress(step, log, left)), pace_s)
        finally:
            _end(process)
    seconds = time.monotonic() - start
    if not ended:
        return Ended(step, seconds, None, f"it was not done after {limit_s:.0f} s and was ended{_last_words(log)}")
    code = process.returncode
    return Ended(step, seconds, code, f"it ended with {code}{_last_words(log)}" if code else "")


def _command(step: Step, folder: Path, device: str, limit_s: float) -> list[str]:
    budget = max(1, round(limit_s - WRITES_S))
    words = step.words + (step.narrow if device == "cpu" else ())
    return [sys.executable, *(word.format(device=device, folder=folder, budget=budget) for word in words)]


@contextmanager
def _heard() -> Iterator[None]:
    """Let processes that are started here hear SIGINT: a shell starts what runs behind it deaf to it, as CI may."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _environment(folder: Path) -> dict[str, str]:
    """Return ours, with this checkout first and a cache folder of the session's own: its ceilings are measured anew."""
    found = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": found, "XDG_CACHE_HOME": str(folder / "cache"), "PYTHONUNBUFFERED": "1"}


def _wait(process: subprocess.Popen[bytes], end: float, tell: Callable[[float], None], pace_s: float) -> bool:
    """Return whether the process ended by itself before `end`."""
    while (left := end - time.monotonic()) > 0:
        try:
            process.wait(min(pace_s, left))
        except subprocess.TimeoutExpired:
            tell(end - time.monotonic())
        else:
            return True
    return process.poll() is not None


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask the process to stop, as Ctrl-C does, and end it with all of its group where it does not."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE_S)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _progress(step: Step, log: Path, left: float) -> str:
    return f"{step.name}: {_last_line(log) or 'at work'} ({max(0.0, left):.0f} s left)"


def _last_words(log: Path) -> str:
    line = _last_line(log)
    return f": {line}" if line else ""


def _last_line(log: Path) -> str:
    """Return the last line of a log that says anything, cut to a line's length."""
    tail = log.read_bytes()[-4000:].decode("utf-8", "replace").replace("\r", "\n")
    lines = [line.strip() for line in tail.splitlines() if line.strip()]
    return lines[-1][:160] if lines else ""
