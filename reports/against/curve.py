"""The quantile curve: which share of the cases has at most which ratio, the whole sweep in one line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.metrics import show_ratio
from reports.versus.versus import Versus
from reports.words import Sentence, Span, count, sentence

POINTS = 400
"""Steps that are drawn; of more cases as many quantiles."""
SHARES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
"""Quantiles of the table beside the curve."""


@dataclass(frozen=True, slots=True)
class Curve:
    """Ratios of latency, candidate over baseline, in order."""

    cases: int
    ratios: tuple[float, ...]
    shares: tuple[float, ...]
    """Share of the cases at or below each ratio."""
    quantiles: tuple[tuple[float, float], ...]
    """A share of the cases, and the ratio that so many do not exceed."""
    band: float
    """The change, as a share, up to which none is told."""
    limit: str
    """What that change is called: the gate's threshold, or the runs' noise floor."""
    slower: int
    faster: int
    finding: Sentence


def build(versus: Versus, band: float, limit: str) -> Curve | None:
    """Return the curve; None where no latency was compared."""
    rows = [row for row in versus.rows if row.metric == "latency_ms" and row.change is not None]
    values = sorted(row.change.ratio.value for row in rows if row.change is not None)
    if not values:
        return None
    ratios, shares = _steps(values)
    verdicts = [row.verdict for row in rows]
    quantiles = tuple((share, float(np.quantile(values, share, method="inverted_cdf"))) for share in SHARES)
    return Curve(
        cases=len(values),
        ratios=ratios,
        shares=shares,
        quantiles=quantiles,
        band=band,
        limit=limit,
        slower=verdicts.count("slower"),
        faster=verdicts.count("faster"),
        finding=_finding(len(values), dict(quantiles), values),
    )


def _steps(values: Sequence[float]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return where the curve rises, and to what; of many cases only POINTS of its steps, the ends among them."""
    at = np.unique(np.linspace(0, len(values) - 1, min(len(values), POINTS)).round().astype(int))
    return tuple(values[place] for place in at), tuple(float(place + 1) / len(values) for place in at)


def _finding(cases: int, quantiles: dict[float, float], values: Sequence[float]) -> Sentence:
    above = sum(value > 1 for value in values)
    if cases == 1:
        return sentence(f"The one case that was compared takes {show_ratio(values[0])} its baseline’s time.")
    return sentence(
        Span(f"Half of {count(cases, 'case')} lie between {show_ratio(quantiles[0.25])} and "
             f"{show_ratio(quantiles[0.75])}", "strong"),
        f" their baseline’s time, and {above} above 1×.",
    )  # fmt: skip
