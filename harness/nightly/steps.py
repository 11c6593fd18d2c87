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
        with _stops() as stops, _started(words, output or folder / LOG) as process:
            stops.reach(process)
            assert process.stderr is not None
            for line in process.stderr:
                last = line.strip() or last
                log.write(line)
                tell(line.rstrip("\n"))
            process.wait()
    return Ended(name, INTERRUPTED if stops.seen else process.returncode, round(time.monotonic() - start, 1), last)


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


class _Stops:
    """Hands signals that ask us to stop on to a process that has a session of its own."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self._process: subprocess.Popen[str] | None = None

    def hand_on(self, number: int, frame: FrameType | None) -> None:
        self.seen.append(number)
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)

    def reach(self, process: subprocess.Popen[str]) -> None:
        """Hand on to `process` from now on, and what came before it was there."""
        self._process = process
        if self.seen:
            process.send_signal(signal.SIGINT)


@contextmanager
def _stops() -> Iterator[_Stops]:
    """Handle the signals before a process starts: one that begins while they are ignored would ignore them too."""
    stops = _Stops()
    before = {number: signal.signal(number, stops.hand_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stops
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
