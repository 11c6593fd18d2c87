"""Progress of a paired run: two runs told of as one, each case once for each side."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace

from harness.declare.visits import Visit
from harness.engine.fold import AnyRecord
from harness.engine.journal import Line
from harness.engine.progress import Progress


class BothSides:
    """What two runs do, told to one listener.

    Args:
        listener: Is told of both.
    """

    def __init__(self, listener: Progress) -> None:
        self.listener = listener
        self.begun = False
        self._last = time.monotonic()

    def lap(self) -> float:
        """Return the seconds since it was last asked: what a visit took with all around it.

        A round starts a worker for each side, which often takes longer than its visits.
        """
        last, self._last = self._last, time.monotonic()
        return self._last - last

    def of(self, side: str) -> Progress:
        """Return what one side's run is to tell."""
        return _OneSide(self, side)


class _OneSide:
    def __init__(self, both: BothSides, side: str) -> None:
        self._both, self._side = both, side
        self._listener = both.listener

    def begin(self, cases: int, todo: Iterable[Visit]) -> None:
        """Begin the listener's count, of both sides' cases, or put this side's visits to the other's."""
        if self._both.begun:
            self.more(todo)
            return
        self._both.begun = True
        self._listener.begin(2 * cases, self._named(todo))

    def more(self, todo: Iterable[Visit]) -> None:
        """Pass it on."""
        self._listener.more(self._named(todo))

    def visited(self, line: Line) -> None:
        """Pass it on under the side's name, with all the time that it took."""
        told: dict[str, object] = {**self._name(line.key, line.id), "seconds": self._both.lap()}
        self._listener.visited(line.model_copy(update=told))

    def finished(self, record: AnyRecord) -> None:
        """Pass it on under the side's name."""
        self._listener.finished(record.model_copy(update=self._name(record.key, record.id)))

    def remark(self, text: str) -> None:
        """Pass it on under the side's name."""
        self._listener.remark(f"{self._side}: {text}")

    def end(self) -> None:
        """Pass it on."""
        self._listener.end()

    def _named(self, todo: Iterable[Visit]) -> Iterator[Visit]:
        return (replace(visit, key=f"{self._side}/{visit.key}") for visit in todo)

    def _name(self, key: str, case_id: str) -> dict[str, str]:
        return {"key": f"{self._side}/{key}", "id": f"{self._side} {case_id}"}
