"""Ties: what a router does when the batch size changes, far from ties and at them."""

from __future__ import annotations

from dataclasses import dataclass

from harness.metrics import show_percent
from reports.results import Result

NUMBERS = ("flip_rate", "flip_rate_predicted", "tie_flip_rate", "tie_flips_left")


@dataclass(frozen=True, slots=True)
class Tie:
    """One variant's router, far from ties and at them."""

    name: str
    flips: str
    """Share of natural tokens whose experts changed with the batch size."""
    predicted: str
    """Share whose margin is small enough for it."""
    at_ties: str
    """Share of near-tie tokens whose experts changed."""
    left: str
    """Share of them that changed all the same when the routing was replayed."""


def tie_of(name: str, results: list[Result]) -> Tie | None:
    """Return the case with the most flips at ties; None where no router was measured."""
    own = [result for result in results if result.number("tie_flip_rate") is not None]
    if not own:
        return None
    worst = max(own, key=lambda result: result.number("tie_flip_rate") or 0.0)
    numbers = (worst.number(metric) for metric in NUMBERS)
    return Tie(name, *("–" if number is None else show_percent(number) for number in numbers))
