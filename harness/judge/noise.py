"""Noise floor: what a layer's times differ by from its own, and the smallest change that could be told from that."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from harness.judge.stats import CONFIDENCE, Floats, Interval, freedom, log_ratios, paired_ratio, standard_error
from harness.judge.verdict import MARGIN

POWER = 0.8
"""Share of runs in which a change of the smallest size would be found."""
FALSE_ALARM = 0.01
"""Share of sound runs whose A/A cells are told to differ: rarer than a verdict may err, since it spoils all of them."""

Times = Sequence[float | None]
"""One estimate a round; None where there is none."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One layer, timed twice in every round."""

    first: Times
    """Under its own label."""
    second: Times
    """Under the other one."""
    earlier: Times = ()
    """The same times by who came first in the round; empty: not known."""
    later: Times = ()


@dataclass(frozen=True, slots=True)
class Floor:
    """What A/A cells show."""

    cells: int
    pairs: int
    """Rounds of all cells that have both times."""
    ratio: Interval
    """Second label over first; 1 where nothing is wrong."""
    order: Interval | None
    """Later visit over earlier one; above 1 where a visit leaves something behind that slows the next."""
    rounds: int
    """Of the comparison that `smallest_change` is about."""
    smallest_change: float | None
    """A share (0.02 is 2 %): a change of a time by so much is found by POWER of all comparisons of `rounds`; None
    where no cell has two pairs."""
    differ: bool
    """Whether the labels, or the earlier and the later visits, differ by more than chance and more than matters."""


def noise_floor(cells: Sequence[Cell], rounds: int) -> Floor | None:
    """Return what the cells of a run show of comparisons over so many rounds; None with fewer than two pairs.

    Raises:
        ValueError: A time is not positive.
    """
    ratio = _pooled([(cell.second, cell.first) for cell in cells])
    if ratio is None:
        return None
    order = _pooled([(cell.later, cell.earlier) for cell in cells])
    by_label = [log_ratios(cell.second, cell.first) for cell in cells]
    by_order = [log_ratios(cell.later, cell.earlier) for cell in cells]
    return Floor(
        cells=sum(len(logs) > 0 for logs in by_label),
        pairs=sum(map(len, by_label)),
        ratio=ratio,
        order=order,
        rounds=rounds,
        smallest_change=_smallest_change(by_label, rounds),
        differ=_differ(ratio, by_label) or (order is not None and _differ(order, by_order)),
    )


def errors_to_find(rounds: int) -> float:
    """Return how many standard errors a change must measure to be found in POWER of all comparisons of `rounds` rounds.

    With many rounds it is 2.8, z(0.975) + z(0.8); with six 4.2, since their spread is itself only guessed.
    """
    free = freedom(rounds)
    return float(stats.t.ppf((1 + CONFIDENCE) / 2, free) + stats.t.ppf(POWER, free))


def promised_power(effect: float, smallest_change: float, rounds: int) -> float:
    """Return the share of comparisons of `rounds` rounds that find `effect`, where POWER find `smallest_change`.

    Both changes are shares: 0.02 is 2 %.
    """
    free = freedom(rounds)
    shift = math.log1p(effect) / math.log1p(smallest_change) * errors_to_find(rounds)
    return float(stats.t.sf(stats.t.ppf((1 + CONFIDENCE) / 2, free) - shift, free))


def _smallest_change(by_cell: Sequence[Floats], rounds: int) -> float | None:
    """Return the smallest change, from the root mean square over cells of one round's standard error."""
    of_a_round = [standard_error(logs) * math.sqrt(len(logs)) for logs in by_cell if len(logs) > 1]
    if not of_a_round:
        return None
    error = math.sqrt(sum(each**2 for each in of_a_round) / len(of_a_round) / max(1, rounds))
    return math.expm1(errors_to_find(rounds) * error)


def _differ(ratio: Interval, by_cell: Sequence[Floats]) -> bool:
    """Return whether a pooled ratio is beyond MARGIN, and beyond what chance gives in 1 - FALSE_ALARM of sound runs.

    Two ratios are looked at, so each may err half as often.
    """
    logs = np.concatenate(by_cell)
    limit = float(stats.t.ppf(1 - FALSE_ALARM / 4, freedom(len(logs)))) * standard_error(logs)
    return abs(math.log(ratio.value)) > max(limit, math.log1p(MARGIN))


def _pooled(pairs: Sequence[tuple[Times, Times]]) -> Interval | None:
    """Return the ratio over all cells' rounds; their order is random, so one pair says nothing of another's error."""
    both = [(a, b) for over, under in pairs for a, b in zip(over, under, strict=False)]
    return paired_ratio([a for a, _ in both], [b for _, b in both])
