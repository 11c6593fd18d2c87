"""A/A: how far a layer's time lies from its own, timed twice in every round under two labels; a part of `noise`."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import quantiles

from harness.metrics import show_ratio, show_spread
from reports.context import Context
from reports.families import NAMES, Family
from reports.results import Result
from reports.words import Sentence, Span, count, sentence


@dataclass(frozen=True, slots=True)
class Again:
    """The pairs of one family's A/A cells."""

    name: str
    family: Family
    ratios: tuple[float, ...]
    """Time under the second label over that under the first, round by round, the smallest first."""

    @property
    def quarters(self) -> tuple[float, float, float]:
        """The median and the quartiles around it; of one pair itself."""
        return _quarters(self.ratios)


@dataclass(frozen=True, slots=True)
class SameAgainstSame:
    """What the A/A cells gave, family by family."""

    finding: Sentence
    families: tuple[Again, ...]
    band: float | None
    """The noise floor, as a share; None where too few pairs tell it."""


def build(context: Context) -> SameAgainstSame | None:
    """Return the pairs of every family; None where the run has no A/A cells, or no journal that holds them."""
    found: dict[Family, list[float]] = {}
    for result in context.timed:
        if ratios := _pairs(context, result):
            found.setdefault(context.identity[result.case.variant].family, []).extend(ratios)
    if not found:
        return None
    floor = context.run.file.noise
    band = None if floor is None else floor.smallest_change
    families = tuple(Again(NAMES[family], family, tuple(sorted(ratios))) for family, ratios in found.items())
    return SameAgainstSame(_finding(families, band), families, band)


def _pairs(context: Context, result: Result) -> list[float]:
    first, visits = result.rounds(), context.run.timed.get(result.key, ())
    second = {visit.round: visit.ms for visit in visits if visit.second}
    return [second[round_] / ms for round_, ms in enumerate(first) if ms and round_ in second]


def _finding(families: tuple[Again, ...], band: float | None) -> Sentence:
    every = sorted(ratio for one in families for ratio in one.ratios)
    low, _, high = _quarters(every)
    told = "" if band is None else f"; {_beyond(every, band)} beyond the noise floor of {show_spread(band)}"
    return sentence(
        Span(
            f"Half of {count(len(every), 'pair')} of the same layer lie between {show_ratio(low)} and"
            f" {show_ratio(high)}{told}.",
            "strong",
        ),
        " A mark is one round’s time under the second label over that under the first, the box the middle half, its"
        " line the median; the grey band is the noise floor.",
    )


def _beyond(ratios: list[float], band: float) -> str:
    number = sum(max(ratio, 1 / ratio) > 1 + band for ratio in ratios)
    return "none lies" if not number else f"{number} {'lies' if number == 1 else 'lie'}"


def _quarters(ratios: tuple[float, ...] | list[float]) -> tuple[float, float, float]:
    if len(ratios) < 2:
        return ratios[0], ratios[0], ratios[0]
    low, middle, high = quantiles(ratios, n=4, method="inclusive")
    return low, middle, high
