"""Progress on stderr: one rewritten line on a terminal, plain lines elsewhere, one a finished case.

Nothing is drawn by a thread: a line changes between visits only, so that nothing runs beside a measurement.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from contextlib import suppress
from typing import Protocol, TextIO

from harness.declare.rounds import A_A
from harness.declare.visits import Visit
from harness.engine.fold import AnyRecord
from harness.engine.journal import Line
from harness.metrics import show
from harness.record import OkRecord

HEARTBEAT_S = 15.0
"""Without a terminal, and while no case comes to its end, a line this often says how far the run is. Latency rounds
visit all cases in turn, so that most end in the last round."""
RED, PLAIN, CLEAR_LINE = "\x1b[31m", "\x1b[0m", "\r\x1b[K"


class Progress(Protocol):
    """Is told what a run does."""

    def begin(self, cases: int, todo: Iterable[Visit]) -> None:
        """Hear of how many cases there are and which visits are to be made."""

    def more(self, todo: Iterable[Visit]) -> None:
        """Hear of visits that are to be made beside those that were known."""

    def visited(self, line: Line) -> None:
        """Hear of a visit that was made."""

    def finished(self, record: AnyRecord) -> None:
        """Hear of a case that needs no more visits."""

    def remark(self, text: str) -> None:
        """Hear a sentence about the run as a whole."""

    def end(self) -> None:
        """Hear that the run is over."""


class Silent:
    """Says nothing."""

    def begin(self, cases: int, todo: Iterable[Visit]) -> None:
        """Ignore it."""

    def more(self, todo: Iterable[Visit]) -> None:
        """Ignore it."""

    def visited(self, line: Line) -> None:
        """Ignore it."""

    def finished(self, record: AnyRecord) -> None:
        """Ignore it."""

    def remark(self, text: str) -> None:
        """Ignore it."""

    def end(self) -> None:
        """Ignore it."""


class Remaining:
    """The visits that are left, and how long they will take by those that were made."""

    def __init__(self, todo: Iterable[Visit]) -> None:
        self.made = self.total = 0
        self._of_case: dict[str, Counter[str]] = defaultdict(Counter)
        self._left: Counter[str] = Counter()
        self._seconds: dict[str, float] = defaultdict(float)
        self._seen: Counter[str] = Counter()
        self._by_design: dict[str, float] = {}
        self.add(todo)

    def add(self, todo: Iterable[Visit]) -> None:
        """Put more visits to those that are left."""
        for visit in todo:
            self.total += 1
            self._by_design[visit.probe] = visit.seconds
            self._of_case[visit.key][visit.probe] += 1
            self._left[visit.probe] += 1

    def visited(self, key: str, probe: str, seconds: float) -> None:
        """Take one visit off."""
        self.made += 1
        self._of_case[key][probe] -= 1
        self._left[probe] -= 1
        self._seen[probe] += 1
        self._seconds[probe] += seconds

    def finished(self, key: str) -> None:
        """Take off what a case that failed will not be visited for."""
        left = self._of_case.pop(key, Counter[str]())
        self._left -= left
        self.total -= left.total()

    def eta_seconds(self) -> float | None:
        """Return the time that is left; None before the first visit.

        A probe not seen yet counts as the average, and what it takes by design.
        """
        if not self.made:
            return None
        return sum(count * self._seconds_of(probe) for probe, count in self._left.items())

    def _seconds_of(self, probe: str) -> float:
        if self._seen[probe]:
            return self._seconds[probe] / self._seen[probe]
        return sum(self._seconds.values()) / self.made + self._by_design[probe]


class Console:
    """Writes progress to a stream.

    Args:
        stream: Where to; None: stderr.
        live: Rewrite one line; None: where `stream` is a terminal and CI is unset. Not rich's own detection, which
            FORCE_COLOR turns on in CI.
    """

    def __init__(self, stream: TextIO | None = None, live: bool | None = None) -> None:
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty() and not os.environ.get("CI") if live is None else live
        self._colour = self._live and not os.environ.get("NO_COLOR")
        self._remaining = Remaining([])
        self._cases = self._finished = 0
        self._last_word = time.monotonic()

    def begin(self, cases: int, todo: Iterable[Visit]) -> None:
        """Start counting."""
        self._remaining, self._cases, self._finished = Remaining(todo), cases, 0

    def more(self, todo: Iterable[Visit]) -> None:
        """Count them in."""
        self._remaining.add(todo)

    def visited(self, line: Line) -> None:
        """Count a visit; rewrite the status line, or break a long silence."""
        self._remaining.visited(line.key, line.probe, line.seconds)
        name = "A/A" if line.probe == A_A else line.probe
        what = name if line.round is None else f"{name}, round {line.round + 1}"
        if self._live:
            self._status(f"{line.id}  {what}")
        elif time.monotonic() - self._last_word >= HEARTBEAT_S:
            self._say(f"{self._count()} {self._remaining.made} of {self._remaining.total} visits made{self._eta()}")

    def finished(self, record: AnyRecord) -> None:
        """Say what came of a case; on a terminal a case that is well only moves the count."""
        self._finished += 1
        text = f"{self._count()} {record.id}  {summary(record)}"
        if not isinstance(record, OkRecord):
            self._remaining.finished(record.key)
        if isinstance(record, OkRecord):
            if not self._live:
                self._say(text + self._eta())
        else:
            self._say(f"{RED}{text}{PLAIN}" if self._colour else text)

    def remark(self, text: str) -> None:
        """Say it, in a line of its own."""
        self._say(f"harness: {text}")

    def end(self) -> None:
        """Leave no half line behind."""
        if self._live:
            self._write(CLEAR_LINE)

    def _status(self, what: str) -> None:
        width = shutil.get_terminal_size().columns - 1
        self._write(CLEAR_LINE + f"{self._count()} {what}{self._eta()}"[:width])

    def _say(self, text: str) -> None:
        self._last_word = time.monotonic()
        self._write((CLEAR_LINE if self._live else "") + text + "\n")

    def _write(self, text: str) -> None:
        with suppress(OSError):  # a full or closed stderr must not cost the run
            self._stream.write(text)
            self._stream.flush()

    def _count(self) -> str:
        return f"[{self._finished:>{len(str(self._cases))}}/{self._cases}]"

    def _eta(self) -> str:
        seconds = self._remaining.eta_seconds()
        return f"  (eta {show_duration(seconds)})" if seconds else ""


def summary(record: AnyRecord) -> str:
    """Return a case's outcome in a few words: `1.152 ms ±0.8 %`, or its status and reason."""
    if not isinstance(record, OkRecord):
        return f"{record.status}: {record.reason}"
    latency = record.metrics.get("latency_ms")
    if latency is None:
        return "ok"
    if latency.low is None or latency.high is None:
        return show("latency_ms", latency.value)
    half = (latency.high - latency.low) / 2 / float(latency.value)
    if half >= 1:  # no digit of the value is supported; a bare zero would say less than the value does
        return f"{show('latency_ms', latency.value)}, too noisy to tell"
    return f"{show('latency_ms', latency.value, latency.low, latency.high)} ±{100 * half:.1f} %"


def show_duration(seconds: float) -> str:
    """Return a time span as people say it: `40 s`, `4 min`, `2 h 10 min`."""
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
