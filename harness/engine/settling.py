"""Whether a case's times had settled, asked over all its rounds.

A visit of a slow layer has too few blocks to tell by itself. But each round is a fresh process: where warm-up is left
in the samples, the first of them is slower than the last in round after round. So first and last are compared like two
cases, pairwise over rounds; the "first k against last k" test, with one block for k.

Only of visits that were not tested: where a test has left blocks out, the first that stays is no block like the others.
And only a first sample that is slower tells: the last is the one in which the visit's time ran out, and of unequal
blocks that is rather a long one.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.engine.journal import Line
from harness.judge.stats import MIN_RESAMPLED, Interval, paired_ratio
from harness.judge.steady import NOT_TESTED, TOLERANCE
from harness.metrics import show_interval, show_ratio


def with_settling(notes: Sequence[str], lines: Sequence[Line]) -> list[str]:
    """Return the notes of a case's visits with what their rounds together say of its warm-up."""
    ratio, rounds = _first_over_last(lines)
    if ratio is None:
        return list(notes)
    tested = [note for note in notes if note != NOT_TESTED]
    return [*tested, _words(ratio, rounds)] if ratio.low > 1 + TOLERANCE else tested


def _first_over_last(lines: Sequence[Line]) -> tuple[Interval | None, int]:
    """Return the ratio of the rounds' first samples to their last, and of how many rounds; None of too few."""
    series = [line.values.get("latency_ms") for line in lines if NOT_TESTED in line.notes]
    pairs = [(samples[0], samples[-1]) for samples in series if isinstance(samples, list) and len(samples) > 1]
    if len(pairs) < MIN_RESAMPLED:
        return None, len(pairs)
    return paired_ratio([first for first, _ in pairs], [last for _, last in pairs]), len(pairs)


def _words(ratio: Interval, rounds: int) -> str:
    value, interval = show_ratio(ratio.value, ratio.low, ratio.high), show_interval(ratio.value, ratio.low, ratio.high)
    return f"had not settled: over {rounds} rounds a visit's first sample took {value} {interval} of its last"
