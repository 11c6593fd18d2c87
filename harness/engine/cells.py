"""A/A cells: what the journal's visits under two labels of one case say of a run's noise."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any

from harness.declare.rounds import A_A, LATENCY
from harness.engine.fold import AnyRecord
from harness.engine.journal import Line
from harness.judge.noise import Cell, Floor, noise_floor
from harness.record import OkRecord

METRIC = "latency_ms"
"""What a run's noise is the noise of."""

Estimates = dict[int, tuple[int, float]]
"""By round: the visit's place in the journal, and its time."""


def noise_document(lines: Iterable[Line], rounds: int) -> dict[str, Any] | None:
    """Return what run.json says of the run's noise, from all visits in the order in which they were made.

    `rounds` are those that comparisons of the run have. None where no A/A cell gave two pairs.
    """
    lines = list(lines)
    labels = _by_label(lines)
    found = {key: _cell(*of_key) for key, of_key in labels.items() if of_key[1]}
    floor = noise_floor(list(found.values()), rounds)
    if floor is None:
        return None
    ids = {line.key: line.id for line in lines}
    by_cell = {key: noise_floor([cell], rounds) for key, cell in found.items()}
    broken = [{"id": line.id, "reason": line.reason} for line in lines if line.probe == A_A and line.status != "ok"]
    return {
        **_document(floor),
        "by_cell": [{"id": ids[key], **_document(each)} for key, each in by_cell.items() if each is not None],
        "broken": broken,
    }


def fewest_rounds(records: Iterable[AnyRecord], planned: int) -> int:
    """Return the rounds that any two timed cases have in common: a comparison has no fewer. Without any, `planned`."""
    timed = [record.metrics[METRIC] for record in records if isinstance(record, OkRecord) and METRIC in record.metrics]
    return min((sum(time is not None for time in value.rounds or ()) for value in timed), default=planned)


def _document(floor: Floor) -> dict[str, Any]:
    order = floor.order
    return {
        "cells": floor.cells,
        "pairs": floor.pairs,
        "rounds": floor.rounds,
        "ratio": floor.ratio.value,
        "low": floor.ratio.low,
        "high": floor.ratio.high,
        "later_over_earlier": None if order is None else {"ratio": order.value, "low": order.low, "high": order.high},
        "smallest_change": floor.smallest_change,
        "differ": floor.differ,
    }


def _by_label(lines: Sequence[Line]) -> dict[str, tuple[Estimates, Estimates]]:
    """Return by case the times of each round under its own and under the second label."""
    found: dict[str, tuple[Estimates, Estimates]] = defaultdict(lambda: ({}, {}))
    for place, line in enumerate(lines):
        samples = line.values.get(METRIC)
        if line.probe in (LATENCY, A_A) and line.round is not None and isinstance(samples, list) and samples:
            found[line.key][line.probe == A_A][line.round] = place, median(samples)
    return found


def _cell(first: Estimates, second: Estimates) -> Cell:
    pairs = [(first[round_], second[round_]) for round_ in sorted(first.keys() & second.keys())]
    in_order = [sorted(pair) for pair in pairs]
    return Cell(
        first=[time for (_, time), _ in pairs],
        second=[time for _, (_, time) in pairs],
        earlier=[earlier for (_, earlier), _ in in_order],
        later=[later for _, (_, later) in in_order],
    )
