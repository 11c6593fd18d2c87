"""Ctrl-C and SIGTERM as a question: the run looks when it can stop, so that no write is ever cut in half.

The first asks the run to stop; it then ends its worker, folds what it has, and renders the report. The second changes
nothing but says so, since two often come at once. The third ends the process where it stands.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
INTERRUPTED = 130
"""Exit code of a process that was interrupted."""
SECOND = b"harness: the run is being ended and its report written; once more ends it at once, without\n"
THIRD = b"harness: ended at once; every finished visit is in the run's journal, and `harness run --resume` goes on\n"


@contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """Yield a function that says whether a stop was asked for within the block; handlers are put back after it."""
    seen: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        seen.append(number)
        if len(seen) == 2:
            _say(SECOND)
        elif len(seen) > 2:
            _say(THIRD)
            os._exit(INTERRUPTED)

    if threading.current_thread() is not threading.main_thread():  # Python allows handlers in the main thread alone
        yield lambda: False
        return
    before = {number: signal.signal(number, note) for number in SIGNALS}
    try:
        yield lambda: bool(seen)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say(text: bytes) -> None:
    """Write to stderr past Python's own buffer, which the signal may have come in the midst of."""
    with suppress(OSError):
        os.write(2, text)
