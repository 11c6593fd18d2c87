"""Peaks: the memory that the closed forms give beside the peaks that were measured, over all cases."""

from __future__ import annotations

import math
from dataclasses import dataclass

from harness.metrics import show_percent, show_ratio
from reports.context import Context
from reports.results import Result
from reports.sections.bars import predicted_of
from reports.subjects import Subject
from reports.words import count

CLOSE = 0.05
"""A closed form within 5 % of the measured peak is called close."""
DRAWN, FARTHEST = 1500, 100
"""Marks that a chart holds, and how many of them are the farthest from their closed form."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A measured peak beside its closed form, in bytes."""

    subject: Subject
    predicted: float
    measured: float


def pair_of(context: Context, result: Result) -> Pair | None:
    """Return the case's peak beside its closed form; None where it lacks either."""
    predicted, measured = predicted_of(result), result.number("memory_peak_bytes")
    return Pair(context.subject(result), predicted, measured) if predicted and measured else None


def drawn(pairs: tuple[Pair, ...]) -> tuple[tuple[Pair, ...], str]:
    """Return the pairs that a chart can hold, and which they are: the farthest, and of the others every so many."""
    if len(pairs) <= DRAWN:
        return pairs, ""
    farthest = {pair.subject.id for pair in sorted(pairs, key=_gap, reverse=True)[:FARTHEST]}
    step = math.ceil(len(pairs) / (DRAWN - FARTHEST))
    kept = tuple(pair for index, pair in enumerate(pairs) if not index % step or pair.subject.id in farthest)
    return kept, f"The chart draws the {FARTHEST} farthest of {len(pairs)} cases, and one in {step} of the others."


def _gap(pair: Pair) -> float:
    return abs(pair.measured / pair.predicted - 1)


def prediction(pairs: tuple[Pair, ...]) -> str:
    """Return how near the closed form came, over all cases."""
    if not pairs:
        return "The run has no peaks that a closed form predicts."
    gaps = [_gap(pair) for pair in pairs]
    near = sum(gap <= CLOSE for gap in gaps)
    whole = "every case" if near == len(gaps) else f"{near} of {count(len(gaps), 'case')}"
    worst = max(pairs, key=_gap)
    ratio = show_ratio(worst.measured / worst.predicted)
    return (
        f"The closed form is within {show_percent(CLOSE)} of the measured peak in {whole};"
        f" the farthest is {worst.subject.phrase}, measured at {ratio}."
    )


def fake_words(results: list[Result]) -> str:
    """Return in how many cases fake tensors give the peak less its workspace, to the byte."""
    hits = [
        fake == peak - workspace
        for result in results
        if (fake := result.number("memory_fake_bytes")) is not None
        and (peak := result.number("memory_peak_bytes")) is not None
        and (workspace := result.number("memory_workspace_bytes")) is not None
    ]
    if not hits:
        return ""
    whole = "all" if all(hits) else f"{sum(hits)} of"
    return (
        f"Fake tensors predict the peak without workspace to the byte in {whole} {count(len(hits), 'case')} they fit."
    )
