"""What a test asserts on: a subject's metrics by name, each a number that knows its interval."""

from __future__ import annotations

from typing import Any

from harness.declare.faults import listed, nearest
from harness.metrics import METRICS, show
from harness.record import OkRecord, Value


class Number(float):
    """A metric's value, which compares and computes as a float."""

    _name: str
    _metric: Value

    @classmethod
    def of(cls, name: str, metric: Value) -> Number:
        """Return the number of one metric."""
        number = cls(metric.value)
        number._name, number._metric = name, metric
        return number

    @property
    def low(self) -> float:
        """Lower end of the 95 % interval; of a number without noise, the number.

        Raises:
            ValueError: It has noise, and too few rounds to tell an interval.
        """
        __tracebackhide__ = True
        return self._end(self._metric.low)

    @property
    def high(self) -> float:
        """Upper end of the 95 % interval; else as `low`."""
        __tracebackhide__ = True
        return self._end(self._metric.high)

    @property
    def n(self) -> int | None:
        """Samples, rows or repetitions that it stands on."""
        return self._metric.n

    @property
    def rounds(self) -> list[float | None]:
        """The estimate of each round; empty where it came in none."""
        return self._metric.rounds or []

    def _end(self, end: float | None) -> float:
        __tracebackhide__ = True
        if end is not None:
            return end
        if METRICS[self._name].exact:
            return float(self)
        raise ValueError(
            f"{self._name} has no interval: an interval needs two rounds or more, and it has {len(self.rounds)}"
        )

    def __repr__(self) -> str:
        return show(self._name, float(self), self._metric.low, self._metric.high)


class Measured:
    """A subject's metrics, as attributes by the names of `harness/metrics.py`: `latency_ms`, `det_batch_size`, ...

    Numbers are `Number`; words, such as `det_batch_size_cause`, are text.
    """

    def __init__(self, record: OkRecord) -> None:
        self.record = record
        """All that is known of the case, as a run keeps it."""

    @property
    def notes(self) -> list[str]:
        """Sentences that a reader of the numbers should see."""
        return self.record.notes

    def __getattr__(self, name: str) -> Any:
        __tracebackhide__ = True
        metric = self.record.metrics.get(name)
        if metric is not None:
            return metric.value if isinstance(metric.value, str) else Number.of(name, metric)
        raise AttributeError(self._missing(name))

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.record.metrics]

    def __repr__(self) -> str:
        return f"Measured({self.record.variant}, {len(self.record.metrics)} metrics)"

    def _missing(self, name: str) -> str:
        if name in METRICS:
            notes = "".join(f"\n    {note}" for note in self.notes)
            return f"{name} was not measured; measured: {listed(self.record.metrics, 'and')}{notes}"
        similar = nearest(name, METRICS)
        return f"there is no metric {name!r}" + (f"; did you mean {similar}?" if similar else "")
