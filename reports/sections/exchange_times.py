"""What the exchange takes: by the model at the link that the ranks measured, and as its phase; a part of `exchange`.

Measured is the phase's share of the time of the unprofiled pass, forward and backward where there is one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from harness.declare.exchange import Link, on_own_ranks, own_ranks
from harness.metrics import show, show_ratio
from reports.context import Context
from reports.results import Result
from reports.sections.prediction_pairs import factor
from reports.settings import setting_of
from reports.subjects import Subject
from reports.words import capital, count, join


@dataclass(frozen=True, slots=True)
class Time:
    """What the exchange of one case takes in one pass."""

    subject: Subject
    where: str
    latency_us: float | None
    """Of the link between its ranks; None where nobody measured it."""
    gb_per_s: float | None
    predicted: float | None
    """ms of the model at that link."""
    measured: float | None
    """ms of the phase, the wait for whoever comes last in it."""

    @property
    def ratio(self) -> float | None:
        """Measured over predicted."""
        return self.measured / self.predicted if self.measured and self.predicted else None

    @property
    def error(self) -> float | None:
        """The factor that the prediction is off by, either way."""
        return None if self.ratio is None else factor(self.ratio)

    @property
    def missing(self) -> str | None:
        """What it would take to hold the one against the other; None where both are there."""
        lacking = [] if self.predicted else ["a measured link"]
        lacking += [] if self.measured else ["a time of the phase"]
        return f"without {join(lacking)}" if lacking else None


def times_of(context: Context) -> tuple[Time, ...]:
    """Return the times of every case over ranks that has numbers, whatever its setting."""
    return tuple(time_of(context, result) for result in context.results if result.ok and own_ranks(result.case) > 1)


def time_of(context: Context, result: Result) -> Time:
    """Return the times of one case."""
    latency_us, gb_per_s = result.number("link_latency_us"), result.number("link_gb_per_s")
    predicted = None
    if latency_us and gb_per_s:
        predicted = 1e3 * on_own_ranks(result.case, Link(1e-6 * latency_us, 1e9 * gb_per_s)).seconds
    where = context.words(setting_of(result.case))
    return Time(context.subject(result), where, latency_us, gb_per_s, predicted, _measured(result))


def _measured(result: Result) -> float | None:
    """Return the milliseconds of the phase in the whole pass; None where a half of it is not known."""
    shares = [result.number("phase_exchange_share")]
    halves: list[float | None] = [1.0]
    if result.case.trains:
        shares.append(result.number("phase_exchange_backward_share"))
        halves = [result.number("pass_forward_share"), result.number("pass_backward_share")]
    parts = [share * half for share, half in zip(shares, halves, strict=True) if share is not None and half is not None]
    return None if result.ms is None or len(parts) < len(halves) else result.ms * sum(parts)


def error_words(times: Sequence[Time]) -> str:
    """Return how far predictions are off, or that there are none; one sentence."""
    errors = [(time.error, time) for time in times if time.error is not None]
    if not errors:
        return "No case has both, a predicted and a measured time of its exchange. "
    most, worst = max(errors, key=lambda pair: pair[0])
    whose = (
        f"{worst.subject.phrase} ({worst.where}), {show('latency_ms', worst.measured)} where"
        f" {show('latency_ms', worst.predicted)} were predicted. "
    )
    if len(errors) == 1:
        return f"The predicted time of the one exchange is off by {show_ratio(most)}: {whose}"
    middle, cases = show_ratio(median(error for error, _ in errors)), count(len(errors), "case")
    return (
        f"Predicted times of the exchange are off by {middle} in the median of {cases}, by {show_ratio(most)} in the"
        f" worst: {whose}"
    )


def missing_words(times: Sequence[Time]) -> str:
    """Return which cases lack a time, and why; nothing where none does."""
    lacking = Counter(time.missing for time in times if time.missing)
    told = join([f"{count(number, 'case')} {why}" for why, number in lacking.items()])
    return f"{capital(told)}. " if told else ""
