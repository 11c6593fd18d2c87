"""Samples: what a case's median leaves out, its tail and its outliers; they are counted, and kept."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from harness.metrics import show
from reports.journal import Timed
from reports.results import Result, Run
from reports.words import count, join

TAILS = {90: 10, 99: 100}
"""Percentile: the fewest samples of which one lies beyond it."""
FENCE, FEWEST = 1.5, 8
"""Tukey's fence, in ranges between the quartiles beyond them; of fewer samples quartiles say little."""


def kept(run: Run, result: Result) -> list[Timed]:
    """Return the visits that the case's estimates were made of: a journal may hold others, of an older program."""
    rounds = result.rounds()
    return [
        visit
        for visit in run.timed.get(result.key, ())
        if not visit.second
        and visit.round < len(rounds)
        and (ms := rounds[visit.round]) is not None
        and math.isclose(ms, visit.ms, rel_tol=1e-6)
    ]


def tail_notes(run: Run, result: Result) -> tuple[str, ...]:
    """Return `90 % of 36 samples took at most 1.31 ms`, as far out as there are samples to tell."""
    samples = _samples(run, result)
    told = [
        f"{percent} % of {len(samples)} samples took at most"
        f" {show('latency_ms', float(np.percentile(samples, percent, method='inverted_cdf')))}"
        for percent, fewest in TAILS.items()
        if len(samples) >= fewest
    ]
    return (join(told),) if told else ()


def outliers_words(run: Run, results: Sequence[Result]) -> str:
    """Return how many samples lie beyond Tukey's fences of their case; empty where no journal holds enough of them."""
    every = [samples for result in results if len(samples := _samples(run, result)) >= FEWEST]
    if not every:
        return ""
    number, whole = sum(map(_outside, every)), sum(map(len, every))
    lie = "lies" if number == 1 else "lie"
    return (
        f" Of {count(whole, 'sample')} {number or 'none'} {lie} further than {FENCE:g} times the middle half’s width"
        " outside it (Tukey), case by case: outliers are counted and kept."
    )


def _samples(run: Run, result: Result) -> list[float]:
    return [sample for visit in kept(run, result) for sample in visit.samples]


def _outside(samples: Sequence[float]) -> int:
    low, high = np.percentile(samples, (25, 75))
    reach = FENCE * (high - low)
    return int(np.sum((np.asarray(samples) < low - reach) | (np.asarray(samples) > high + reach)))
