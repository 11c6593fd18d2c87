"""The commands of a night, each a process of its own, told to the terminal and to a log alike."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from harness.nightly.night import INTERRUPTED, LOG, Ended

Tell = Callable[[str], object]
PROGRAM = ("-m", "harness.cli")


def run_step(name: str, words: Sequence[str], folder: Path, tell: Tell, output: Path | None = None) -> Ended:
    """Run `harness` with these words; its stderr is told and kept, its stdout goes to `output`, or is kept as well.

    Ctrl-C and SIGTERM are handed on once each, and the command ends as it does by itself: with what it has.
    """
    start, last = time.monotonic(), ""
    with (folder / LOG).open("a", encoding="utf-8", buffering=1) as log:
        log.write(f"$ {shlex.join(('harness', *words))}\n")
        with _started(words, output or folder / LOG) as process, _handed_on(process) as seen:
            assert process.stderr is not None
            for line in process.stderr:
                last = line.strip() or last
                log.write(line)
                tell(line.rstrip("\n"))
            process.wait()
    return Ended(name, INTERRUPTED if seen else process.returncode, round(time.monotonic() - start, 1), last)


def _started(words: Sequence[str], output: Path) -> subprocess.Popen[str]:
    with output.open("ab") as stdout:
        return subprocess.Popen(
            [sys.executable, *PROGRAM, *words],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,  # Ctrl-C comes to it through us alone, once
        )


@contextmanager
def _handed_on(process: subprocess.Popen[str]) -> Iterator[list[int]]:
    """Hand signals that ask us to stop on to `process`, which has a session of its own; yield those that came."""
    seen: list[int] = []

    def hand_on(number: int, frame: FrameType | None) -> None:
        seen.append(number)
        process.send_signal(signal.SIGINT)

    before = {number: signal.signal(number, hand_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield seen
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
